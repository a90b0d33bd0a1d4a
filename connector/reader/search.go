package reader

import (
	"context"
	"errors"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// findStart searches a backlog deeper than a slice for where ground begins, and lets walks begin half a slice above it. It
// gallops and bisects for the first page that shows ground, nothing, or only messages older than ground. Times only guide:
// a wrong guess costs requests, for the walk from there must still end in a run of ground. If it led below ground, the
// search is done again without times, in steps that cannot jump over what is known. It returns how many pages it read. top is page 0,
// where it was just read.
func (r *Reader) findStart(ctx context.Context, top *connector.Page) (int, error) {
	limit := r.times.median(r.window.certified)
	b := NewSearchBounds(MaxSearchLooks)
	if r.careful { // as many as it takes down to the end that the search before met
		b.most = min(carefulLooks, b.most+r.end.number/r.stride())
	}
	if top != nil {
		_ = b.Show(0, *top)
	}
	g := gallop{pool: r.workers, bounds: b, read: r.read, bottom: func(page connector.Page) bool {
		if len(page.Messages) == 0 || slices.ContainsFunc(page.Messages, func(m connector.Message) bool { return r.bottom(m.Key) }) {
			return true
		}
		return !r.careful && !limit.IsZero() && AllOlder(page.Messages, limit.After)
	}}
	low, step := r.start+r.slice-1, r.slice+1
	further := func(high, _ int) int { return 2 * high }
	switch {
	case r.careful:
		step = r.stride()
		further = func(high, step int) int { return high + step }
	case r.start == 0 && r.empty():
		low, step = 0, 1
	}
	high, err := g.find(ctx, low, step, further)
	if errors.Is(err, ErrStalled) {
		careful := r.careful && b.spent()
		r.searchAfresh()
		if careful { // its steps are small: it goes on where it came to
			r.start, r.careful = g.low, true
		}
	}
	if err != nil {
		return b.made(), err
	}
	if further, err := r.endsFurther(ctx, high); further || err != nil {
		return b.made(), err
	}
	above := max(1, r.slice/2)
	if r.workers != nil && r.parallelCooldown == 0 {
		above = r.batchStep()
	}
	r.start, r.previous, r.minGroundRun, r.fromTop = max(0, high-above), nil, 0, false
	return b.made(), nil
}

// overshot says whether a walk that began where a search led, and met no ground, comes to nothing but messages older than ground: the
// search led below it.
func (r *Reader) overshot(order []found) bool {
	limit := r.times.median(r.window.certified)
	if r.start == 0 || r.careful || limit.IsZero() || !r.hasGround() || len(order) < r.rules.Page {
		return false
	}
	timed := 0
	for _, f := range order[len(order)-r.rules.Page:] {
		if f.Time.IsZero() {
			continue
		}
		if timed++; !f.Time.Before(limit) || r.ground(f.Key) {
			return false
		}
	}
	return timed > 0
}

// searchAfresh forgets where a search led to: the next walk begins at the top of the list.
func (r *Reader) searchAfresh() {
	r.start, r.previous, r.careful, r.minGroundRun, r.fromTop, r.searched, r.stalls = 0, nil, false, 0, false, false, 0
	r.abandon()
}

// empty says whether there is no ground at all: a stream that begins at the beginning of its list. Its first walk would read a
// slice for nothing.
func (r *Reader) empty() bool {
	return r.window.last == r.window.base && len(r.exempt) == 0
}

// stride is how many pages a careful search may step without jumping over what is known: half of what the list must show of
// it, as some of it may have been deleted.
func (r *Reader) stride() int {
	return max(1, (r.window.inOrder+len(r.exempt))/(2*r.rules.Page))
}
