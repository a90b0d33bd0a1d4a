package reader

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// deliver puts what is unknown in a walk into the log and certifies what may be certified.
func (r *Reader) deliver(ctx context.Context, w walked, out Outcome) (Outcome, error) {
	batch, held := r.sort(w.order, w.belowTop)
	out.Held, out.Proven = held, w.proven
	alone := r.start == 0 && (w.taken == 1 || w.proven)
	var certified uint64
	agreed := false
	switch {
	case w.hollow:
	case alone:
		certified = everything
	case w.proven:
		certified, agreed = r.provenUpTo(w.order, batch), true
	case r.previous != nil && !w.movedUp && r.agrees(w.order, batch):
		certified, agreed = r.previous.certifies, true
	}
	batch.horizon, batch.newer = w.horizon, w.newer
	r.settleEnd(&batch, &w)
	if w.taken == 1 && r.start == 0 && !r.empty() {
		batch.rejects = r.bounded(batch.rejects)
	}
	if w.proven && r.start > 0 {
		r.readAhead(ctx, r.start)
	}
	var rows []row // a walk that is proven is not remembered
	if !alone && !w.proven {
		rows = rowsOf(w.order)
	}
	var linked []connector.Key
	switch {
	case !agreed || r.start == 0:
	case w.proven:
		linked = keysIn(w.order)
	default: // what this walk adds waits for the next one
		linked = r.previous.above
	}
	if len(linked) > 0 && batch.change == nil && r.window.certified < r.window.last {
		batch.change = func(*connector.Checkpoint, []connector.Event, bool) {} // a step that gets on is recorded, or a standby would think it does not
	}
	var floors map[connector.Key]uint64
	if len(linked) > 0 && r.window.certified < r.window.last {
		floors = r.floorsOf(w.order)
	}
	w.order = nil // from here on only the batch keeps the pages
	before := r.window.certified
	done, err := r.commit(ctx, batch, certified)
	if err != nil {
		return out, err
	}
	out.add(done)
	r.link(linked, floors)
	r.fromTop = r.start == 0
	if r.window.certified > before {
		r.cleared = false // what is listed shows ground again
	}
	switch {
	case w.hollow:
		r.previous = nil
	case alone:
		r.previous, r.careful, r.minGroundRun, r.groundless, r.slice = nil, false, 0, false, r.rules.SlicePages
	case agreed:
		r.careful, r.minGroundRun, r.groundless = false, 0, false
		if r.start > 0 && w.proven {
			r.start, r.previous, r.prevStart = max(0, r.start-r.batchStep()), nil, r.start
		} else if r.start > 0 {
			r.start, r.previous = r.upward(), nil
		} else {
			r.slice = r.rules.SlicePages
			r.remember(rows)
		}
	case w.movedUp:
		r.previous = nil
	default:
		r.remember(rows)
	}
	if r.Rested() {
		r.settled, out.Rested, r.top, r.filtered = w.page0, true, w.listed, false
	}
	return out, nil
}

// upward is where the next walk of a deep backlog begins.
func (r *Reader) upward() int { return max(0, r.start-max(1, r.slice/2)) }

// sort splits a walk's messages into what is to be delivered, oldest first, and what is held. What lies above everything
// known is new, unless the walk began below known messages. Below something known, a message is late where an event delivered in order lies below it and nothing newer
// than that event was forgotten or erased; it is new where the reader has forgotten nothing at all; else it is held.
func (r *Reader) sort(order []found, belowKnown bool) (delivery, int) {
	below := make([]*connector.Key, len(order))
	anchors := r.anchors(len(order), func(i int) connector.Key { return order[i].Key })
	var anchor *connector.Key
	for i := len(order) - 1; i >= 0; i-- {
		below[i] = anchor
		if anchors[i] || r.chainHolds(order[i].Key) {
			anchor = &order[i].Key
		}
	}
	var b delivery
	held, late := 0, belowKnown
	for i := range order {
		switch f := &order[i]; {
		case r.known(f.Key):
			late = true
		case !late, below[i] != nil && (r.wholeAbove(*below[i]) || r.chainHolds(*below[i])), below[i] == nil && !r.forgetful():
			b.add(f, late)
		default:
			held += r.countHeld(f.Key)
		}
	}
	b.oldestFirst()
	return b, held
}

// countHeld counts a message as held, once.
func (r *Reader) countHeld(key connector.Key) int {
	if !r.held.add(key) {
		return 0
	}
	r.recorded.Counters.Held++
	return 1
}

// provenUpTo is what a proven walk that began below page 0 certifies: the log up to the newest event delivered in order that
// it met or is about to deliver. Above that, events of an earlier walk may lie. What it is about to deliver comes after them in the
// log, and counts only where it met them all: else a run of late messages may stand below them and look new.
func (r *Reader) provenUpTo(order []found, b delivery) uint64 {
	if r.open(order) == 0 {
		for i := len(b.events) - 1; i >= 0; i-- {
			if !b.events[i].late {
				return r.recorded.Sequence + uint64(i) + 1
			}
		}
		if len(r.chain) > 0 {
			return r.recorded.Sequence
		}
	}
	for i := range order {
		if at, ok := r.window.place(order[i].Key); ok && !at.late() {
			return at.sequence()
		}
	}
	return 0
}

// agrees says whether this walk certifies the one before: it misses nothing that the other saw, and shows nothing new
// below the other's first message (nothing new at all, where none of what the other delivered is listed any more).
func (r *Reader) agrees(order []found, b delivery) bool {
	here := make(map[connector.Key]int, len(order))
	for i := range order {
		here[order[i].Key] = i
	}
	for _, key := range r.previous.above {
		if _, ok := here[key]; !ok {
			return false
		}
	}
	top := 0
	if len(r.previous.above) > 0 {
		top = here[r.previous.above[0]]
	}
	return !b.below(here, top)
}

// row is what is left of a message of a walk when it is delivered.
type row struct {
	key  connector.Key
	time time.Time
}

func rowsOf(order []found) []row {
	rows := make([]row, len(order))
	for i := range order {
		rows[i] = row{order[i].Key, order[i].Time}
	}
	return rows
}

func keysIn(order []found) []connector.Key {
	keys := make([]connector.Key, len(order))
	for i := range order {
		keys[i] = order[i].Key
	}
	return keys
}

// remember keeps a walk for the next one to certify. From page 0 that is the whole log. From further down it is the log up
// to the newest event delivered in order that the walk met: above it, events of an earlier walk may lie.
func (r *Reader) remember(rows []row) {
	var above []connector.Key
	var certifies uint64
	for i := range rows {
		key := rows[i].key
		if at, ok := r.window.place(key); ok && at.sequence() > r.window.certified {
			above = append(above, key)
			if at.late() {
				continue
			}
			r.times.learn(at.sequence(), rows[i].time)
			if certifies == 0 {
				certifies = at.sequence()
			}
		}
	}
	switch {
	case r.start == 0 && r.window.certified == r.window.last:
		r.previous, r.groundless = nil, false
	case r.start == 0:
		r.previous = &certificate{above, r.window.last}
	case len(above) > 0:
		r.previous = &certificate{above, certifies}
	default: // all ground here: go on upward
		r.start, r.previous = r.upward(), nil
	}
}
