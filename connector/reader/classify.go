package reader

import (
	"context"

	"github.com/twochat-connector/twochat-connector/connector"
)

// deliver puts what is unknown in a walk into the log and certifies what may be certified.
func (r *Reader) deliver(ctx context.Context, w walked, out Outcome) (Outcome, error) {
	batch, held := r.classify(w.order, w.belowTop)
	out.Held, out.Proven = held, w.proven
	alone := r.progress.start == 0 && (w.taken == 1 || w.proven)
	var certified uint64
	agreed := false
	switch {
	case w.hollow:
	case alone:
		certified = everything
	case w.proven:
		certified, agreed = r.chain.provenUpTo(w.order, batch), true
	case r.progress.previous != nil && !w.movedUp && r.progress.agrees(w.order, batch):
		certified, agreed = r.progress.previous.certifies, true
	}
	batch.horizon, batch.newer = w.horizon, w.newer
	r.endLook.settleEnd(&batch, &w)
	if w.taken == 1 && r.progress.start == 0 && !r.known.empty() {
		batch.rejects = r.known.bounded(batch.rejects)
	}
	if w.proven && r.progress.start > 0 {
		r.prefetch.readAhead(ctx, r.progress.start)
	}
	var rows []row // a walk that is proven is not remembered
	if !alone && !w.proven {
		rows = rowsOf(w.order)
	}
	var linked []connector.Key
	switch {
	case !agreed || r.progress.start == 0:
	case w.proven:
		linked = keysIn(w.order)
	default: // what this walk adds waits for the next one
		linked = r.progress.previous.above
	}
	if len(linked) > 0 && batch.change == nil && r.known.window.certified < r.known.window.last {
		// a step that gets on is recorded, or a standby would think it does not
		batch.change = func(*connector.Checkpoint, []connector.Event, bool) {}
	}
	var floors map[connector.Key]uint64
	if len(linked) > 0 && r.known.window.certified < r.known.window.last {
		floors = r.chain.floorsOf(w.order)
	}
	w.order = nil // from here on only the batch keeps the pages
	before := r.known.window.certified
	done, err := r.writer.commit(ctx, batch, certified)
	if err != nil {
		return out, err
	}
	out.add(done)
	r.chain.link(linked, floors)
	r.progress.fromTop = r.progress.start == 0
	if r.known.window.certified > before {
		r.list.cleared = false // what is listed shows ground again
	}
	if from := r.progress.start; r.progress.advance(&w, alone, agreed, r.prefetch.batchStep(), rows) {
		r.prefetch.prevStart = from
	}
	if r.Rested() {
		r.list.settled, out.Rested, r.progress.top, r.list.filtered = w.page0, true, w.listed, false
	}
	return out, nil
}

// classify splits a walk's messages into what is to be delivered, oldest first, and what is held. What lies above
// everything known is new, unless the walk began below known messages. Below something known, a message is late where
// an event delivered in order lies below it and nothing newer than that event was forgotten or erased; it is new where
// the reader has forgotten nothing at all; else it is held.
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
