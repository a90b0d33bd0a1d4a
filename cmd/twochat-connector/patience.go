package main

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// patience is a policy of waits that grow, are jittered and capped, and never give up.
func patience(first, most time.Duration) *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(first), backoff.WithMaxInterval(most), backoff.WithMaxElapsedTime(0))
}

// sleep waits, or returns the context's error where that ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
