package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/fleet"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// TakeOver takes a stream over for a command that writes to its log, and waits out failures that may pass: for this
// long, or until the context ends if within is 0. The logger, if not nil, is told of the first such failure. The error is
// that of the last attempt, or that of the context.
func TakeOver(
	ctx context.Context, log connector.Log, within time.Duration, logger *slog.Logger,
) (connector.State, error) {
	pause := connector.NewBackoff(250*time.Millisecond, 5*time.Second)
	began := time.Now()
	for {
		state, err := log.Acquire(ctx)
		var refusal *connector.Refusal
		if err == nil || errors.As(err, &refusal) || within > 0 && time.Since(began) > within {
			return state, err
		}
		if logger != nil {
			logger.Warn("the sink is waited for; it goes on by itself", "cause", err)
			logger = nil
		}
		if err := connector.Sleep(ctx, pause.Next()); err != nil {
			return state, err
		}
	}
}

// GiveUp closes the log of a stream that a command has taken over.
func GiveUp(log connector.Log, logger *slog.Logger) {
	if err := log.Close(); err != nil {
		logger.Warn("the stream's place in the sink could not be given up", "cause", err)
	}
}

// handedBack begins the name of the owner that nobody is.
const handedBack = "handed-back-"

// handBackWithin is how long a command tries to hand a stream back.
const handBackWithin = 10 * time.Second

// HandBack makes nobody the owner of a stream that a command took from a running instance and is done with. Otherwise
// the instance, which stands by, would wait for further commits of the command. If it does not succeed, the instance
// goes on later.
func HandBack(ctx context.Context, sink sinks.Sink, claim connector.Claim, logger *slog.Logger) {
	claim.Instance = handedBack + rand.Text()
	log := sink.Log(claim)
	defer GiveUp(log, logger)
	if _, err := TakeOver(ctx, log, handBackWithin, nil); err != nil {
		logger.Warn("the stream could not be handed back at once; the instance that was running goes on by itself, but later",
			"stream", claim.Stream.Name, "cause", err)
	}
}

// standDown is how long a stream that another owner has taken waits for that one's next commit: not at all if it is
// nobody; if it is a replica, as long as one counts that is not heard of. 0 stands for the usual time.
func (l *Pipeline) standDown(owner string) time.Duration {
	switch {
	case strings.HasPrefix(owner, handedBack):
		return time.Nanosecond
	case l.replicas != nil && l.replicas.has(owner):
		return fleet.Lifetime
	}
	return 0
}
