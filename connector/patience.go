package connector

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// waits is the one retry policy: how long to wait for what does not work now. Waits grow, are jittered and capped, and never
// give up; what the server asks for is honoured.
type waits struct {
	poller             *Poller
	page, sink, walk   *backoff.ExponentialBackOff
	persistent, credit *backoff.ExponentialBackOff
	mu                 sync.Mutex // pages are read side by side
	failures           int        // pages in a row that could not be read
}

// read notes that a page could be read.
func (w *waits) read() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = 0
	w.page.Reset()
	w.persistent.Reset()
	w.credit.Reset()
}

// maxRetryAfter bounds what a server may ask for in one go.
const maxRetryAfter = time.Hour

func newWaits(p *Poller) *waits {
	policy := func(first, most time.Duration) *backoff.ExponentialBackOff {
		b := backoff.NewExponentialBackOff(backoff.WithInitialInterval(first), backoff.WithMaxInterval(most), backoff.WithMaxElapsedTime(0))
		b.Reset()
		return b
	}
	return &waits{
		poller: p, page: policy(500*time.Millisecond, time.Minute), sink: policy(250*time.Millisecond, 30*time.Second),
		walk: policy(250*time.Millisecond, 30*time.Second),
		// A wrong key, a number that is gone: somebody mends it, or a rotated key heals it.
		persistent: policy(30*time.Second, 10*time.Minute),
		// Credits come back with a top-up or the month's reset.
		credit: policy(5*time.Minute, 30*time.Minute),
	}
}

// Page waits until a page is worth asking for again.
func (w *waits) Page(ctx context.Context, fault *PageError) error {
	// A single answer that failed in passing is no change of state.
	wait, failures := w.next(fault)
	if failures > 1 || fault.Fault != FaultTransient {
		w.poller.note(StateNoSource, fault)
	}
	if fault.Fault == FaultRateLimited {
		w.poller.config.Limiter.Pause(wait) // the limit is the account's: no other stream should run into it either
	}
	if failures >= failuresInRoom && w.poller.berth.contended() {
		return fault
	}
	if !w.poller.sleep(ctx, wait) {
		return ctx.Err()
	}
	return nil
}

// failuresInRoom is how many pages in a row may fail before a walk is given up, where other streams wait for its place in the room.
const failuresInRoom = 4

// next is how long to wait after a fault, and how many there were in a row.
func (w *waits) next(fault *PageError) (time.Duration, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures++
	switch fault.Fault {
	case FaultCredits:
		return w.credit.NextBackOff(), w.failures
	case FaultKey, FaultNumber, FaultRequest:
		return w.persistent.NextBackOff(), w.failures
	}
	return max(w.page.NextBackOff(), min(fault.RetryAfter, maxRetryAfter)), w.failures
}

// Commit waits until the sink may take something again. Nothing is polled meanwhile.
func (w *waits) Commit(ctx context.Context, cause error) error {
	w.poller.note(StateNoSink, cause)
	if !w.poller.sleep(ctx, w.sink.NextBackOff()) {
		return ctx.Err()
	}
	return nil
}

// countedPages counts what is read.
type countedPages struct{ poller *Poller }

func (c *countedPages) Page(ctx context.Context, s Stream, number int, held Fingerprint) (Page, error) {
	p := c.poller
	page, err := p.config.Pages.Page(ctx, s, number, held)
	p.metrics.request(page, err)
	p.mu.Lock()
	p.status.Requests++
	p.status.LastRequest = time.Now()
	p.mu.Unlock()
	if err == nil {
		p.waits.read()
	}
	return page, err
}

// errPollDue ends a step of a sweep that got no turn before the stream's next poll. The sweep goes on after it, where it was.
var errPollDue = errors.New("the next poll is due")

// turn waits until a page may be asked for: for its turn within the stream, and for the stream's with all others of the key. A
// sweep waits only as long as no poll of its stream is due: it takes what nobody else wants, and where that is little the poll
// would come many intervals late.
func (p *Poller) turn(ctx context.Context, turn Turn) error {
	urgency := Urgency(p.urgency.Load())
	if urgency != Sweep {
		if turn.Page > 0 {
			urgency = CatchUp
		}
		return p.queue.wait(ctx, turn, func(ctx context.Context) error { return p.config.Limiter.Wait(ctx, urgency) })
	}
	untilPoll, cancel := context.WithDeadline(ctx, p.nextPoll)
	defer cancel()
	err := p.config.Limiter.Wait(untilPoll, urgency)
	if err != nil && ctx.Err() == nil {
		return errPollDue
	}
	return err
}

// countedLog lets a commit in flight finish when the process is told to stop, and counts.
type countedLog struct{ poller *Poller }

// drainTime bounds how long a commit may go on after the process was told to stop.
const drainTime = 20 * time.Second

func (c *countedLog) Acquire(ctx context.Context) (State, error) {
	return c.poller.config.Log.Acquire(ctx)
}

func (c *countedLog) Commit(ctx context.Context, events []Event, rejects []Reject, next Checkpoint) error {
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, cancel) })
	defer stop()
	began := time.Now()
	err := c.poller.config.Log.Commit(detached, events, rejects, next)
	c.poller.metrics.commit(time.Since(began), err)
	if err == nil {
		c.poller.waits.sink.Reset()
	}
	return err
}

func (c *countedLog) Peek(ctx context.Context) (Checkpoint, bool, error) {
	return c.poller.config.Log.Peek(ctx)
}

func (c *countedLog) Limits() Limits { return c.poller.config.Log.Limits() }
func (c *countedLog) Close() error   { return c.poller.config.Log.Close() }
