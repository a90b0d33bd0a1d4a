package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// PrepareTimeout bounds one attempt to make and check what the sink needs.
const PrepareTimeout = 2 * time.Minute

// Peek reads a stream's checkpoint and takes nothing over. found is false if there is none.
func Peek(ctx context.Context, sink sinks.Sink, claim connector.Claim) (c connector.Checkpoint, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, PrepareTimeout)
	defer cancel()
	log := sink.Log(claim)
	c, found, err = log.Peek(ctx)
	return c, found, errors.Join(err, log.Close())
}

// AskSink asks the sink all that bears on whether it can be written. make is its Create for run, and its CheckCreate
// for check; nil if nothing is to be made. The error is a *connector.Refusal, or says that the sink could not be asked.
func AskSink(ctx context.Context, sink sinks.Sink, claims []connector.Claim, make func(context.Context) error,
	logger *slog.Logger,
) ([]connector.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, PrepareTimeout)
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
	case making != nil && (err != nil || OnlyMissing(findings)): // what passes is waited out
		return findings, making
	case err != nil:
		return findings, err
	case making != nil:
		logger.Warn("what the sink lacks could not be made", "cause", making)
	}
	return findings, nil
}

// OnlyMissing reports whether what is refused is only not there yet.
func OnlyMissing(findings []connector.Finding) bool {
	return slices.ContainsFunc(findings, func(f connector.Finding) bool { return f.Missing })
}

// WantsCreate reports whether what a sink lacks is to be made. Sinks without a broker of somebody else's always do.
func WantsCreate(c sinks.Config) bool {
	return (c.JetStream == nil || c.JetStream.Create) && (c.Kafka == nil || c.Kafka.Create)
}

// ClaimsOf says for each configured stream who asks the sink for its place, and what they expect there.
func ClaimsOf(c *config.Config, privacy twochat.Privacy, instance string, w Overrides) []connector.Claim {
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
