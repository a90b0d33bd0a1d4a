package reader

import (
	"context"
	"slices"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector"
)

// batchAhead is a batch of a deep backlog that is read in the background: the batch of this step, or one of the next
// batches while this one is committed.
type batchAhead struct {
	start, to int
	begun     chan struct{} // closed when its ends have been read and the other pages are being requested
	requested chan struct{} // closed when all its pages are requested
	stop      context.CancelFunc
	wait      func()
	batch     batchRead
}

// mostAhead is how many batches beyond that of this step are read. While one of them reads its ends, one after the
// other, another one requests its pages, so that as many requests as allowed are always in flight.
const mostAhead = 2

// prefetch reads batches of pages in parallel, and the next batch while the one before is delivered.
type prefetch struct {
	rules       Rules
	source      *source
	progress    *progress
	memoryLimit MemoryLimit // nil sets no bound
	workers     WorkerPool  // nil: pages are read one after the other
	oneWalk     bool        // nothing is read ahead for the next walk

	ahead            []*batchAhead // each begins further up than the one before
	prevStart        int           // page at which the last proven walk began, if the next one begins further up
	emptyAt          int           // first empty page that the last search found; 0: none, or it was used
	batchesRead      int
	serialBatches    int // for how many more batches the list is expected to grow
	parallelCooldown int // for how many more walks no batches are tried
	failedBatches    int // batches in a row that were not proven
}

// aheadTo is the last page of the first batch of a walk that begins below page 0: one page beyond the start of the
// previous walk.
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

// begin starts to read a batch in the background. If there is a batch before it, it makes no request until that one has
// read its ends, and reads only its own ends until that one has requested all its pages.
func (p *prefetch) begin(ctx context.Context, start, to int, before *batchAhead) *batchAhead {
	a := &batchAhead{start: start, to: to, begun: make(chan struct{}), requested: make(chan struct{})}
	reading := p.newBatch(start, to)
	begun, requested := sync.OnceFunc(func() { close(a.begun) }), sync.OnceFunc(func() { close(a.requested) })
	reading.begun = func(ctx context.Context) error {
		begun()
		if before == nil {
			return nil
		}
		return waitFor(ctx, before.requested)
	}
	reading.requested = requested
	ctx, a.stop = context.WithCancel(ctx)
	a.wait = p.workers.Go(func() {
		defer requested()
		defer begun()
		if before != nil {
			if a.batch.err = waitFor(ctx, before.begun); a.batch.err != nil {
				return
			}
		}
		a.batch = reading.readAll(ctx, nil)
	})
	return a
}

func waitFor(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// readAhead starts to read the batches of the walks that follow the one from page from, as far as memory allows and
// unless they are being read already. They follow last, the batch of that walk, if it is still being read. left is the
// share of this step's batch that is still to be committed.
func (p *prefetch) readAhead(ctx context.Context, from int, last *batchAhead, left float64) {
	room := p.roomAhead(left)
	defer p.holdAhead()
	for i := range room {
		start := max(0, from-p.batchStep())
		to := p.aheadTo(start)
		if start == 0 {
			to = p.topTo(from)
		}
		if i < len(p.ahead) && (p.ahead[i].start != start || p.ahead[i].to != to) {
			p.abandonFrom(i)
		}
		if i == len(p.ahead) {
			p.ahead = append(p.ahead, p.begin(ctx, start, to, last))
		}
		if last, from = p.ahead[i], start; start == 0 {
			return
		}
	}
}

// roomAhead is how many batches may be read ahead. The more there are, the fewer bytes they may hold together with the
// part of this step's batch that is left: two of them increase speed if pages are small, while large pages leave room
// for one, once part of this step's batch is committed.
func (p *prefetch) roomAhead(left float64) int {
	if p.oneWalk || p.serialBatches > 0 {
		return 0
	}
	bytes := float64(p.source.largest.Load()) * float64(p.batchStep()+2)
	room := 0
	for room < mostAhead && bytes*(left+float64(room)+1)*float64(room+1) <= float64(p.rules.AheadBytes) {
		room++
	}
	if p.memoryLimit != nil {
		room = p.memoryLimit.Ahead(len(p.ahead), room)
	}
	return room
}

// holdAhead tells the memory limit how many batches are read ahead.
func (p *prefetch) holdAhead() {
	if p.memoryLimit != nil {
		p.memoryLimit.Ahead(len(p.ahead), len(p.ahead))
	}
}

// aheadFromTop reports whether a batch from page 0 is being read already. Messages that come in meanwhile are left to
// the next poll.
func (p *prefetch) aheadFromTop() bool {
	return len(p.ahead) > 0 && p.ahead[0].start == 0 && p.prevStart > 0
}

// batchFrom returns the batch that was read ahead if it is the one asked for, and reads it now otherwise.
func (p *prefetch) batchFrom(ctx context.Context, number int, edge *connector.Page, to int) batchRead {
	if edge != nil {
		p.abandon()
		return p.readBatch(ctx, number, edge, to)
	}
	fresh := len(p.ahead) == 0 || p.ahead[0].start != number || p.ahead[0].to != to
	if fresh {
		p.abandon()
		p.ahead = append(p.ahead, p.begin(ctx, number, to, nil))
	}
	a := p.ahead[0]
	p.ahead = slices.Delete(p.ahead, 0, 1)
	if number > 0 {
		p.readAhead(ctx, number, a, 1)
	}
	a.wait()
	a.stop()
	if !a.batch.whole {
		p.abandon()
	}
	if a.batch.err != nil && !fresh {
		return p.readBatch(ctx, number, edge, to)
	}
	return a.batch
}

// HoldsAhead reports whether pages for the next step are held in memory or being read.
func (r *Reader) HoldsAhead() bool { return len(r.prefetch.ahead) > 0 }

// abandon stops reading ahead and drops what was read.
func (p *prefetch) abandon() { p.abandonFrom(0) }

// abandonFrom does the same from the i-th batch on.
func (p *prefetch) abandonFrom(i int) {
	for _, a := range p.ahead[i:] {
		a.stop()
	}
	for _, a := range p.ahead[i:] {
		a.wait()
	}
	p.ahead = slices.Delete(p.ahead, i, len(p.ahead))
	p.holdAhead()
}

// Close stops reading ahead and waits until it has ended. The context of the last step should have ended.
func (r *Reader) Close() { r.prefetch.abandon() }
