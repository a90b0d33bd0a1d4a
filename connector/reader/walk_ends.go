package reader

import (
	"context"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// walkEnds checks where a walk really began, and decides what ends it.
type walkEnds struct{ *Reader }

// settleTop sets belowTop if a walk began below events of the log, so that nothing in it is newer than all of them. A
// walk from page 0 did not. Neither did one that met the newest event delivered in order. If it did not meet that
// event, there are three cases: the event was deleted; or a burst pushed ground down past the start; or uncertified
// events are above the start, and a run of late messages was added below them. In the last two, some page above the
// start shows events that the walk did not meet. This matters because a late message that is taken for new breaks the
// order of the log, which could then no longer be trusted.
func (r *walkEnds) settleTop(ctx context.Context, w *walked) error {
	newest, ok := r.known.window.newestInOrder()
	if r.progress.start == 0 || !ok || !slices.ContainsFunc(w.order, func(f found) bool { return !r.known.has(f.Key) }) {
		return nil
	}
	above := r.known.newerThanMet(w.order)
	if len(above) == 0 {
		return nil
	}
	looks := r.rules.SlicePages
	if newest.at.sequence() > r.known.window.certified {
		looks = carefulPages
		known := slices.IndexFunc(w.order, func(f found) bool { return r.known.has(f.Key) })
		w.belowTop = known >= 0 && known < r.rules.Page // usually it was not deleted
	}
	if w.belowTop || r.list.gone == newest.key {
		return nil
	}
	if r.list.above > 0 && r.list.above < r.progress.start { // it is usually still there
		if err := r.lookFor(ctx, w, r.list.above, above); err != nil || w.belowTop {
			return err
		}
	}
	step := max(1, len(above)/(2*r.rules.Page)) // small enough not to jump over them, even if some were deleted
	for number := r.progress.start - 1; number >= 0; number, looks = number-step, looks-1 {
		if looks == 0 {
			w.belowTop = newest.at.sequence() > r.known.window.certified
			break
		}
		if err := r.lookFor(ctx, w, number, above); err != nil {
			return err
		}
		if w.belowTop {
			r.list.above = number
			return nil
		}
	}
	r.list.gone = newest.key
	return nil
}

// lookFor sets belowTop if a page above a walk's start shows any of the events.
func (r *walkEnds) lookFor(ctx context.Context, w *walked, number int, events map[connector.Key]struct{}) error {
	page, err := r.source.read(ctx, number, "")
	if err != nil {
		return err
	}
	w.pages++
	w.belowTop = slices.ContainsFunc(page.Messages, func(m connector.Message) bool { return within(events, m.Key) })
	return nil
}

// bottom reports whether a message counts towards the run that ends a walk. If there is no ground yet and the list goes
// on far below the end that the first walk met, the log's oldest events count: the end check reads what is below them.
func (r *walkEnds) bottom(key connector.Key) bool {
	return r.known.ground(key) || r.chain.has(key) || r.goesDeeper() &&
		slices.Contains(r.known.recorded.UncheckedEnd.Keys, key) && r.known.has(key)
}

// goesDeeper reports whether a list without ground goes on far below its first apparent end.
func (r *walkEnds) goesDeeper() bool {
	return r.list.deeper && !r.known.hasGround() && r.endCheck.endOpen()
}

// endsFurther reports whether a search without ground led to an end of the list that is not near the log's oldest
// events. Then these have to be searched for.
func (r *walkEnds) endsFurther(ctx context.Context, end int) (bool, error) {
	if r.prefetch.oneWalk || r.list.deeper || r.known.hasGround() || !r.endCheck.endOpen() ||
		len(r.known.recorded.UncheckedEnd.Keys) == 0 {
		return false, nil
	}
	for _, number := range []int{end - 1, end, end - 2, end + 1} {
		if number < 0 {
			continue
		}
		page, err := r.source.read(ctx, number, "")
		if err != nil || r.endCheck.lowestOn(page.Messages) {
			return false, err
		}
	}
	r.list.deeper = true
	return true, nil
}

// verifyTop makes sure that a walk from below page 0 began above the ground that it ended in. If it began below ground
// and a burst pushed ground down past it meanwhile, the pages do not contradict each other; but then its first page has
// moved further than the repeats show.
func (r *walkEnds) verifyTop(ctx context.Context, w *walker) error {
	if r.progress.start == 0 {
		return nil
	}
	expected := w.top.Number*r.rules.Page + w.repeats
	for number := expected / r.rules.Page; number <= expected/r.rules.Page+1; number++ {
		page, err := r.source.read(ctx, number, "")
		if err != nil {
			return err
		}
		w.pages++
		if row, was, ok := w.topAmong(messageKeys(page.Messages)); ok {
			w.movedUp = r.list.deletedAbove(number*r.rules.Page+row < expected+was)
			return nil
		}
	}
	return ErrMoved
}

// verifyTopAtEnd does the same for a walk that ended with the list. Below a burst of pages that came in between two of
// its pages it would meet those above once more, unless the list seems to end before. If its first page has moved
// further than the repeats show, the last one must have moved as far: then the burst came in when both had been read.
// From page 0 on, the page 0 that was read to prove the end usually shows the first page.
func (r *walkEnds) verifyTopAtEnd(ctx context.Context, w *walker) error {
	if w.taken < 2 || len(w.top.Messages) == 0 {
		return nil
	}
	expected := w.top.Number*r.rules.Page + w.repeats
	first := expected / r.rules.Page
	for number := first; number <= first+1+r.rules.BelowEnd; number++ {
		rows := r.list.zero
		if number > 0 {
			page, err := r.source.read(ctx, number, "")
			if err != nil {
				return err
			}
			w.pages++
			rows = messageKeys(page.Messages)
		}
		row, was, ok := w.topAmong(rows)
		if !ok {
			continue
		}
		moved := number*r.rules.Page + row - expected - was
		if number <= first+1 {
			return nil
		}
		return r.verifyLast(ctx, w, moved)
	}
	return ErrMoved
}

// verifyLast makes sure that the last page of a walk has moved by at least that many rows since it was read.
func (r *walkEnds) verifyLast(ctx context.Context, w *walker, moved int) error {
	last := len(w.before.Messages) - 1
	least := w.before.Number*r.rules.Page + last + moved
	for number := least / r.rules.Page; number <= least/r.rules.Page+1; number++ {
		page, err := r.source.read(ctx, number, "")
		if err != nil {
			return err
		}
		w.pages++
		at := slices.IndexFunc(page.Messages, func(m connector.Message) bool { return m.Key == w.before.Messages[last].Key })
		if at >= 0 && number*r.rules.Page+at >= least {
			return nil
		}
	}
	return ErrMoved
}

// topAmong finds the highest of some rows that was on the first page of a walk. It returns its place among them and the
// place that it had.
func (w *walker) topAmong(rows []connector.Key) (row, was int, ok bool) {
	for row, key := range rows {
		was := slices.IndexFunc(w.top.Messages, func(m connector.Message) bool { return m.Key == key })
		if was >= 0 {
			return row, was, true
		}
	}
	return 0, 0, false
}

// enough is how many ground messages in a row end a walk: less than Rules.Run for a young log, and for a list that lost
// most of its ground.
func (r *walkEnds) enough() int {
	if r.progress.minGroundRun > 0 {
		return r.progress.minGroundRun
	}
	held := r.known.window.certified - r.known.window.base + uint64(len(r.known.exempt))
	if r.goesDeeper() && len(r.known.recorded.UncheckedEnd.Keys) > 0 {
		held = uint64(len(r.known.recorded.UncheckedEnd.Keys))
	}
	if held == 0 || held > uint64(r.rules.Run) {
		return r.rules.Run
	}
	return int(held)
}
