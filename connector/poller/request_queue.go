package poller

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// queue orders the requests of one stream by priority. One of the waiting requests waits for the rate limit. When the
// limit admits a request, the one of the oldest batch with the lowest page number goes, whichever came first. So pages
// that are read in parallel under a limit are requested from the top down, and messages that move down meanwhile are
// met twice rather than missed; and reading ahead does not come between the requests that prove the current batch.
type queue struct {
	lead chan struct{} // holds a token while one of the requests waits for the limit

	mu      sync.Mutex
	waiting []*waiter
	burst   burst
}

// burst are requests that may be made without a wait, as one of their batch has waited for all of them.
type burst struct {
	batch, left int
	before      time.Time
}

// limit is the rate limit as a queue uses it.
type limit interface {
	// wait waits for one request.
	wait(ctx context.Context) error
	// burst waits until n requests may be made at once, of which one has waited already. They have to be made before the
	// returned time.
	burst(ctx context.Context, n int) (before time.Time, err error)
}

type waiter struct {
	turn reader.Priority
	goes chan struct{} // closed when it is its turn
}

func newQueue() *queue { return &queue{lead: make(chan struct{}, 1)} }

// follows reports whether a request belongs to a burst, so that its wait is over.
func (q *queue) follows(turn reader.Priority) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if turn.Burst == 0 || q.burst.batch != turn.Batch || q.burst.left == 0 || !time.Now().Before(q.burst.before) {
		return false
	}
	q.burst.left--
	return true
}

// wait blocks until it is the turn of a request, or the context ends.
func (q *queue) wait(ctx context.Context, turn reader.Priority, limit limit) error {
	me := &waiter{turn, make(chan struct{})}
	q.mu.Lock()
	q.waiting = append(q.waiting, me)
	q.mu.Unlock()
	for {
		select {
		case <-me.goes:
			return nil
		case <-ctx.Done():
			q.leave(me)
			return ctx.Err()
		case q.lead <- struct{}{}:
		}
		err := q.next(ctx, me, limit)
		<-q.lead
		if err != nil {
			q.leave(me)
			return err
		}
	}
}

// next waits for the limit on behalf of the request that is first by then. It returns at once if the caller no longer
// waits.
func (q *queue) next(ctx context.Context, me *waiter, limit limit) error {
	select {
	case <-me.goes:
		return nil
	default:
	}
	if err := limit.wait(ctx); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	first := q.first()
	if n := first.turn.Burst; n > 1 {
		q.mu.Unlock()
		before, err := limit.burst(ctx, n)
		q.mu.Lock()
		if err != nil {
			return err
		}
		if !slices.Contains(q.waiting, first) { // it gave up waiting
			first = q.first()
		}
		q.burst = burst{batch: first.turn.Batch, left: n - 1, before: before}
	}
	q.remove(first)
	close(first.goes)
	return nil
}

// first is the request that goes next. The request that waits for the limit is one of those waiting.
func (q *queue) first() *waiter {
	return slices.MinFunc(q.waiting, func(a, b *waiter) int { return a.turn.Compare(b.turn) })
}

func (q *queue) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(w)
}

func (q *queue) remove(w *waiter) {
	q.waiting = slices.DeleteFunc(q.waiting, func(other *waiter) bool { return other == w })
}
