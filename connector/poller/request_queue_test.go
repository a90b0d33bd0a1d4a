package poller

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// queued is a queue whose limit lets one request go each second, and the order in which they went.
type queued struct {
	*queue
	limiter *quota.Limiter
	batch   sync.WaitGroup

	mu   sync.Mutex
	went []reader.Priority
	gone []reader.Priority // with an error
}

func newQueued() *queued { return &queued{queue: newQueue(), limiter: quota.NewLimiter(60)} }

// ask lets a request wait beside the others, until the context ends.
func (q *queued) ask(ctx context.Context, turn reader.Priority) {
	q.batch.Go(func() {
		err := q.wait(ctx, turn, func(ctx context.Context) error { return q.limiter.Wait(ctx, quota.CatchUp) })
		q.mu.Lock()
		defer q.mu.Unlock()
		if err != nil {
			q.gone = append(q.gone, turn)
			return
		}
		q.went = append(q.went, turn)
	})
	synctest.Wait()
}

func (q *queued) check(t *testing.T, went, gone []reader.Priority) {
	t.Helper()
	q.batch.Wait()
	if !slices.Equal(q.went, went) || !slices.Equal(q.gone, gone) {
		t.Errorf("went %v, want %v; gone %v, want %v", q.went, went, q.gone, gone)
	}
	if len(q.waiting) != 0 || len(q.lead) != 0 {
		t.Errorf("%d wait, %d lead", len(q.waiting), len(q.lead))
	}
}

func TestQueue_Order(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueued()
		for _, turn := range []reader.Priority{
			{Batch: 1, Page: 40},
			{Batch: 2, Page: 3},
			{Batch: 2, Page: 2},
			{Batch: 1, Page: 12},
			{Batch: 1, Page: 11},
			{Batch: 0, Page: 5},
			{Batch: 1, Page: 13},
		} {
			q.ask(t.Context(), turn)
		}
		// The first one found nobody before it.
		q.check(t, []reader.Priority{
			{Batch: 1, Page: 40},
			{Batch: 0, Page: 5},
			{Batch: 1, Page: 11},
			{Batch: 1, Page: 12},
			{Batch: 1, Page: 13},
			{Batch: 2, Page: 2},
			{Batch: 2, Page: 3},
		}, nil)
	})
}

func TestQueue_LaterOnesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueued()
		q.ask(t.Context(), reader.Priority{Batch: 1, Page: 1})
		q.ask(t.Context(), reader.Priority{Batch: 2, Page: 7})
		q.ask(t.Context(), reader.Priority{Batch: 2, Page: 6})
		time.Sleep(1500 * time.Millisecond) // one of the second batch is gone
		q.ask(t.Context(), reader.Priority{Batch: 1, Page: 9})
		q.check(t, []reader.Priority{{Batch: 1, Page: 1}, {Batch: 2, Page: 6}, {Batch: 1, Page: 9}, {Batch: 2, Page: 7}}, nil)
	})
}

func TestQueue_WhoeverGivesUp(t *testing.T) {
	for name, ends := range map[string]reader.Priority{
		"the one that waits for the limit": {Batch: 1, Page: 5},
		"one that waits for its turn":      {Batch: 1, Page: 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueued()
				q.ask(t.Context(), reader.Priority{Batch: 1, Page: 1})
				ending, end := context.WithCancel(t.Context())
				var went []reader.Priority
				for _, turn := range []reader.Priority{{Batch: 1, Page: 5}, {Batch: 1, Page: 4}, {Batch: 1, Page: 3}} {
					ctx := t.Context()
					if turn == ends {
						ctx = ending
					} else {
						went = append(went, turn)
					}
					q.ask(ctx, turn)
				}
				end()
				synctest.Wait()
				slices.Reverse(went)
				q.check(t, append([]reader.Priority{{Batch: 1, Page: 1}}, went...), []reader.Priority{ends})
			})
		})
	}
}

func TestQueue_LimitFails(t *testing.T) {
	q := newQueue()
	broken := errors.New("broken")
	if err := q.wait(t.Context(), reader.Priority{Batch: 1, Page: 1}, func(context.Context) error {
		return broken
	}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := q.wait(t.Context(), reader.Priority{Batch: 1, Page: 2}, func(context.Context) error {
		return nil
	}); err != nil {
		t.Error(err)
	}
	if len(q.waiting) != 0 {
		t.Errorf("%d wait", len(q.waiting))
	}
}

// Where the rate limit holds pages back that are read in parallel, they are asked for in the same order as by one hand.
func TestPoller_AsksInOrder(t *testing.T) {
	asked := func(workers reader.Workers) []int {
		pages, _ := backlog(t, 150, 0, workers, 1)
		return pages
	}
	one := asked(1)
	if len(one) < 150 {
		t.Fatalf("only %d pages were asked for", len(one))
	}
	for range 3 {
		if four := asked(4); !slices.Equal(four, one) {
			t.Errorf("four workers asked for\n%v, one for\n%v", four, one)
		}
	}
}
