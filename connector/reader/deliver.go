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
		batch.committing = func(left float64) { r.prefetch.readAhead(ctx, r.progress.start, nil, left) }
		batch.committing(1)
	}
	var rows []row // needed for a second walk; a proven walk needs none
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
		// Progress is recorded even without events, or a standby would think that this owner is stuck
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
