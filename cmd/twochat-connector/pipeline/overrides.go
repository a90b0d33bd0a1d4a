package pipeline

import (
	"errors"
	"flag"
	"strconv"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
)

// Overrides are what only an operator can say, at one start.
type Overrides struct {
	firstStart, rekey, AcceptHistory bool
	after                            uint64 // with firstStart: the last sequence that was used before
	// acceptPartitions is how many partitions the topic of Kafka may have now; 0 if nothing is accepted.
	acceptPartitions int
}

// OverrideFlags adds the flags of a start, for run and for check, which judges it.
func OverrideFlags(flags *flag.FlagSet, settings *config.Flags) *Overrides {
	w := &Overrides{}
	flags.BoolVar(&settings.Create, "create", false,
		"make the stream or topics that the broker lacks, with the right settings")
	flags.Var((*firstStart)(w), "first-start", "where the sink has events of a stream but no checkpoint, or went back: "+
		"go on after the newest event there; --first-start=30 goes on after sequence 30 at least")
	flags.BoolVar(&w.rekey, "rekey", false, "accept that a changed privacy mode or key moves chats to other keys")
	flags.IntVar(&w.acceptPartitions, "accept-partitions", 0,
		"accept that chats move, as the Kafka topic now has this `number` of partitions; 0 accepts nothing")
	return w
}

// firstStart is the flag --first-start, with or without a number.
type firstStart Overrides

func (f *firstStart) String() string { return "" }

// IsBoolFlag says that the number may be left out.
func (f *firstStart) IsBoolFlag() bool { return true }

// Set takes the flag's value.
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

// Apply puts into the configuration what the overrides say of it.
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
