package connector

import (
	"time"

	"github.com/cenkalti/backoff/v4"
)

// Backoff computes how long to wait before another attempt after a failure. The waits grow, are jittered and capped,
// and never end. It is used from one goroutine at a time.
type Backoff struct{ policy *backoff.ExponentialBackOff }

// NewBackoff makes waits that begin at about first and grow to about most.
func NewBackoff(first, most time.Duration) *Backoff {
	return &Backoff{backoff.NewExponentialBackOff(backoff.WithInitialInterval(first), backoff.WithMaxInterval(most),
		backoff.WithMaxElapsedTime(0))}
}

// Next is the next wait.
func (b *Backoff) Next() time.Duration { return b.policy.NextBackOff() }

// Reset starts again with the first wait, after a success.
func (b *Backoff) Reset() { b.policy.Reset() }
