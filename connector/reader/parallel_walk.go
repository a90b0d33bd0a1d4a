package reader

import (
	"context"
	"errors"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// batchSizes is how many new pages each batch of a walk from page 0 has: few at first, as most walks are short.
var batchSizes = [...]int{1, 3, 6, 12, 24}

// growingBatches is the number of batches for which a list counts as growing after it grew while a batch was read.
const growingBatches = 4

// inParallel walks by batches of pages. Each batch is a slice of the list and begins with the last page of the batch
// before, so that together they are one slice. It reports true if the walk is complete and proven. With false and no
// error, a batch was not proven, and the walk has to be done page by page.
func (w *walker) inParallel(ctx context.Context, first *connector.Page) (bool, error) {
	r := w.reader
	if r.prefetch.workers == nil || r.prefetch.parallelCooldown > 0 {
		r.prefetch.parallelCooldown = max(0, r.prefetch.parallelCooldown-1)
		r.prefetch.abandon()
		return false, nil
	}
	if first != nil {
		if len(first.Messages) == 0 {
			return false, nil
		}
		if done, err := w.addPage(*first); done || err != nil {
			return done, err
		}
	}
	emptyAt := r.prefetch.emptyAt
	r.prefetch.emptyAt = 0
	edge, number, to := first, r.progress.start, r.progress.start+batchSizes[0]
	switch { // in a deep backlog it is roughly known where ground is
	case r.progress.start > 0:
		to = r.prefetch.aheadTo(r.progress.start)
		if emptyAt > r.progress.start {
			to = min(to, emptyAt-1) // the search has just looked at the pages below
		}
	case r.prefetch.prevStart > 0:
		to = r.prefetch.topTo(r.prefetch.prevStart)
	}
	ground := r.prefetch.prevStart
	for round := 1; ; round++ {
		if err := r.prefetch.checkMemory(to - r.progress.start + 1); err != nil {
			return false, err
		}
		r.prefetch.prevStart = 0
		g := r.prefetch.batchFrom(ctx, number, edge, to)
		w.pages += g.requests
		switch {
		case g.err == nil, errors.Is(g.err, errHeavy):
		// a History returns ErrMoved; from page 0 on it means that page 0 is out of date too
		case errors.Is(g.err, ErrMoved) && r.progress.start > 0:
		default:
			return false, g.err
		}
		if !g.whole {
			w.batchFailed(g, ground)
			return false, nil
		}
		if r.prefetch.serialBatches = max(0, r.prefetch.serialBatches-1); g.grew {
			r.prefetch.serialBatches = growingBatches
		}
		if edge != nil {
			g.pages = g.pages[1:]
		}
		if w.passesOver(g.pages) {
			w.batchFailed(g, ground)
			return false, nil
		}
		w.order = slices.Grow(w.order, len(g.pages)*r.rules.Page)
		for _, page := range g.pages {
			if len(page.Messages) == 0 {
				continue // all its rows were on the page before
			}
			if done, err := w.addPage(page); done || err != nil {
				r.prefetch.failedBatches, w.proven = 0, done
				return done, err
			}
		}
		edge, number = &g.edge, g.edge.Number
		if len(edge.Messages) < r.rules.Page || g.ended || number+1 == emptyAt && !g.grew {
			w.shown = len(edge.Messages)
			if ended, err := w.tryEnd(ctx, number+1); ended || err != nil {
				return ended, err
			}
			if len(w.below.Messages) == 0 {
				return false, nil // a gap, which only a walk in order can pass: a batch would end above it again
			}
		}
		if number-r.progress.start+1 >= r.progress.slice {
			return false, errDeep
		}
		to = min(number+batchSizes[min(round, len(batchSizes)-1)], r.progress.start+r.progress.slice-1)
	}
}

// batchFailed handles a batch that was not proven. The walk tries batches once more, reading one page after the other.
// If that fails too, the list moves too much for batches, which only cost calls, and the next walks do without them.
// ground is the page where ground begins, or 0 if that is unknown: a walk in order begins closer to it.
func (w *walker) batchFailed(g batchRead, ground int) {
	r := w.reader
	if !g.inTurn && !w.second {
		r.prefetch.serialBatches, w.again, r.prefetch.prevStart = growingBatches, true, ground
		return
	}
	r.prefetch.failedBatches = min(r.prefetch.failedBatches+1, 4)
	r.prefetch.parallelCooldown = 1<<r.prefetch.failedBatches - 1
	if r.progress.previous == nil {
		r.progress.start = max(r.progress.start, ground-max(1, r.progress.slice/2))
	}
}

// tryEnd is called after a page that was short or followed by an empty one. It concludes the walk if the list is proven
// to end there, and reports whether it did.
func (w *walker) tryEnd(ctx context.Context, number int) (bool, error) {
	page, ends, err := w.reader.list.page(ctx, number)
	w.pages++
	if err != nil || !ends {
		w.below = page
		return false, err
	}
	err = w.concludeAtEnd(ctx, page)
	w.proven = err == nil
	return w.proven, err
}

// passesOver reports whether a batch that begins directly below the pages of the walk no longer shows the message that
// was first there when the end of the list was checked. That message was missed or deleted. (The proof of a batch
// misses this only after two deletions and a new message between its readings.)
func (w *walker) passesOver(pages []connector.Page) bool {
	if len(w.below.Messages) == 0 {
		return false
	}
	first := w.below.Messages[0].Key
	w.below = connector.Page{}
	_, met := w.met[first]
	return !met && !slices.ContainsFunc(pages, func(page connector.Page) bool { return lists(page, first) })
}
