package reader

import (
	"context"
	"errors"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// searcher searches the list for where a stream starts, where ground begins, and where the list ends.
type searcher struct{ *Reader }

// findStart searches a backlog deeper than a slice for where ground begins, and lets walks begin half a slice above it
// (rule 6). It is an exponential search for the first page that shows ground, nothing, or only messages older than
// ground. Times are only a guide: a wrong guess costs requests, as the walk from there still has to end in a run of
// ground. If it led below ground, the search is repeated without times, in steps that cannot jump over what is known.
// It returns how many pages it read. top is page 0 if it was just read.
func (r *searcher) findStart(ctx context.Context, top *connector.Page) (int, error) {
	limit := r.known.times.median(r.known.window.certified)
	b := NewSearchBounds(MaxSearchPages)
	if r.progress.careful { // as many as are needed to reach the end that the last search found
		b.most = min(carefulPages, b.most+r.list.end.number/r.stride())
	}
	if top != nil {
		_ = b.Note(0, *top)
	}
	down := exponentialSearch{pool: r.prefetch.workers, bounds: b, read: r.source.read}
	down.bottom = func(page connector.Page) bool {
		if len(page.Messages) == 0 || slices.ContainsFunc(page.Messages, func(m connector.Message) bool {
			return r.ends.bottom(m.Key)
		}) {
			return true
		}
		return !r.progress.careful && !limit.IsZero() && AllOlder(page.Messages, limit.After)
	}
	low, step := r.progress.start+r.progress.slice-1, r.progress.slice+1
	further := func(high, _ int) int { return 2 * high }
	switch {
	case r.progress.careful:
		step = r.stride()
		further = func(high, step int) int { return high + step }
	case top != nil: // no walk has been further down
		low, step = 0, 1
	}
	high, err := down.find(ctx, low, step, further)
	if errors.Is(err, ErrStalled) {
		careful := r.progress.careful && b.spent()
		r.searchAfresh()
		if careful { // its steps are small, so it continues where the last one ended
			r.progress.start, r.progress.careful = down.low, true
		}
	}
	if err != nil {
		return b.count(), err
	}
	if further, err := r.ends.endsFurther(ctx, high); further || err != nil {
		return b.count(), err
	}
	above := max(1, r.progress.slice/2)
	if r.prefetch.workers != nil && r.prefetch.parallelCooldown == 0 {
		above = r.prefetch.batchStep()
	}
	r.progress.start, r.progress.previous, r.progress.minGroundRun, r.progress.fromTop = max(0, high-above), nil, 0, false
	r.prefetch.emptyAt = 0
	if down.empty {
		r.prefetch.emptyAt = high
	}
	return b.count(), nil
}

// overshot reports whether a walk without ground ends in nothing but messages older than ground: then the search led
// below ground.
func (r *searcher) overshot(order []found) bool {
	limit := r.known.times.median(r.known.window.certified)
	if r.progress.start == 0 || r.progress.careful || limit.IsZero() || !r.known.hasGround() || len(order) < r.rules.Page {
		return false
	}
	timed := 0
	for _, f := range order[len(order)-r.rules.Page:] {
		if f.Time.IsZero() {
			continue
		}
		if timed++; !f.Time.Before(limit) || r.known.ground(f.Key) {
			return false
		}
	}
	return timed > 0
}

// searchAfresh discards the result of a search: the next walk begins at the top of the list.
func (r *searcher) searchAfresh() {
	r.progress.start, r.progress.previous, r.progress.careful, r.progress.minGroundRun, r.progress.fromTop,
		r.progress.searched, r.list.stalls = 0, nil, false, 0, false, false, 0
	r.prefetch.abandon()
}

// stride is how many pages a careful search may step without jumping over the known messages: half of the pages that
// they should fill, as some may have been deleted.
func (r *searcher) stride() int {
	return max(1, (r.known.window.inOrder+len(r.known.exempt))/(2*r.rules.Page))
}

// withoutGround applies rule 8 to a walk that saw the whole list without meeting ground although there was some: what
// is newer than ground by time is new; the rest is held, and its newest messages become the horizon, which counts as
// ground from then on.
func (r *searcher) withoutGround(w *walked) {
	limit := r.known.times.median(r.known.window.certified)
	newer := newerThanGround(w.order, limit)
	kept := w.order[:0:0]
	for i := range w.order {
		f := w.order[i]
		if r.known.has(f.Key) || newer[i] {
			kept = append(kept, f)
			if len(w.horizon) > 0 {
				w.newer = limit
			}
			continue
		}
		r.known.countHeld(f.Key)
		if len(w.horizon) < r.rules.Floor {
			w.horizon = append(w.horizon, f.Key)
		}
	}
	w.order = kept
}
