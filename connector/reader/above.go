package reader

import (
	"context"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// walkEnds says where a walk begins, and what ends it.
type walkEnds struct{ *Reader }

// settleTop says of a walk whether it began below events of the log, so that nothing that it met is newer than all of
// them. A walk from page 0 did not. Further down, events that were delivered in order may lie above the start: not if
// the newest of them was met. Where it was not, it was deleted; or a burst pushed ground down past the start; or what
// was delivered and is not certified lies above the start, and a run of late messages came in below it. Then some
// page above the start shows what this walk did not meet. What is taken for new, though it lies below older events,
// would stand in the log above them, and no order of the log could be trusted any more.
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
		looks = carefulLooks
		known := slices.IndexFunc(w.order, func(f found) bool { return r.known.has(f.Key) })
		w.belowTop = known >= 0 && known < r.rules.Page // it was not deleted, as a rule
	}
	if w.belowTop || r.list.gone == newest.key {
		return nil
	}
	if r.list.above > 0 && r.list.above < r.progress.start { // most often still there
		if err := r.lookFor(ctx, w, r.list.above, above); err != nil || w.belowTop {
			return err
		}
	}
	step := max(1, len(above)/(2*r.rules.Page)) // it cannot jump over them, though some may have been deleted
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

// lookFor looks whether a page above a walk's start shows any of some events: then the walk began below them.
func (r *walkEnds) lookFor(ctx context.Context, w *walked, number int, events map[connector.Key]struct{}) error {
	page, err := r.source.read(ctx, number, "")
	if err != nil {
		return err
	}
	w.pages++
	w.belowTop = slices.ContainsFunc(page.Messages, func(m connector.Message) bool { return within(events, m.Key) })
	return nil
}

// bottom says whether a message may end a walk, with others like it. Before there is any ground, and where the list
// goes on far below the end of the first walk, these are the log's oldest events: what stands below them is not for a
// walk to read.
func (r *walkEnds) bottom(key connector.Key) bool {
	return r.known.ground(key) || r.chain.has(key) || r.goesDeeper() &&
		slices.Contains(r.known.recorded.Bottom.Keys, key) && r.known.has(key)
}

// goesDeeper says whether a list without ground goes on far below where it seemed to end.
func (r *walkEnds) goesDeeper() bool {
	return r.list.deeper && !r.known.hasGround() && r.endLook.endOpen()
}

// endsFurther says whether a search without ground led to an end of the list about which the log's oldest events do
// not stand: then they are what is to be searched for.
func (r *walkEnds) endsFurther(ctx context.Context, end int) (bool, error) {
	if r.prefetch.oneWalk || r.list.deeper || r.known.hasGround() || !r.endLook.endOpen() ||
		len(r.known.recorded.Bottom.Keys) == 0 {
		return false, nil
	}
	for _, number := range []int{end - 1, end, end - 2, end + 1} {
		if number < 0 {
			continue
		}
		page, err := r.source.read(ctx, number, "")
		if err != nil || r.endLook.lowestOn(page.Messages) {
			return false, err
		}
	}
	r.list.deeper = true
	return true, nil
}

// verifyTop makes sure that a walk which began below page 0 began above the ground that it ended in. If it began below
// ground and a burst pushed ground down past it meanwhile, no page contradicts another; but then its first page is not
// where the repeats say that it is now.
func (r *walkEnds) verifyTop(ctx context.Context, w *walker) error {
	if r.progress.start == 0 {
		return nil
	}
	expected := r.progress.start*r.rules.Page + w.repeats
	for number := expected / r.rules.Page; number <= expected/r.rules.Page+1; number++ {
		page, err := r.source.read(ctx, number, "")
		if err != nil {
			return err
		}
		w.pages++
		for i := range page.Messages {
			was := slices.IndexFunc(w.top.Messages, func(m connector.Message) bool { return m.Key == page.Messages[i].Key })
			if was >= 0 {
				w.movedUp = r.list.deletedAbove(number*r.rules.Page+i < expected+was)
				return nil
			}
		}
	}
	return ErrMoved
}

// enough is how much ground in a row ends a walk: a young log has less of it than a run, and so has a list that lost
// most of it.
func (r *walkEnds) enough() int {
	if r.progress.minGroundRun > 0 {
		return r.progress.minGroundRun
	}
	held := r.known.window.certified - r.known.window.base + uint64(len(r.known.exempt))
	if r.goesDeeper() && len(r.known.recorded.Bottom.Keys) > 0 {
		held = uint64(len(r.known.recorded.Bottom.Keys))
	}
	if held == 0 || held > uint64(r.rules.Run) {
		return r.rules.Run
	}
	return int(held)
}
