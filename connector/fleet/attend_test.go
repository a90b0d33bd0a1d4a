package fleet

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// replica is a member of a test and what it was told.
type replica struct {
	*access
	id       string
	views    []View
	times    []time.Time
	failures []error
	err      error
	end      func() // asks it to end, and waits for it
}

// start has a replica take part.
func start(ctx context.Context, board *memoryBoard, id string) *replica {
	r := &replica{access: newAccess(board), id: id}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	r.end = func() { cancel(); <-done }
	go func() {
		defer close(done)
		r.err = Attend(ctx, Attendance{Board: r, Self: id, Changed: r.changed, Failed: r.failed})
	}()
	return r
}

func (r *replica) changed(v View) {
	r.access.mu.Lock()
	defer r.access.mu.Unlock()
	r.views = append(r.views, v)
	r.times = append(r.times, time.Now())
}

func (r *replica) failed(err error) {
	r.access.mu.Lock()
	defer r.access.mu.Unlock()
	r.failures = append(r.failures, err)
}

// members are those of the last view; known is false if there was none yet.
func (r *replica) members() (ids []string, known bool) {
	r.access.mu.Lock()
	defer r.access.mu.Unlock()
	if len(r.views) == 0 {
		return nil, false
	}
	for _, m := range r.views[len(r.views)-1].Members {
		ids = append(ids, m.ID)
	}
	return ids, true
}

// expect fails the test if the replica counts on others than these; none means that it waits.
func (r *replica) expect(t *testing.T, ids ...string) {
	t.Helper()
	synctest.Wait()
	if got, known := r.members(); !known || !slices.Equal(got, ids) {
		t.Errorf("%s counts on %q (known %t), want %q", r.id, got, known, ids)
	}
}

func TestAttend_ComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newMemoryBoard()
		first := start(t.Context(), board, "a")
		first.expect(t, "a")
		second := start(t.Context(), board, "b")
		second.expect(t)
		first.expect(t, "a", "b")
		time.Sleep(Round)
		second.expect(t, "a", "b")
		first.end()
		second.expect(t, "b")
		second.end()
		if ids := board.list(); len(ids) > 0 {
			t.Errorf("the board still shows %q", ids)
		}
		if first.err != nil || second.err != nil || len(first.failures)+len(second.failures) > 0 {
			t.Error(first.err, second.err, first.failures, second.failures)
		}
	})
}
