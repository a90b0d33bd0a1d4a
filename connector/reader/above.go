package reader

import (
	"context"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// settleTop says of a walk whether it began below events of the log, so that nothing that it met is newer than all of
// them. A walk from page 0 did not. Further down, events that were delivered in order may lie above the start: not if
// the newest of them was met. Where it was not, it was deleted; or a burst pushed ground down past the start; or what
// was delivered and is not certified lies above the start, and a run of late messages came in below it. Then some
// page above the start shows what this walk did not meet. What is taken for new, though it lies below older events,
// would stand in the log above them, and no order of the log could be trusted any more.
func (r *Reader) settleTop(ctx context.Context, w *walked) error {
	newest, ok := r.window.newestInOrder()
	if r.start == 0 || !ok || !slices.ContainsFunc(w.order, func(f found) bool { return !r.known(f.Key) }) {
		return nil
	}
	above := r.newerThanMet(w.order)
	if len(above) == 0 {
		return nil
	}
	looks := r.rules.SlicePages
	if newest.at.sequence() > r.window.certified {
		looks = carefulLooks
		known := slices.IndexFunc(w.order, func(f found) bool { return r.known(f.Key) })
		w.belowTop = known >= 0 && known < r.rules.Page // it was not deleted, as a rule
	}
	if w.belowTop || r.gone == newest.key {
		return nil
	}
	if r.above > 0 && r.above < r.start { // most often still there
		if err := r.lookFor(ctx, w, r.above, above); err != nil || w.belowTop {
			return err
		}
	}
	step := max(1, len(above)/(2*r.rules.Page)) // it cannot jump over them, though some may have been deleted
	for number := r.start - 1; number >= 0; number, looks = number-step, looks-1 {
		if looks == 0 {
			w.belowTop = newest.at.sequence() > r.window.certified
			break
		}
		if err := r.lookFor(ctx, w, number, above); err != nil {
			return err
		}
		if w.belowTop {
			r.above = number
			return nil
		}
	}
	r.gone = newest.key
	return nil
}

// lookFor looks whether a page above a walk's start shows any of some events: then the walk began below them.
func (r *Reader) lookFor(ctx context.Context, w *walked, number int, events map[connector.Key]struct{}) error {
	page, err := r.read(ctx, number, "")
	if err != nil {
		return err
	}
	w.pages++
	w.belowTop = slices.ContainsFunc(page.Messages, func(m connector.Message) bool { return within(events, m.Key) })
	return nil
}

// newerThanMet is what was delivered in order after all such that a walk met.
func (r *Reader) newerThanMet(order []found) map[connector.Key]struct{} {
	met := uint64(0)
	for i := range order {
		if at, ok := r.window.place(order[i].Key); ok && !at.late() {
			met = max(met, at.sequence())
		}
	}
	newer := make(map[connector.Key]struct{})
	for i := r.window.from(met + 1); i < len(r.window.entries); i++ {
		if e := r.window.entries[i]; !e.at.late() {
			newer[e.key] = struct{}{}
		}
	}
	return newer
}

// chained says whether an event is known to have nothing missing among and below it, though it is not certified:
// walks of a deep backlog have come past it from ground, but events that stand before it in the log lie further up.
// It counts in a walk's run like ground. Only this reader knows it: another one begins at ground again, and finds
// delivered what this one delivered.
func (r *Reader) chained(key connector.Key) bool {
	_, ok := r.chain[key]
	return ok
}

// bottom says whether a message may end a walk, with others like it. Before there is any ground, and where the list
// goes on far below the end of the first walk, these are the log's oldest events: what stands below them is not for a
// walk to read.
func (r *Reader) bottom(key connector.Key) bool {
	return r.ground(key) || r.chained(key) || r.goesDeeper() && slices.Contains(r.recorded.Bottom.Keys, key) && r.known(key)
}

// goesDeeper says whether a list without ground goes on far below where it seemed to end.
func (r *Reader) goesDeeper() bool { return r.deeper && !r.hasGround() && r.endOpen() }

// endsFurther says whether a search without ground led to an end of the list about which the log's oldest events do
// not stand: then they are what is to be searched for.
func (r *Reader) endsFurther(ctx context.Context, end int) (bool, error) {
	if r.oneWalk || r.deeper || r.hasGround() || !r.endOpen() || len(r.recorded.Bottom.Keys) == 0 {
		return false, nil
	}
	for _, number := range []int{end - 1, end, end - 2, end + 1} {
		if number < 0 {
			continue
		}
		page, err := r.read(ctx, number, "")
		if err != nil || r.lowestOn(page.Messages) {
			return false, err
		}
	}
	r.deeper = true
	return true, nil
}

// link chains what a walk below page 0 has met and is not certified. keys are those of the walk, floors what floorsOf
// says of them.
func (r *Reader) link(keys []connector.Key, floors map[connector.Key]uint64) {
	if r.window.certified == r.window.last {
		r.chain = nil
		return
	}
	for _, key := range keys {
		if at, ok := r.window.place(key); ok && at.sequence() > r.window.certified {
			if r.chain == nil {
				r.chain = make(map[connector.Key]uint64)
			}
			r.chain[key] = max(r.chain[key], floors[key])
		}
	}
}

// floorsOf says for each row of a walk up to which sequence the log has no event that could be listed above it: all above
// an event that was delivered in order came after it.
func (r *Reader) floorsOf(order []found) map[connector.Key]uint64 {
	anchors := r.anchors(len(order), func(i int) connector.Key { return order[i].Key })
	floors := make(map[connector.Key]uint64, len(order))
	floor := uint64(0)
	for i := len(order) - 1; i >= 0; i-- {
		key := order[i].Key
		if at, ok := r.window.place(key); anchors[i] && ok && !at.late() {
			floor = max(floor, at.sequence())
		} else if anchors[i] {
			floor = max(floor, r.exempt[key])
		}
		floor = max(floor, r.chain[key])
		floors[key] = floor
	}
	return floors
}

// chainHolds says whether nothing was forgotten that could be listed above an event that is chained.
func (r *Reader) chainHolds(key connector.Key) bool {
	floor, ok := r.chain[key]
	return ok && r.window.wholeAbove(floor)
}

// open counts the events that are neither certified nor chained, nor among some rows.
func (r *Reader) open(order []found) uint64 {
	open := r.window.last - r.window.certified
	for i := range order {
		if at, ok := r.window.place(order[i].Key); ok && at.sequence() > r.window.certified && !r.chained(order[i].Key) {
			open--
		}
	}
	for key := range r.chain {
		if at, ok := r.window.place(key); ok && at.sequence() > r.window.certified {
			open--
		}
	}
	return open
}
