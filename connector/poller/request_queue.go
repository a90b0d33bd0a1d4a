package poller

import (
	"context"
	"slices"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// queue orders the requests of one stream by priority. One of the waiting requests waits for the rate limit; when the
// limit admits a request, the one of the oldest batch with the lowest page number goes, whichever came first. So pages
// that are read in parallel under a limit are requested from the top down, and messages that move down meanwhile are
// met twice and not missed; and reading ahead does not come between the requests that prove the current batch.
type queue struct {
	lead chan struct{} // holds a token while one of the requests waits for the limit

	mu      sync.Mutex
	waiting []*waiter
}

type waiter struct {
	turn reader.Priority
	goes chan struct{} // closed when it is its turn
}

func newQueue() *queue { return &queue{lead: make(chan struct{}, 1)} }

// wait blocks until it is the turn of a request, or the context ends. limit waits for the rate limit.
func (q *queue) wait(ctx context.Context, turn reader.Priority, limit func(context.Context) error) error {
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

// next waits for the limit on behalf of whichever request is first then. It returns at once if the caller does not wait
// any more.
func (q *queue) next(ctx context.Context, me *waiter, limit func(context.Context) error) error {
	select {
	case <-me.goes:
		return nil
	default:
	}
	if err := limit(ctx); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	first := slices.MinFunc(q.waiting, func(a, b *waiter) int { return a.turn.Compare(b.turn) })
	q.remove(first)
	close(first.goes)
	return nil
}

func (q *queue) leave(w *waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(w)
}

func (q *queue) remove(w *waiter) {
	q.waiting = slices.DeleteFunc(q.waiting, func(other *waiter) bool { return other == w })
}
