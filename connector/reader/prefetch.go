package reader

import (
	"context"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector"
)

// batchAhead is a batch of a deep backlog that is read in the background: that of this step, or that of the next one
// while this one is committed or reads its ends again.
type batchAhead struct {
	start, to  int
	almostDone chan struct{} // closed when only few of its pages are left to request
	stop       context.CancelFunc
	wait       func()
	batch      batchRead
}

// almostDonePages is how many pages of a batch are left to request when the next batch begins, so that no worker is
// idle while the ends of both are read one after the other.
const almostDonePages = 8

// prefetch reads batches of pages in parallel, and the next batch while the one before is delivered.
type prefetch struct {
	rules       Rules
	source      *source
	progress    *progress
	memoryLimit MemoryLimit // nil: no bound
	workers     WorkerPool  // nil: pages are read one after the other
	oneWalk     bool        // nothing is read ahead for the next walk

	ahead            *batchAhead
	prevStart        int // page at which the last proven walk began, if the next one begins further up
	batchesRead      int
	serialBatches    int // for how many batches the list is expected to grow
	parallelCooldown int // for how many walks no batches are tried
	failedBatches    int // batches in a row that were not proven
}

// aheadTo is the last page of the first batch of a walk that begins below page 0: one page beyond the start of the walk
// before.
func (p *prefetch) aheadTo(start int) int { return start + p.batchStep() + 1 }

// topTo is the last page of the first batch of a walk from page 0, if the previous walk began at page previous.
func (p *prefetch) topTo(previous int) int { return min(previous+1, p.progress.slice-1) }

// batchStep is how many pages of a deep backlog a walk by batches covers: nearly a slice, as ground moves down only a
// little meanwhile.
func (p *prefetch) batchStep() int { return max(1, p.progress.slice-2-p.progress.slice/8) }

// pool is the pool for the next batch: serial while the list is expected to grow.
func (p *prefetch) pool() WorkerPool {
	if p.serialBatches > 0 {
		return serial{p.workers}
	}
	return p.workers
}

// begin starts to read a batch in the background.
func (p *prefetch) begin(ctx context.Context, start, to int) *batchAhead {
	a := &batchAhead{start: start, to: to, almostDone: make(chan struct{})}
	pool, count := p.pool(), p.countBatch()
	ctx, a.stop = context.WithCancel(ctx)
	a.wait = p.workers.Go(func() {
		almostDone := sync.OnceFunc(func() { close(a.almostDone) })
		defer almostDone()
		a.batch = p.readBatch(ctx, count, a.start, nil, a.to, pool, almostDone)
	})
	return a
}

// readAhead starts to read the batch of the walk that follows one from this page, if that batch is not under way
// already and memory allows it.
func (p *prefetch) readAhead(ctx context.Context, from int) {
	if p.oneWalk || p.serialBatches > 0 || p.memoryLimit != nil && !p.memoryLimit.Ahead() {
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

// aheadFromTop reports whether a batch from page 0 is being read already. Messages that come in meanwhile are left to
// the next poll.
func (p *prefetch) aheadFromTop() bool {
	return p.ahead != nil && p.ahead.start == 0 && p.prevStart > 0
}

// batchFrom returns the batch that was read ahead if it is the one asked for, and reads it now otherwise.
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
	<-a.almostDone
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

// HoldsAhead reports whether pages for the next step are held in memory or being read.
func (r *Reader) HoldsAhead() bool { return r.prefetch.ahead != nil }

// abandon stops reading ahead and drops what was read.
func (p *prefetch) abandon() {
	if p.ahead != nil {
		p.ahead.stop()
		p.ahead.wait()
		p.ahead = nil
	}
}

// Close stops reading ahead and waits until it has ended. The context of the last step should have ended.
func (r *Reader) Close() { r.prefetch.abandon() }
