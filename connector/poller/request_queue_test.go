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

// queued is a queue whose limit admits one request each second, and the order of the requests.
type queued struct {
	*queue
	limiter *quota.Limiter
	batch   sync.WaitGroup

	mu   sync.Mutex
	went []reader.Priority
	gone []reader.Priority // those that failed
}

// limitOf adapts the limiter for the queue.
type limitOf struct{ *quota.Limiter }

func (l limitOf) wait(ctx context.Context) error { return l.Wait(ctx, quota.CatchUp) }

func (l limitOf) burst(ctx context.Context, n int) (time.Time, error) {
	return l.Burst(ctx, quota.CatchUp, n)
}

func newQueued() *queued { return &queued{queue: newQueue(), limiter: quota.NewLimiter(60)} }

// ask makes a request wait beside the others, until the context ends.
func (q *queued) ask(ctx context.Context, turn reader.Priority) {
	q.batch.Go(func() {
		err := q.wait(ctx, turn, limitOf{q.limiter})
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
		// The first one went at once, because nothing was waiting.
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

// The first request of a burst waits until the limit has room for the whole burst. The following ones of its batch do
// not wait, as long as that room is reserved.
func TestQueue_Burst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, began := newQueued(), time.Now()
		q.ask(t.Context(), reader.Priority{Batch: 1, Page: 1})
		q.ask(t.Context(), reader.Priority{Batch: 2, Page: 4, Burst: 4})
		q.batch.Wait()
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("a burst of 4 after one request went after %v", took)
		}
		for _, test := range []struct {
			turn reader.Priority
			want bool
		}{
			{reader.Priority{Batch: 3, Page: 1, Burst: 2}, false},
			{reader.Priority{Batch: 2, Page: 9}, false},
			{reader.Priority{Batch: 2, Page: 9, Burst: 3}, true},
			{reader.Priority{Batch: 2, Page: 5, Burst: 2}, true},
		} {
			if got := q.follows(test.turn); got != test.want {
				t.Errorf("%+v follows: %t", test.turn, got)
			}
		}
		time.Sleep(4 * time.Second)
		if q.follows(reader.Priority{Batch: 2, Page: 6, Burst: 1}) {
			t.Error("a request follows after the time for the burst")
		}
		q.ask(t.Context(), reader.Priority{Batch: 1, Page: 2})
		q.batch.Wait()
		if took := time.Since(began); took != 8*time.Second {
			t.Errorf("the next request went after %v", took)
		}
	})
}

// brokenLimit fails, or admits one request and fails when asked for a burst.
type brokenLimit struct{ one, more error }

func (l brokenLimit) wait(context.Context) error { return l.one }

func (l brokenLimit) burst(context.Context, int) (time.Time, error) { return time.Time{}, l.more }

func TestQueue_LimitFails(t *testing.T) {
	q := newQueue()
	broken := errors.New("broken")
	for _, test := range []struct {
		limit brokenLimit
		burst int
		want  error
	}{{brokenLimit{broken, nil}, 1, broken}, {brokenLimit{nil, broken}, 3, broken}, {brokenLimit{nil, broken}, 1, nil}} {
		err := q.wait(t.Context(), reader.Priority{Batch: 1, Page: 1, Burst: test.burst}, test.limit)
		if !errors.Is(err, test.want) {
			t.Errorf("got %v, want %v", err, test.want)
		}
	}
	if len(q.waiting) != 0 {
		t.Errorf("%d wait", len(q.waiting))
	}
}

// If the rate limit delays pages that are read in parallel, they are requested in the same order as sequentially.
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
