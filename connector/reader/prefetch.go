package reader

import (
	"context"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector"
)

// batchAhead is a batch of a deep backlog that is being read: the one that is walked now, or that of the next step,
// beside a commit or the last readings of the batch below it.
type batchAhead struct {
	start, to int
	nearly    chan struct{} // closed when few of its pages are still to be asked for
	stop      context.CancelFunc
	wait      func()
	batch     batchRead
}

// nearlyPages is how many pages of a batch are still to be asked for when the next one begins, so that no worker is
// idle while the ends of both are read one after the other.
const nearlyPages = 8

// prefetch reads pages side by side, and those of the next batch while the one before is delivered, where the list lets
// it.
type prefetch struct {
	rules    Rules
	source   *source
	progress *progress
	memory   MemoryLimit // nil: there is no bound
	workers  WorkerPool  // nil: pages are read one after the other
	oneWalk  bool        // nothing is read for the walk after this one

	ahead            *batchAhead
	prevStart        int // page at which the proven walk before began, where the next one begins further up
	batchesRead      int
	serialBatches    int // batches for which messages are expected to be added on top
	parallelCooldown int // walks for which batches of pages are not expected to hold
	failedBatches    int // batches in a row that did not
}

// aheadTo is the last page of the first batch of a walk that begins below page 0: a page beyond where the walk before
// began.
func (p *prefetch) aheadTo(start int) int { return start + p.batchStep() + 1 }

// topTo is the last page of the first batch of a walk from page 0, where the walk before began at this page.
func (p *prefetch) topTo(rose int) int { return min(rose+1, p.progress.slice-1) }

// batchStep is how many pages of a deep backlog a walk takes that reads batches: nearly a slice, as ground moves down
// by little meanwhile.
func (p *prefetch) batchStep() int { return max(1, p.progress.slice-2-p.progress.slice/8) }

// pool reads the pages of a batch.
func (p *prefetch) pool() WorkerPool {
	if p.serialBatches > 0 {
		return serial{p.workers}
	}
	return p.workers
}

// begin begins to read a batch.
func (p *prefetch) begin(ctx context.Context, start, to int) *batchAhead {
	a := &batchAhead{start: start, to: to, nearly: make(chan struct{})}
	pool, count := p.pool(), p.countBatch()
	ctx, a.stop = context.WithCancel(ctx)
	a.wait = p.workers.Go(func() {
		nearly := sync.OnceFunc(func() { close(a.nearly) })
		defer nearly()
		a.batch = p.readBatch(ctx, count, a.start, nil, a.to, pool, nearly)
	})
	return a
}

// readAhead begins to read where the walk will that follows one from this page, if it is not under way and there is
// room.
func (p *prefetch) readAhead(ctx context.Context, from int) {
	if p.oneWalk || p.serialBatches > 0 || p.memory != nil && !p.memory.Ahead() {
		return
	}
	start := max(0, from-p.batchStep())
	to := p.aheadTo(start)
	if start == 0 {
		to = p.topTo(from)
	}
	if p.ahead != nil && p.ahead.start == start && p.ahead.to == to {
		return
	}
	p.abandon()
	p.ahead = p.begin(ctx, start, to)
}

// aheadFromTop says that a batch from page 0 is being read already. What comes in above it meanwhile is for the next
// poll.
func (p *prefetch) aheadFromTop() bool {
	return p.ahead != nil && p.ahead.start == 0 && p.prevStart > 0
}

// batchFrom is the batch that was read ahead, where it is the one asked for, else it is read now.
func (p *prefetch) batchFrom(ctx context.Context, number int, edge *connector.Page, to int) batchRead {
	if edge != nil {
		p.abandon()
		return p.readBatch(ctx, p.countBatch(), number, edge, to, p.pool(), func() {})
	}
	a := p.ahead
	fresh := a == nil || a.start != number || a.to != to
	if fresh {
		p.abandon()
		a = p.begin(ctx, number, to)
	}
	p.ahead = nil
	<-a.nearly
	if number > 0 {
		p.readAhead(ctx, number)
	}
	a.wait()
	a.stop()
	if !a.batch.whole {
		p.abandon()
	}
	if a.batch.err != nil && !fresh {
		return p.readBatch(ctx, p.countBatch(), number, edge, to, p.pool(), func() {})
	}
	return a.batch
}

// HoldsAhead says whether pages for the next step are held, or being read.
func (r *Reader) HoldsAhead() bool { return r.prefetch.ahead != nil }

// abandon ends what is read ahead and forgets it.
func (p *prefetch) abandon() {
	if p.ahead != nil {
		p.ahead.stop()
		p.ahead.wait()
		p.ahead = nil
	}
}

// Close waits for what the reader does beside its steps. The context of the last step should have ended.
func (r *Reader) Close() { r.prefetch.abandon() }
