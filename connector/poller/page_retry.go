package poller

import (
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// PageRetry decides how long to wait after a page could not be read, for example because of a 429. The wait depends on
// the kind of fault, and is no shorter than the server asks for. It is safe for concurrent use, as pages are read in
// parallel.
type PageRetry struct {
	mu       sync.Mutex
	failures int // pages in a row that could not be read

	passing, persistent, credit *connector.Backoff
}

// NewPageRetry returns a policy without failures so far.
func NewPageRetry() *PageRetry {
	return &PageRetry{
		passing: connector.NewBackoff(500*time.Millisecond, time.Minute),
		// A wrong key or a number that is gone: a person has to fix it, or the key is being rotated.
		persistent: connector.NewBackoff(30*time.Second, 10*time.Minute),
		// Credits come back with a top-up or the next month.
		credit: connector.NewBackoff(5*time.Minute, 30*time.Minute),
	}
}

// Read records that a page was read, and resets the waits.
func (r *PageRetry) Read() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = 0
	r.passing.Reset()
	r.persistent.Reset()
	r.credit.Reset()
}

// Next returns how long to wait after a fault, and how many faults there were in a row.
func (r *PageRetry) Next(fault *connector.PageError) (wait time.Duration, failures int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures++
	switch fault.Fault {
	case connector.FaultCredits:
		return r.credit.Next(), r.failures
	case connector.FaultKey, connector.FaultBlocked, connector.FaultNumber, connector.FaultRequest:
		if fault.Fault != connector.FaultKey || fault.Status != 0 { // else the key could not be read, and nobody was asked
			return r.persistent.Next(), r.failures
		}
	}
	return max(r.passing.Next(), min(fault.RetryAfter, connector.MaxRetryAfter)), r.failures
}
