package poller

import (
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// PageRetry says how long to wait where a page could not be read: by the kind of fault, and no less than the server
// asks for. It may be used from several goroutines, as pages are read side by side.
type PageRetry struct {
	mu       sync.Mutex
	failures int // pages in a row that could not be read

	passing, persistent, credit *connector.Backoff
}

// NewPageRetry makes a policy for pages of which none has failed yet.
func NewPageRetry() *PageRetry {
	return &PageRetry{
		passing: connector.NewBackoff(500*time.Millisecond, time.Minute),
		// A wrong key, a number that is gone: somebody mends it, or a rotated key heals it.
		persistent: connector.NewBackoff(30*time.Second, 10*time.Minute),
		// Credits come back with a top-up or the month's reset.
		credit: connector.NewBackoff(5*time.Minute, 30*time.Minute),
	}
}

// Read notes that a page could be read.
func (r *PageRetry) Read() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = 0
	r.passing.Reset()
	r.persistent.Reset()
	r.credit.Reset()
}

// Next is how long to wait after a fault, and how many there were in a row.
func (r *PageRetry) Next(fault *connector.PageError) (wait time.Duration, failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures++
	switch fault.Fault {
	case connector.FaultCredits:
		return r.credit.Next(), r.failures
	case connector.FaultKey, connector.FaultBlocked, connector.FaultNumber, connector.FaultRequest:
		return r.persistent.Next(), r.failures
	}
	return max(r.passing.Next(), min(fault.RetryAfter, connector.MaxRetryAfter)), r.failures
}
