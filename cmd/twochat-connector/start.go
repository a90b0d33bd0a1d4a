package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// words are what only an operator can say, at one start.
type words struct {
	firstStart, rekey, acceptHistory bool
	after                            uint64 // with firstStart: the last sequence that was used before
	// acceptPartitions is how many partitions the topic of Kafka may have now; 0 where nothing is accepted.
	acceptPartitions int
}

// wordFlags adds the flags of a start, for run and for check, which judges it.
func wordFlags(flags *flag.FlagSet, settings *config.Flags) *words {
	w := &words{}
	flags.BoolVar(&settings.Create, "create", false, "make the stream or topics that the broker lacks, with the right settings")
	flags.Var((*firstStart)(w), "first-start", "where the sink has events of a stream but no checkpoint, or went back: "+
		"go on after the newest event there; --first-start=30 goes on after sequence 30 at least")
	flags.BoolVar(&w.rekey, "rekey", false, "accept that a changed privacy mode or key moves chats to other keys")
	flags.IntVar(&w.acceptPartitions, "accept-partitions", 0, "accept that chats move, as the Kafka topic now has this `number` of partitions")
	return w
}

// firstStart is the flag --first-start, with or without a number.
type firstStart words

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

// apply puts into the configuration what the words say of it.
func (w *words) apply(c *config.Config) error {
	switch {
	case w.acceptPartitions == 0:
		return nil
	case w.acceptPartitions < 0:
		return usage("flag --accept-partitions: expected the number of partitions that the topic has now")
	case c.Sink.Kafka == nil:
		return usage("flag --accept-partitions: only the sink kafka has partitions")
	}
	c.Sink.Kafka.AcceptPartitions = w.acceptPartitions
	return nil
}

// stage is what run needs before it reads anything. check sets the same one, and strikes it again.
type stage struct {
	privacy twochat.Privacy
	client  *twochat.Client
	server  *admin
	sink    sinks.Sink
}

// setStage opens and binds what a configuration names, and asks nobody. The errors are all that keep run from starting so far.
func setStage(c *config.Config, openSink func() (sinks.Sink, error)) (*stage, []error) {
	s := &stage{}
	var wrong []error
	note := func(err error) {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	var err error
	if s.privacy, err = privacyOf(c); err == nil {
		s.client, err = newClient(c, s.privacy)
	}
	note(err)
	s.server, err = listenAdmin(c.Admin.Listen)
	note(err)
	if s.server != nil {
		s.server.hosts = c.Admin.Hosts
	}
	s.sink, err = openSink()
	note(err)
	return s, wrong
}

// strike closes what was opened.
func (s *stage) strike() error {
	var err error
	if s.sink != nil {
		err = s.sink.Close()
	}
	if s.server != nil {
		s.server.close()
	}
	if s.client != nil {
		s.client.Close()
	}
	return err
}

// prepareTimeout bounds one attempt to make and check what the sink needs.
const prepareTimeout = 2 * time.Minute

// askSink asks the sink all that bears on whether it can be written. make is its Create for run, and its Rehearse for check; nil where
// nothing is to be made. The error is a *connector.Refusal, or says that the sink could not be asked.
func askSink(ctx context.Context, sink sinks.Sink, claims []connector.Claim, make func(context.Context) error, logger *slog.Logger) ([]connector.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	var making error
	if make != nil {
		making = make(ctx)
		var refusal *connector.Refusal
		if errors.As(making, &refusal) {
			return nil, making
		}
	}
	// What could not be made may be there all the same, and where it is not the check knows the hint.
	findings, err := sink.Check(ctx, claims)
	switch {
	case making != nil && (err != nil || missing(findings)): // what passes is waited out
		return findings, making
	case err != nil:
		return findings, err
	case making != nil:
		logger.Warn("what the sink lacks could not be made", "cause", making)
	}
	return findings, nil
}

// missing says whether what is refused is only not there yet.
func missing(findings []connector.Finding) bool {
	return slices.ContainsFunc(findings, func(f connector.Finding) bool { return f.Missing })
}

// wantsCreate says whether what a sink lacks is to be made. Sinks without a broker of somebody else's always do.
func wantsCreate(c sinks.Config) bool {
	return (c.JetStream == nil || c.JetStream.Create) && (c.Kafka == nil || c.Kafka.Create)
}

// severalErrors are errors that a person is told one by one.
type severalErrors []error

func (e severalErrors) Error() string   { return errors.Join(e...).Error() }
func (e severalErrors) Unwrap() []error { return e }

// together is nil for no error, the error for one.
func together(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return severalErrors(errs)
}

// claimsOf says for each configured stream who asks the sink for its place, and what they expect there.
func claimsOf(c *config.Config, privacy twochat.Privacy, instance string, w words) []connector.Claim {
	streams := c.Streams()
	claims := make([]connector.Claim, len(streams))
	for i, s := range streams {
		claims[i] = connector.Claim{
			Stream: privacy.Keyed(s), Privacy: privacy.Name(), Instance: instance, TypePrefix: c.Events.TypePrefix,
			Window: c.Seen.Capacity, FirstStart: w.firstStart, After: w.after, Rekey: w.rekey,
		}
	}
	return claims
}
