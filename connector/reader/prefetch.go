package reader

import (
	"context"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector"
)

// batchAhead is a batch of a deep backlog that is being read: the one that is walked now, or that of the next step, beside a commit
// or the last readings of the batch below it.
type batchAhead struct {
	start, to int
	nearly    chan struct{} // closed when few of its pages are still to be asked for
	stop      context.CancelFunc
	wait      func()
	batch     batchRead
}

// nearlyPages is how many pages of a batch are still to be asked for when the next one begins, so that no worker is idle while the
// ends of both are read one after the other.
const nearlyPages = 8

// aheadTo is the last page of the first batch of a walk that begins below page 0: a page beyond where the walk before began.
func (r *Reader) aheadTo(start int) int { return start + r.batchStep() + 1 }

// topTo is the last page of the first batch of a walk from page 0, where the walk before began at this page.
func (r *Reader) topTo(rose int) int { return min(rose+1, r.slice-1) }

// batchStep is how many pages of a deep backlog a walk takes that reads batches: nearly a slice, as ground moves down by little
// meanwhile.
func (r *Reader) batchStep() int { return max(1, r.slice-2-r.slice/8) }

// pool reads the pages of a batch.
func (r *Reader) pool() WorkerPool {
	if r.serialBatches > 0 {
		return serial{r.workers}
	}
	return r.workers
}

// begin begins to read a batch.
func (r *Reader) begin(ctx context.Context, start, to int) *batchAhead {
	a := &batchAhead{start: start, to: to, nearly: make(chan struct{})}
	pool, count := r.pool(), r.countBatch()
	ctx, a.stop = context.WithCancel(ctx)
	a.wait = r.workers.Go(func() {
		nearly := sync.OnceFunc(func() { close(a.nearly) })
		defer nearly()
		a.batch = r.readBatch(ctx, count, a.start, nil, a.to, pool, nearly)
	})
	return a
}

// readAhead begins to read where the walk will that follows one from this page, if it is not under way and there is room.
func (r *Reader) readAhead(ctx context.Context, from int) {
	if r.oneWalk || r.serialBatches > 0 || r.memory != nil && !r.memory.Ahead() {
		return
	}
	start := max(0, from-r.batchStep())
	to := r.aheadTo(start)
	if start == 0 {
		to = r.topTo(from)
	}
	if r.ahead != nil && r.ahead.start == start && r.ahead.to == to {
		return
	}
	r.abandon()
	r.ahead = r.begin(ctx, start, to)
}

// aheadFromTop says that a batch from page 0 is being read already. What comes in above it meanwhile is for the next poll.
func (r *Reader) aheadFromTop() bool { return r.ahead != nil && r.ahead.start == 0 && r.prevStart > 0 }

// batchFrom is the batch that was read ahead, where it is the one asked for, else it is read now.
func (r *Reader) batchFrom(ctx context.Context, number int, edge *connector.Page, to int) batchRead {
	if edge != nil {
		r.abandon()
		return r.readBatch(ctx, r.countBatch(), number, edge, to, r.pool(), func() {})
	}
	a := r.ahead
	fresh := a == nil || a.start != number || a.to != to
	if fresh {
		r.abandon()
		a = r.begin(ctx, number, to)
	}
	r.ahead = nil
	<-a.nearly
	if number > 0 {
		r.readAhead(ctx, number)
	}
	a.wait()
	a.stop()
	if !a.batch.whole {
		r.abandon()
	}
	if a.batch.err != nil && !fresh {
		return r.readBatch(ctx, r.countBatch(), number, edge, to, r.pool(), func() {})
	}
	return a.batch
}

// HoldsAhead says whether pages for the next step are held, or being read.
func (r *Reader) HoldsAhead() bool { return r.ahead != nil }

// abandon ends what is read ahead and forgets it.
func (r *Reader) abandon() {
	if r.ahead != nil {
		r.ahead.stop()
		r.ahead.wait()
		r.ahead = nil
	}
}

// Close waits for what the reader does beside its steps. The context of the last step should have ended.
func (r *Reader) Close() { r.abandon() }
