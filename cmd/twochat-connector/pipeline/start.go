package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// PrepareTimeout limits one attempt to create and check what the sink needs.
const PrepareTimeout = 2 * time.Minute

// Peek reads a stream's checkpoint without taking over the stream. found is false if there is none.
func Peek(ctx context.Context, sink sinks.Sink, claim connector.Claim) (c connector.Checkpoint, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, PrepareTimeout)
	defer cancel()
	log := sink.Log(claim)
	c, found, err = log.Peek(ctx)
	return c, found, errors.Join(err, log.Close())
}

// AskSink checks everything that decides whether the sink can be written. make is the sink's Create for run, and its
// CheckCreate for check; nil to create nothing. The error is a *connector.Refusal, or means that the sink did not answer.
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
	// What could not be created may exist all the same. If it does not, the check has the better hint.
	findings, err := sink.Check(ctx, claims)
	switch {
	case making != nil && (err != nil || OnlyMissing(findings)): // a temporary failure is waited out
		return findings, making
	case err != nil:
		return findings, err
	case making != nil:
		logger.Warn("what the sink lacks could not be created", "cause", making)
	}
	return findings, nil
}

// OnlyMissing reports whether all refusals are about things that do not exist yet.
func OnlyMissing(findings []connector.Finding) bool {
	return slices.ContainsFunc(findings, func(f connector.Finding) bool { return f.Missing })
}

// WantsCreate reports whether to create what a sink lacks. For sinks without an external broker that is always so.
func WantsCreate(c sinks.Config) bool {
	return (c.JetStream == nil || c.JetStream.Create) && (c.Kafka == nil || c.Kafka.Create)
}

// Claims are those of several accounts.
func Claims(sources []Source, instance string, w Overrides) []connector.Claim {
	var list []connector.Claim
	for _, source := range sources {
		list = append(list, ClaimsOf(source.Config, source.Privacy, instance, w)...)
	}
	return list
}

// AllClaims are those of every account of a configuration, where nothing else is made of it.
func AllClaims(c *config.Config, instance string, w Overrides) ([]connector.Claim, error) {
	var list []connector.Claim
	for _, one := range c.ByAccount() {
		privacy, err := PrivacyOf(one)
		if err != nil {
			return nil, err
		}
		list = append(list, ClaimsOf(one, privacy, instance, w)...)
	}
	return list, nil
}

// settingsOf names the settings that decide what of a message its event holds. Checkpoints have it, so its form must not
// change.
func settingsOf(c *config.Config) string {
	drop := slices.Sorted(slices.Values(c.Privacy.Drop))
	return fmt.Sprintf("data %s, text %s, drop %s", c.Events.Data, c.Events.Text, cmp.Or(strings.Join(drop, "+"), "nothing"))
}

// ClaimsOf returns a claim for each stream of an account: who asks the sink for its place, and what they expect there.
func ClaimsOf(c *config.Config, privacy twochat.Privacy, instance string, w Overrides) []connector.Claim {
	streams := c.Streams()
	claims := make([]connector.Claim, len(streams))
	for i, s := range streams {
		firstStart, after := w.firstStartOf(s.Name)
		claims[i] = connector.Claim{
			Stream: privacy.Keyed(s), Privacy: privacy.Name(), Settings: settingsOf(c), Instance: instance,
			TypePrefix: c.Events.TypePrefix, Window: c.Seen.Capacity,
			FirstStart: firstStart, After: after, Rekey: w.rekey,
		}
	}
	return claims
}
