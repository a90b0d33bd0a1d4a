package reader

import (
	"context"

	"github.com/twochat-connector/twochat-connector/connector"
)

// deliver appends the unknown messages of a walk to the log and certifies what may be certified.
func (r *Reader) deliver(ctx context.Context, w walked, out Outcome) (Outcome, error) {
	batch, held := r.classify(w.order, w.belowTop)
	out.Held, out.Proven = held, w.proven
	alone := r.progress.start == 0 && (w.taken == 1 || w.proven)
	var certified uint64
	agreed := false
	switch {
	case w.gapDoubted:
	case alone:
		certified = everything
	case w.proven:
		certified, agreed = r.chain.provenUpTo(w.order, batch), true
	case r.progress.previous != nil && !w.movedUp && r.progress.agrees(w.order, batch):
		certified, agreed = r.progress.previous.certifies, true
	}
	batch.horizon, batch.newer = w.horizon, w.newer
	r.endCheck.settleEnd(&batch, &w)
	if w.taken == 1 && r.progress.start == 0 && !r.known.empty() {
		batch.rejects = r.known.limitNameless(batch.rejects)
	}
	if w.proven && r.progress.start > 0 {
		r.prefetch.readAhead(ctx, r.progress.start)
	}
	var rows []row // a proven walk needs no second one
	if !alone && !w.proven {
		rows = rowsOf(w.order)
	}
	var linked []connector.Key
	switch {
	case !agreed || r.progress.start == 0:
	case w.proven:
		linked = keysIn(w.order)
	default: // what this walk adds has to wait for the next one
		linked = r.progress.previous.above
	}
	if len(linked) > 0 && batch.change == nil && r.known.window.certified < r.known.window.last {
		// progress is committed even without events, or a standby would take this owner for stuck
		batch.change = func(*connector.Checkpoint, []connector.Event, bool) {}
	}
	var floors map[connector.Key]uint64
	if len(linked) > 0 && r.known.window.certified < r.known.window.last {
		floors = r.chain.floorsOf(w.order)
	}
	w.order = nil // from here on only the batch keeps the pages in memory
	before := r.known.window.certified
	done, err := r.writer.commit(ctx, batch, certified)
	if err != nil {
		return out, err
	}
	out.add(done)
	r.chain.link(linked, floors)
	r.progress.fromTop = r.progress.start == 0
	if r.known.window.certified > before {
		r.list.cleared = false // the list shows ground again
	}
	if from := r.progress.start; r.progress.advance(&w, alone, agreed, r.prefetch.batchStep(), rows) {
		r.prefetch.prevStart = from
	}
	if r.Rested() {
		r.list.settled, out.Rested, r.progress.top, r.list.filtered = w.page0, true, w.listed, false
	}
	return out, nil
}

// classify drops the duplicates of a walk and splits the other messages into those to deliver, oldest first, and those
// to hold (rule 4). A message above everything known is new, unless the walk began below known messages. A message
// below a known one is late: it appeared below newer ones that were delivered before. It is delivered if an event that
// was delivered in order lies below it and nothing newer than that event was forgotten or erased, or if the reader has
// forgotten nothing at all. Otherwise it is held, as it may have been delivered and forgotten.
func (r *Reader) classify(order []found, belowKnown bool) (delivery, int) {
	below := make([]*connector.Key, len(order))
	anchors := r.known.anchors(len(order), func(i int) connector.Key { return order[i].Key })
	var anchor *connector.Key
	for i := len(order) - 1; i >= 0; i-- {
		below[i] = anchor
		if anchors[i] || r.chain.holds(order[i].Key) {
			anchor = &order[i].Key
		}
	}
	var b delivery
	held, late := 0, belowKnown
	for i := range order {
		switch f := &order[i]; {
		case r.known.has(f.Key): // a duplicate: it was delivered before, or is not wanted
			late = true
		case !late, below[i] != nil && (r.known.wholeAbove(*below[i]) || r.chain.holds(*below[i])), below[i] == nil &&
			!r.known.forgetful():
			b.add(f, late)
		default:
			held += r.known.countHeld(f.Key)
		}
	}
	b.oldestFirst()
	return b, held
}
