package connectortest

import (
	"context"
	"errors"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// GiveUp is a reader.RetryPolicy that gives up a step at the first failure.
type GiveUp struct{}

// Page implements reader.RetryPolicy.
func (GiveUp) Page(_ context.Context, fault *connector.PageError) error { return fault }

// Commit implements reader.RetryPolicy.
func (GiveUp) Commit(_ context.Context, cause error) error { return cause }

// TryAgain is a reader.RetryPolicy that tries again that many times.
type TryAgain struct{ Pages, Commits int }

// Page implements reader.RetryPolicy.
func (p *TryAgain) Page(_ context.Context, fault *connector.PageError) error {
	if p.Pages--; p.Pages < 0 {
		return fault
	}
	return nil
}

// Commit implements reader.RetryPolicy.
func (p *TryAgain) Commit(_ context.Context, cause error) error {
	if p.Commits--; p.Commits < 0 {
		return cause
	}
	return nil
}

// SerialWorkers is a reader.WorkerPool that makes one call after the other.
type SerialWorkers struct{}

// Each implements reader.WorkerPool.
func (SerialWorkers) Each(ctx context.Context, n int, do func(context.Context, int) error) error {
	for i := range n {
		if err := do(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// Go implements reader.WorkerPool.
func (SerialWorkers) Go(do func()) func() {
	do()
	return func() {}
}

// ErrNoAnswer is the cause of a request that was not answered.
var ErrNoAnswer = errors.New("no answer")

// Fault is a failure to read a page, for tests in which the cause does not matter.
func Fault(kind connector.PageFault, retryAfter time.Duration) *connector.PageError {
	return &connector.PageError{Fault: kind, RetryAfter: retryAfter, Err: ErrNoAnswer}
}
