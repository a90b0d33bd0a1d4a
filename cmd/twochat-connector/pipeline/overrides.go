package pipeline

import (
	"flag"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
)

// Overrides are decisions that an operator makes for a single start.
type Overrides struct {
	firstStart           firstStart
	rekey, AcceptHistory bool
	// acceptPartitions is the number of partitions that the Kafka topic may have now; 0 if no change is accepted.
	acceptPartitions int
}

// OverrideFlags adds the flags of a start, for run, and for check, which judges such a start.
func OverrideFlags(flags *flag.FlagSet, settings *config.Flags) *Overrides {
	w := &Overrides{}
	flags.BoolVar(&settings.Create, "create", false,
		"create missing streams or topics on the broker, with the right settings")
	flags.Var(&w.firstStart, "first-start", "if the sink has events of a stream but no checkpoint, or lost its newest events: "+
		"continue after its newest event; --first-start=NAME:30 continues the stream of this name after sequence 30 at "+
		"least, and may be repeated; all:30 is for every stream")
	flags.BoolVar(&w.rekey, "rekey", false, "accept that a changed privacy mode or key gives chats new keys")
	flags.IntVar(&w.acceptPartitions, "accept-partitions", 0,
		"accept that chats move, as the Kafka topic now has this `number` of partitions; 0 accepts no change")
	return w
}

// firstStartOf is whether an operator decided that a stream continues after its newest event, and after which sequence
// at least.
func (w *Overrides) firstStartOf(stream string) (said bool, after uint64) {
	after, named := w.firstStart.after[stream]
	return named || w.firstStart.all, after
}

// Apply applies the overrides to the configuration. It is called again for each that is loaded later.
func (w *Overrides) Apply(c *config.Config) error {
	if err := w.firstStart.resolve(c.Streams()); err != nil {
		return err
	}
	switch {
	case w.acceptPartitions == 0:
		return nil
	case w.acceptPartitions < 0:
		return cli.Usage("flag --accept-partitions: expected the number of partitions that the topic has now")
	case c.Sink.Kafka == nil:
		return cli.Usage("flag --accept-partitions: only the sink kafka has partitions")
	}
	c.Sink.Kafka.AcceptPartitions = w.acceptPartitions
	return nil
}
