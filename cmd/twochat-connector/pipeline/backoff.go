package pipeline

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// NewBackoff is a policy of waits that grow, are jittered and capped, and never give up.
func NewBackoff(first, most time.Duration) *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(first), backoff.WithMaxInterval(most),
		backoff.WithMaxElapsedTime(0))
}
