package poller

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/twochat-connector/twochat-connector/connector"
)

// retrier is the one retry policy: how long to wait for what does not work now. Waits grow, are jittered and capped,
// and never give up; what the server asks for is honoured.
type retrier struct {
	poller              *Poller
	page, walk, suspect *backoff.ExponentialBackOff
	persistent, credit  *backoff.ExponentialBackOff
	local               *backoff.ExponentialBackOff
	// commit, refused and reread are reset by a commit alone, whatever Acquire says in between; acquire by either.
	commit, refused, reread, acquire *backoff.ExponentialBackOff

	mu       sync.Mutex // pages are read side by side
	failures int        // pages in a row that could not be read
	sink     int        // failures of the sink in a row
}

// read notes that a page could be read.
func (w *retrier) read() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = 0
	w.page.Reset()
	w.persistent.Reset()
	w.credit.Reset()
	w.local.Reset()
}

// unready is how long to wait where no call can be made for a reason on this machine.
func (w *retrier) unready() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.local.NextBackOff()
}

// acquired notes that the sink gave the stream's place.
func (w *retrier) acquired() { w.acquire.Reset() }

// committed notes that the sink took a commit.
func (w *retrier) committed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sink = 0
	for _, of := range []*backoff.ExponentialBackOff{w.commit, w.refused, w.reread, w.acquire} {
		of.Reset()
	}
}

// sinkFailed notes that the sink failed, and says how often in a row it did.
func (w *retrier) sinkFailed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sink++
	return w.sink
}

// maxRetryAfter bounds what a server may ask for in one go.
const maxRetryAfter = time.Hour

// longWait is how long a stream may wait for one thing before that is a state by itself.
const longWait = time.Minute

func newRetrier(p *Poller) *retrier {
	policy := func(first, most time.Duration) *backoff.ExponentialBackOff {
		b := backoff.NewExponentialBackOff(backoff.WithInitialInterval(first), backoff.WithMaxInterval(most),
			backoff.WithMaxElapsedTime(0))
		b.Reset()
		return b
	}
	return &retrier{
		poller: p, page: policy(500*time.Millisecond, time.Minute), walk: policy(250*time.Millisecond, 30*time.Second),
		suspect: policy(time.Second, 2*time.Minute),
		commit:  policy(250*time.Millisecond, 30*time.Second), acquire: policy(250*time.Millisecond, 30*time.Second),
		// Pages are paid for again where a step is made anew.
		reread: policy(time.Second, 10*time.Minute),
		// A wrong key, a number that is gone: somebody mends it, or a rotated key heals it. So with what the sink refuses.
		persistent: policy(30*time.Second, 10*time.Minute), refused: policy(10*time.Second, 5*time.Minute),
		// To look at a file again costs nothing.
		local: policy(250*time.Millisecond, 3*time.Second),
		// Credits come back with a top-up or the month's reset.
		credit: policy(5*time.Minute, 30*time.Minute),
	}
}

// Page waits until a page is worth asking for again.
func (w *retrier) Page(ctx context.Context, fault *connector.PageError) error {
	// A single answer that failed in passing is no change of state, unless that is long.
	wait, failures := w.next(fault)
	if failures > 1 || fault.Fault != connector.FaultTransient || wait > longWait {
		w.poller.record.waitFor(StateNoSource, fault, wait)
	}
	if fault.Fault == connector.FaultRateLimited {
		w.poller.config.Limiter.Pause(wait) // the limit is the account's: no other stream should run into it either
	}
	if failures >= maxFailuresHolding && w.poller.slot.contended() {
		return fault
	}
	if connector.Sleep(ctx, wait) != nil {
		return ctx.Err()
	}
	return nil
}

// maxFailuresHolding is how many pages in a row may fail before a walk is given up, where other streams wait for its
// slot.
const maxFailuresHolding = 4

// next is how long to wait after a fault, and how many there were in a row.
func (w *retrier) next(fault *connector.PageError) (time.Duration, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures++
	switch fault.Fault {
	case connector.FaultCredits:
		return w.credit.NextBackOff(), w.failures
	case connector.FaultKey, connector.FaultBlocked, connector.FaultNumber, connector.FaultRequest:
		return w.persistent.NextBackOff(), w.failures
	}
	return max(w.page.NextBackOff(), min(fault.RetryAfter, maxRetryAfter)), w.failures
}

// Commit waits until the sink may take something again. Nothing is polled meanwhile: what was read is held, and
// committed then. But a stream that alone is refused, or gets no clear answer, does not keep others from its slot for
// long.
func (w *retrier) Commit(ctx context.Context, cause error) error {
	p := w.poller
	var refusal *connector.Refusal
	refused, down := errors.As(cause, &refusal), errors.Is(cause, connector.ErrNotNow)
	var state StreamState
	var wait time.Duration
	if refused {
		state, wait = StateRefused, w.refused.NextBackOff()
	} else {
		state, wait = p.sinkState(cause), w.commit.NextBackOff()
	}
	w.mu.Lock()
	failures := w.sink
	w.mu.Unlock()
	p.record.waitFor(state, cause, wait)
	if !down && (refused || failures >= maxFailuresHolding) && p.slot.contended() {
		return cause
	}
	if connector.Sleep(ctx, wait) != nil {
		return ctx.Err()
	}
	return nil
}
