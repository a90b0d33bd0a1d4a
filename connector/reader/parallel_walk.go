package reader

import (
	"context"
	"errors"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// batchSizes is how many new pages the batches of a walk from page 0 have: few at first, as most walks are short.
var batchSizes = [...]int{1, 3, 6, 12, 24}

// growingBatches is for how many batches a list counts as one that grows after it grew while a batch was read.
const growingBatches = 4

// inParallel walks by batches of pages that are slices of the list, chained by a common page: what is a slice between
// one batch's last page and the next one's makes one with it. It reports false, with no error, where the batches do not
// hold: then the walk has to be done in order. The walk is proven where it reports true.
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
		if done, err := w.take(*first); done || err != nil {
			return done, err
		}
	}
	edge, number, to := first, r.progress.start, r.progress.start+batchSizes[0]
	switch { // in a deep backlog it is known about where ground should be
	case r.progress.start > 0:
		to = r.prefetch.aheadTo(r.progress.start)
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
		// a History says so; from page 0 on it means that page 0 is out of date too
		case errors.Is(g.err, ErrMoved) && r.progress.start > 0:
		default:
			return false, g.err
		}
		if !g.whole {
			w.failed(g, ground)
			return false, nil
		}
		if r.prefetch.serialBatches = max(0, r.prefetch.serialBatches-1); g.grew {
			r.prefetch.serialBatches = growingBatches
		}
		if edge != nil {
			g.pages = g.pages[1:]
		}
		if w.passesOver(g.pages) {
			w.failed(g, ground)
			return false, nil
		}
		w.order = slices.Grow(w.order, len(g.pages)*r.rules.Page)
		for _, page := range g.pages {
			if len(page.Messages) == 0 {
				continue // all of it stood on the page before
			}
			if done, err := w.take(page); done || err != nil {
				r.prefetch.failedBatches, w.proven = 0, done
				return done, err
			}
		}
		edge, number = &g.edge, g.edge.Number
		if len(edge.Messages) < r.rules.Page || g.ended {
			w.shown = len(edge.Messages)
			if ended, err := w.end(ctx, number+1); ended || err != nil {
				return ended, err
			}
		}
		if number-r.progress.start+1 >= r.progress.slice {
			return false, errDeep
		}
		to = min(number+batchSizes[min(round, len(batchSizes)-1)], r.progress.start+r.progress.slice-1)
	}
}

// failed says what becomes of a walk whose batch did not hold: it is tried once more, one page after the other; then,
// where the list moves too much, the attempt is only dear, and left for a while. ground is the page where ground
// begins, 0 where that is not known: a walk in order begins nearer to it.
func (w *walker) failed(g batchRead, ground int) {
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

// end concludes a walk whose last page was short, or had an empty one after it: it reports whether the list is proven
// to end there.
func (w *walker) end(ctx context.Context, number int) (bool, error) {
	page, ends, err := w.reader.list.page(ctx, number)
	w.pages++
	if err != nil || !ends {
		w.below = page
		return false, err
	}
	err = w.ended(ctx, page)
	w.proven = err == nil
	return w.proven, err
}

// passesOver says whether a batch that begins with the page right below what the walk took shows, of what stood there
// when it was asked whether the list ends, the first message no more: that one is missed, or it was deleted. (A batch
// is proven by its ends; it takes two deletes and a message on top between them to hide this from that.)
func (w *walker) passesOver(pages []connector.Page) bool {
	if len(w.below.Messages) == 0 {
		return false
	}
	first := w.below.Messages[0].Key
	w.below = connector.Page{}
	_, met := w.met[first]
	return !met && !slices.ContainsFunc(pages, func(page connector.Page) bool { return lists(page, first) })
}
