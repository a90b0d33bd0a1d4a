package poller

import (
	"context"
	"slices"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// queue orders the requests of one stream. Of those that wait, one waits for the rate limit, and when that lets a
// request go, it is the one of the oldest batch that is furthest up, whoever came first. So where the limit holds back
// pages that are read side by side, they are asked for from the top down, and what moves down meanwhile is met twice
// and not missed; and what is read ahead does not come between the readings that prove what is read now.
type queue struct {
	lead chan struct{} // holds a token while one of them waits for the limit

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

// next waits for the limit, for whoever is first then. It returns at once where the caller is not among those that wait
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
