package connector

import (
	"context"
	"sync"
)

// ahead is a group of a deep backlog that is being read: the one that is walked now, or that of the next step, beside a commit
// or the last readings of the group below it.
type ahead struct {
	start, to int
	nearly    chan struct{} // closed when few of its pages are still to be asked for
	stop      context.CancelFunc
	wait      func()
	group     group
}

// aheadPages is how many pages of a group are still to be asked for when the next one begins, so that no hand is idle while the
// ends of both are read one after the other.
const aheadPages = 8

// aheadTo is the last page of the first group of a walk that begins below page 0: a page beyond where the walk before began.
func (r *Reader) aheadTo(start int) int { return start + r.groupStep() + 1 }

// topTo is the last page of the first group of a walk from page 0, where the walk before began at this page.
func (r *Reader) topTo(rose int) int { return min(rose+1, r.slice-1) }

// groupStep is how many pages of a deep backlog a walk takes that reads groups: nearly a slice, as ground moves down by little
// meanwhile.
func (r *Reader) groupStep() int { return max(1, r.slice-2-r.slice/8) }

// hands reads the pages of a group.
func (r *Reader) hands() Crew {
	if r.growing > 0 {
		return alone{r.crew}
	}
	return r.crew
}

// begin begins to read a group.
func (r *Reader) begin(ctx context.Context, start, to int) *ahead {
	a := &ahead{start: start, to: to, nearly: make(chan struct{})}
	crew, count := r.hands(), r.countGroup()
	ctx, a.stop = context.WithCancel(ctx)
	a.wait = r.crew.Aside(func() {
		nearly := sync.OnceFunc(func() { close(a.nearly) })
		defer nearly()
		a.group = r.readGroup(ctx, count, a.start, nil, a.to, crew, nearly)
	})
	return a
}

// readAhead begins to read where the walk will that follows one from this page, if it is not under way and there is room.
func (r *Reader) readAhead(ctx context.Context, from int) {
	if r.oneWalk || r.growing > 0 || r.room != nil && !r.room.Ahead() {
		return
	}
	start := max(0, from-r.groupStep())
	to := r.aheadTo(start)
	if start == 0 {
		to = r.topTo(from)
	}
	if r.ahead != nil && r.ahead.start == start && r.ahead.to == to {
		return
	}
	r.abandon()
	r.ahead = r.begin(ctx, start, to)
}

// aheadFromTop says that a group from page 0 is being read already. What comes in above it meanwhile is for the next poll.
func (r *Reader) aheadFromTop() bool { return r.ahead != nil && r.ahead.start == 0 && r.rose > 0 }

// groupFrom is the group that was read ahead, where it is the one asked for, else it is read now.
func (r *Reader) groupFrom(ctx context.Context, number int, edge *Page, to int) group {
	if edge != nil {
		r.abandon()
		return r.readGroup(ctx, r.countGroup(), number, edge, to, r.hands(), func() {})
	}
	a := r.ahead
	fresh := a == nil || a.start != number || a.to != to
	if fresh {
		r.abandon()
		a = r.begin(ctx, number, to)
	}
	r.ahead = nil
	<-a.nearly
	if number > 0 {
		r.readAhead(ctx, number)
	}
	a.wait()
	a.stop()
	if !a.group.whole {
		r.abandon()
	}
	if a.group.err != nil && !fresh {
		return r.readGroup(ctx, r.countGroup(), number, edge, to, r.hands(), func() {})
	}
	return a.group
}

// holdsAhead says whether pages for the next step are held, or being read.
func (r *Reader) holdsAhead() bool { return r.ahead != nil }

// abandon ends what is read ahead and forgets it.
func (r *Reader) abandon() {
	if r.ahead != nil {
		r.ahead.stop()
		r.ahead.wait()
		r.ahead = nil
	}
}

// Close waits for what the reader does beside its steps. The context of the last step should have ended.
func (r *Reader) Close() { r.abandon() }
