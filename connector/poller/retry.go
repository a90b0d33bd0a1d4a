package poller

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// retrier is the one retry policy: how long to wait for what does not work now. Waits grow, are jittered and capped,
// and never end; a wait that the server asks for is kept.
type retrier struct {
	poller        *Poller
	page          *PageRetry
	walk, suspect *connector.Backoff
	// commit, refused and reread are reset only by a commit; acquire is reset by an Acquire as well.
	commit, refused, reread, acquire *connector.Backoff

	mu    sync.Mutex // pages are read in parallel
	local *connector.Backoff
	sink  int // failures of the sink in a row
}

// read notes that a page could be read.
func (w *retrier) read() {
	w.page.Read()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.local.Reset()
}

// unready is how long to wait if no call can be made for a reason on this machine.
func (w *retrier) unready() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.local.Next()
}

// acquired records that the stream was acquired.
func (w *retrier) acquired() { w.acquire.Reset() }

// committed records a successful commit.
func (w *retrier) committed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sink = 0
	for _, of := range []*connector.Backoff{w.commit, w.refused, w.reread, w.acquire} {
		of.Reset()
	}
}

// sinkFailed records that the sink failed, and returns how many times in a row it has.
func (w *retrier) sinkFailed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sink++
	return w.sink
}

// longWait is how long a wait has to be before it is shown as a state.
const longWait = time.Minute

func newRetrier(p *Poller) *retrier {
	return &retrier{
		poller: p, page: NewPageRetry(), walk: connector.NewBackoff(250*time.Millisecond, 30*time.Second),
		suspect: connector.NewBackoff(time.Second, 2*time.Minute),
		commit:  connector.NewBackoff(250*time.Millisecond, 30*time.Second),
		acquire: connector.NewBackoff(250*time.Millisecond, 30*time.Second),
		// A step that starts over pays for its pages again.
		reread: connector.NewBackoff(time.Second, 10*time.Minute),
		// A person has to fix what the sink refuses.
		refused: connector.NewBackoff(10*time.Second, 5*time.Minute),
		// Checking a file again costs nothing.
		local: connector.NewBackoff(250*time.Millisecond, 3*time.Second),
	}
}

// Page implements reader.RetryPolicy: it waits until a page is worth requesting again. A 429 is waited out here, for as
// long as PageRetry decides, by all streams of the account. backfill/retrying_pages.go waits in the same way while it
// measures a history.
func (w *retrier) Page(ctx context.Context, fault *connector.PageError) error {
	// A single failed answer does not change the state, unless the wait is long.
	wait, failures := w.page.Next(fault)
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

// maxFailuresHolding is how many pages in a row may fail before a walk is given up, if other streams wait for its slot.
const maxFailuresHolding = 4

// Commit implements reader.RetryPolicy: it waits until the sink may accept a commit again. Meanwhile nothing is polled;
// the pages that were read stay in memory and are committed then. But if this stream alone is refused, or gets no clear
// answer, it does not keep its slot from others for long.
func (w *retrier) Commit(ctx context.Context, cause error) error {
	p := w.poller
	var refusal *connector.Refusal
	refused, down := errors.As(cause, &refusal), errors.Is(cause, connector.ErrNotNow)
	var state StreamState
	var wait time.Duration
	if refused {
		state, wait = StateRefused, w.refused.Next()
	} else {
		state, wait = p.sinkState(cause), w.commit.Next()
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
