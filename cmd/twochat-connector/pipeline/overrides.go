package pipeline

import (
	"errors"
	"flag"
	"strconv"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
)

// Overrides are decisions that an operator makes for a single start.
type Overrides struct {
	firstStart, rekey, AcceptHistory bool
	after                            uint64 // with firstStart: the last sequence that was used before
	// acceptPartitions is the number of partitions that the Kafka topic may have now; 0 if no change is accepted.
	acceptPartitions int
}

// OverrideFlags adds the flags of a start, for run, and for check, which judges such a start.
func OverrideFlags(flags *flag.FlagSet, settings *config.Flags) *Overrides {
	w := &Overrides{}
	flags.BoolVar(&settings.Create, "create", false,
		"create missing streams or topics on the broker, with the right settings")
	flags.Var((*firstStart)(w), "first-start", "if the sink has events of a stream but no checkpoint, or lost its newest events: "+
		"continue after its newest event; --first-start=30 continues after sequence 30 at least")
	flags.BoolVar(&w.rekey, "rekey", false, "accept that a changed privacy mode or key gives chats new keys")
	flags.IntVar(&w.acceptPartitions, "accept-partitions", 0,
		"accept that chats move, as the Kafka topic now has this `number` of partitions; 0 accepts no change")
	return w
}

// firstStart is the flag --first-start, with or without a number.
type firstStart Overrides

func (f *firstStart) String() string { return "" }

// IsBoolFlag allows the flag without a number.
func (f *firstStart) IsBoolFlag() bool { return true }

// Set parses the flag's value.
func (f *firstStart) Set(text string) error {
	f.firstStart, f.after = true, 0
	if said, err := strconv.ParseBool(text); err == nil && text != "0" && text != "1" {
		f.firstStart = said
		return nil
	}
	after, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return errors.New("expected the last sequence that was used before, a whole number such as 30")
	}
	f.after = after
	return nil
}

// Apply applies the overrides to the configuration.
func (w *Overrides) Apply(c *config.Config) error {
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
