package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// TakeOver takes a stream over for a command that writes to its log, and waits out failures that may pass: for this
// long, or until the context ends if within is 0. waits, if not nil, is told of each such failure. The error is that of
// the last attempt, or that of the context.
func TakeOver(
	ctx context.Context, log connector.Log, within time.Duration, waits func(cause error),
) (connector.State, error) {
	pause := connector.NewBackoff(250*time.Millisecond, 5*time.Second)
	began := time.Now()
	for {
		state, err := log.Acquire(ctx)
		var refusal *connector.Refusal
		if err == nil || errors.As(err, &refusal) || within > 0 && time.Since(began) > within {
			return state, err
		}
		if waits != nil {
			waits(err)
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
