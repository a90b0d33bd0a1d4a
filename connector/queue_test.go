package connector

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// queued is a queue whose limit lets one request go each second, and the order in which they went.
type queued struct {
	*queue
	limiter *Limiter
	group   sync.WaitGroup

	mu   sync.Mutex
	went []Turn
	gone []Turn // with an error
}

func newQueued() *queued { return &queued{queue: newQueue(), limiter: NewLimiter(60)} }

// ask lets a request wait beside the others, until the context ends.
func (q *queued) ask(ctx context.Context, turn Turn) {
	q.group.Go(func() {
		err := q.wait(ctx, turn, func(ctx context.Context) error { return q.limiter.Wait(ctx, CatchUp) })
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

func (q *queued) check(t *testing.T, went, gone []Turn) {
	t.Helper()
	q.group.Wait()
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
		for _, turn := range []Turn{{1, 40}, {2, 3}, {2, 2}, {1, 12}, {1, 11}, {0, 5}, {1, 13}} {
			q.ask(t.Context(), turn)
		}
		// The first one found nobody before it.
		q.check(t, []Turn{{1, 40}, {0, 5}, {1, 11}, {1, 12}, {1, 13}, {2, 2}, {2, 3}}, nil)
	})
}

func TestQueue_LaterOnesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueued()
		q.ask(t.Context(), Turn{1, 1})
		q.ask(t.Context(), Turn{2, 7})
		q.ask(t.Context(), Turn{2, 6})
		time.Sleep(1500 * time.Millisecond) // one of the second group is gone
		q.ask(t.Context(), Turn{1, 9})
		q.check(t, []Turn{{1, 1}, {2, 6}, {1, 9}, {2, 7}}, nil)
	})
}

func TestQueue_WhoeverGivesUp(t *testing.T) {
	for name, ends := range map[string]Turn{"the one that waits for the limit": {1, 5}, "one that waits for its turn": {1, 3}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueued()
				q.ask(t.Context(), Turn{1, 1})
				ending, end := context.WithCancel(t.Context())
				var went []Turn
				for _, turn := range []Turn{{1, 5}, {1, 4}, {1, 3}} {
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
				q.check(t, append([]Turn{{1, 1}}, went...), []Turn{ends})
			})
		})
	}
}

func TestQueue_LimitFails(t *testing.T) {
	q := newQueue()
	broken := errors.New("broken")
	if err := q.wait(t.Context(), Turn{1, 1}, func(context.Context) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if err := q.wait(t.Context(), Turn{1, 2}, func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	if len(q.waiting) != 0 {
		t.Errorf("%d wait", len(q.waiting))
	}
}

// Where the rate limit holds pages back that are read side by side, they are asked for in the same order as by one hand.
func TestPoller_AsksInOrder(t *testing.T) {
	asked := func(hands Hands) []int {
		pages, _ := backlog(t, 150, 0, hands, 1)
		return pages
	}
	one := asked(1)
	if len(one) < 150 {
		t.Fatalf("only %d pages were asked for", len(one))
	}
	for range 3 {
		if four := asked(4); !slices.Equal(four, one) {
			t.Errorf("four hands asked for\n%v, one for\n%v", four, one)
		}
	}
}
