package fleet

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// replica is a member of a test and what it was told.
type replica struct {
	*access
	id       string
	views    []View
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
	r.mu.Lock()
	defer r.mu.Unlock()
	r.views = append(r.views, v)
}

func (r *replica) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, err)
}

// told is what Failed was told, with nothing for nil.
func (r *replica) told() (texts []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range r.failures {
		texts = append(texts, "")
		if err != nil {
			texts[len(texts)-1] = err.Error()
		}
	}
	return texts
}

// delay has each call take that long from now on.
func (r *replica) delay(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slow = d
}

// members are those of the last view; known is false if there was none yet.
func (r *replica) members() (ids []string, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
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

// pass lets time pass, and everything happen that happens until then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAttend_ComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newMemoryBoard()
		first := start(t.Context(), board, "a")
		first.expect(t, "a")
		second := start(t.Context(), board, "b")
		second.expect(t)
		first.expect(t, "a", "b")
		pass(Round)
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

// A member that is killed is gone before fifteen seconds are over; one of its own label that starts again, at once.
func TestAttend_Killed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newMemoryBoard()
		board.record("pod:8080.old", false)
		r := start(t.Context(), board, "pod:8080.new")
		r.expect(t, "pod:8080.new")
		if ids := board.list(); !slices.Equal(ids, []string{"pod:8080.new"}) {
			t.Errorf("the board shows %q: the ghost was not withdrawn", ids)
		}
		board.record("b", false)
		r.expect(t, "b", "pod:8080.new")
		pass(Lifetime + Round)
		r.expect(t, "pod:8080.new")
		r.end()
	})
}

func TestAttend_TakenForAGhost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newMemoryBoard()
		r := start(t.Context(), board, "a")
		r.expect(t, "a")
		pass(Round / 2)
		board.record("a", true)
		synctest.Wait()
		if ids := board.list(); !slices.Equal(ids, []string{"a"}) {
			t.Errorf("the board shows %q", ids)
		}
		r.end()
	})
}

// Who is cut off keeps its view, and says once that it is, and that it no longer is.
func TestAttend_Cut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newMemoryBoard()
		a, b := start(t.Context(), board, "a"), start(t.Context(), board, "b")
		pass(2 * Round)
		a.expect(t, "a", "b")
		a.set(announcing, errors.New("announce: down"))
		a.set(listing, errors.New("list: down"))
		a.set(hearing, errors.New("hear: down"))
		pass(time.Minute)
		a.expect(t, "a", "b")
		b.expect(t, "b")
		for _, o := range []operation{announcing, listing, hearing} {
			a.set(o, nil)
		}
		pass(Round)
		a.expect(t)
		b.expect(t, "a", "b")
		pass(2 * Round)
		a.expect(t, "a", "b")
		told := slices.DeleteFunc(a.told(), func(s string) bool { return s == "hear: down" })
		if want := []string{"announce: down", ""}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		a.end()
		b.end()
	})
}

// Only replicas that read the same streams share them.
func TestAttend_OtherFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newMemoryBoard()
		board.record("g/b", false)
		a := start(t.Context(), board, "f/a")
		a.expect(t, "f/a")
		board.record("g/b", false)
		a.expect(t, "f/a")
		a.end()
	})
}

// A board that takes longer than a round does not hold the rounds up.
func TestAttend_Slow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newMemoryBoard()
		a := start(t.Context(), board, "a")
		a.expect(t, "a")
		a.delay(time.Hour)
		pass(7 * Round / 2)
		a.delay(0)
		pass(Round)
		if ids := board.list(); !slices.Equal(ids, []string{"a"}) {
			t.Errorf("the board shows %q", ids)
		}
		a.end()
	})
}

// The end does not wait for a board that hangs.
func TestAttend_EndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := start(t.Context(), newMemoryBoard(), "a")
		a.expect(t, "a")
		a.delay(time.Hour)
		begun := time.Now()
		a.end()
		if took := time.Since(begun); took > farewell {
			t.Errorf("the end took %v", took)
		}
	})
}

// Hearing that ends is begun again, and lists do without it meanwhile.
func TestAttend_HearsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newMemoryBoard()
		a := start(t.Context(), board, "a")
		a.expect(t, "a")
		a.set(hearing, errors.New("down"))
		synctest.Wait()
		board.record("b", false)
		pass(Round)
		a.expect(t, "a", "b")
		a.set(hearing, nil)
		pass(Round)
		board.record("b", true)
		a.expect(t, "a")
		pass(2 * Round)
		if want := []string{"down", ""}; !slices.Equal(a.told(), want) {
			t.Errorf("told %q, want %q", a.told(), want)
		}
		a.end()
	})
}

// A refusal ends a replica that never took part; one that takes part goes on.
func TestAttend_Refused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal := &connector.Refusal{Thing: "sink", Cause: "forbidden", Hint: "allow it"}
		for _, o := range []operation{announcing, listing} {
			r := &replica{access: newAccess(newMemoryBoard())}
			r.set(o, refusal)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := Attend(ctx, Attendance{Board: r, Self: "a", Changed: r.changed, Failed: r.failed})
			if !errors.Is(err, refusal) || len(r.views) > 0 {
				t.Errorf("operation %d: %v, views %v", o, err, r.views)
			}
		}
		a := start(t.Context(), newMemoryBoard(), "a")
		a.expect(t, "a")
		a.set(announcing, refusal)
		pass(time.Minute)
		a.expect(t, "a")
		if want := []string{"sink: forbidden; allow it"}; !slices.Equal(a.told(), want) {
			t.Errorf("told %q, want %q", a.told(), want)
		}
		a.end()
		if a.err != nil {
			t.Error(a.err)
		}
	})
}

// Who is refused for long counts on itself alone. It says why, although it could not at first, and shares again once it
// may, without a moment in which it has nothing.
func TestAttend_RefusedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		board := newMemoryBoard()
		a, b := start(t.Context(), board, "a"), start(t.Context(), board, "b")
		pass(2 * Round)
		for _, r := range []*replica{a, b} {
			r.set(announcing, errors.New("no answer"))
		}
		pass(Round)
		for _, r := range []*replica{a, b} {
			r.set(announcing, &connector.Refusal{Thing: "sink", Cause: "forbidden", Hint: "allow it"})
		}
		pass(Lifetime + Round)
		a.expect(t, "a")
		b.expect(t, "b")
		pass(time.Minute)
		before := len(a.views)
		for _, r := range []*replica{a, b} {
			r.set(announcing, nil)
		}
		pass(3 * Round)
		a.expect(t, "a", "b")
		b.expect(t, "a", "b")
		if len(a.views) != before+1 {
			t.Errorf("it shares again in %d steps", len(a.views)-before)
		}
		if want := []string{"no answer", "sink: forbidden; allow it", ""}; !slices.Equal(a.told(), want) {
			t.Errorf("told %q, want %q", a.told(), want)
		}
		a.end()
		b.end()
	})
}
