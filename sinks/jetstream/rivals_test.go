package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// replica behaves like a Poller with one list that all replicas read: it acquires, commits what the list has beyond the
// log, and stands by after it was fenced, for as long as others commit.
type replica struct {
	log    *Log
	listed *atomic.Uint64 // messages on the list

	commits, takeOvers, fenced int
	err                        error
}

func (r *replica) run(ctx context.Context) {
	for ctx.Err() == nil {
		state, err := r.log.Acquire(ctx)
		if err == nil {
			r.takeOvers++
			err = r.deliver(ctx, state.Checkpoint)
		}
		var refusal *connector.Refusal
		switch {
		case errors.Is(err, connector.ErrFenced):
			r.fenced++
			r.standBy(ctx)
		case errors.As(err, &refusal):
			r.err = err
			return
		default:
			_ = connector.Sleep(ctx, time.Millisecond)
		}
	}
}

func (r *replica) deliver(ctx context.Context, c connector.Checkpoint) error {
	for ctx.Err() == nil {
		listed := r.listed.Load()
		if listed == c.Sequence {
			_ = connector.Sleep(ctx, time.Millisecond)
			continue
		}
		events := sinktest.Events(r.log.claim.Stream, c.Sequence+1, int(listed-c.Sequence))
		next := sinktest.Next(c, events, nil, listed)
		// A commit in flight is finished when the test ends, so that its result can be read back.
		if err := r.log.Commit(context.WithoutCancel(ctx), events, nil, next); err != nil {
			return err
		}
		r.commits++
		c = next
	}
	return nil
}

// standBy lasts while the other commits.
func (r *replica) standBy(ctx context.Context) {
	last, quiet := uint64(0), 0
	for quiet < 100 && connector.Sleep(ctx, 10*time.Millisecond) == nil {
		quiet++
		if c, found, err := r.log.Peek(ctx); err == nil && found && c.Sequence != last {
			last, quiet = c.Sequence, 0
		}
	}
}

// TestRivals starts live instances one after the other on one stream, with messages flowing: each takes it over once,
// and an overtaken instance stays away. Their events have the same message ids, which the server checks before it
// checks the guard.
func TestRivals(t *testing.T) {
	t.Parallel()
	for _, instances := range []int{2, 3} {
		t.Run(fmt.Sprint(instances), func(t *testing.T) {
			t.Parallel()
			s, c := startStream(t)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var listed atomic.Uint64
			var running sync.WaitGroup
			running.Go(func() {
				for connector.Sleep(ctx, 2*time.Millisecond) == nil {
					listed.Add(1)
				}
			})
			peek := openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "nobody"))
			flows := func(n uint64) func() bool {
				return func() bool {
					found, ok, err := peek.Peek(t.Context())
					return err == nil && ok && found.Sequence >= n
				}
			}
			var all []*replica
			for i := range instances {
				r := &replica{log: openLog(t, openSink(t, c, connector.ModeStructured),
					sinktest.Claim(stream, fmt.Sprint("instance ", i))), listed: &listed}
				all = append(all, r)
				running.Go(func() { r.run(ctx) })
				from := listed.Load()
				eventually(t, "messages to flow", flows(from+150))
			}
			from := listed.Load()
			eventually(t, "messages to flow on", flows(from+500))
			stop()
			running.Wait()
			found, ok, err := peek.Peek(t.Context())
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			fenced := 0
			for i, r := range all {
				if r.err != nil || r.takeOvers != 1 {
					t.Errorf("instance %d: %d take-overs, %d commits, fenced %d times, %v", i, r.takeOvers, r.commits, r.fenced, r.err)
				}
				fenced += r.fenced
			}
			if fenced != instances-1 || found.Epoch != uint64(instances) {
				t.Errorf("fenced %d times, epoch %d", fenced, found.Epoch)
			}
			wantSequences(t, s.client(t), stream, found.Sequence)
		})
	}
}

// TestAcquire_leavesTheLogToWhoTookItOver: a commit without an answer does not tell who owns the log.
func TestAcquire_leavesTheLogToWhoTookItOver(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	p := startProxy(t, s.url())
	slow := c
	slow.URL, slow.Timeout = p.url(), 500*time.Millisecond
	one := openLog(t, openSink(t, slow, connector.ModeStructured), sinktest.Claim(stream, "one"))
	two := openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "two"))
	checkpoint := acquire(t, one).Checkpoint
	events := sinktest.Events(one.claim.Stream, 1, 20)
	checkpoint = commit(t, one, checkpoint, events[:5])
	p.deaf.Store(true)
	wantUnclear(t, one.Commit(t.Context(), events[5:10], nil, sinktest.Next(checkpoint, events[5:10], nil, 5)))
	state := acquire(t, two)
	p.deaf.Store(false)
	p.cut()
	eventually(t, "one to find out", func() bool {
		_, err := one.Acquire(t.Context())
		if err != nil && !errors.Is(err, connector.ErrNotNow) && !errors.Is(err, connector.ErrFenced) {
			t.Fatal(err)
		}
		return errors.Is(err, connector.ErrFenced)
	})
	if err := one.Commit(t.Context(), nil, nil, checkpoint); !errors.Is(err, connector.ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
	commit(t, two, state.Checkpoint, events[10:])
	// Once it has stood by for long enough, it may take over.
	state = acquire(t, one)
	if state.Checkpoint.Sequence != 20 || len(state.Seen) != 20 {
		t.Errorf("finds sequence %d and %d events", state.Checkpoint.Sequence, len(state.Seen))
	}
	wantSequences(t, s.client(t), stream, 20)
}
