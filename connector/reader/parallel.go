package reader

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Pages are read in parallel only where a check proves that they are one slice (rule 11). A batch of pages is read in
// parallel, except for its ends: the first page and then the last one are read before all others, and again in this
// order after all others. It is one slice of the list, with nothing missing, if
//
//   - the last row of the first page and the first row of the last page have moved down between both readings by the
//     same number of rows: 0 if the list did not change, more if messages were added on top. (The page below the first
//     shows where the first page's last row is now, so it is read again as well.)
//   - going down the pages, with the last page as it was read last, exactly as many rows are met twice: at the head of
//     a page, those that ended the page before.
//
// For the proof and its limits, see connector/README.md, "Why pages may be read in parallel". If a message is added
// between the first readings of the ends, the next page becomes the first one, as a seam whose rows repeat is proof
// enough by itself. On a list that grows all the time this continues page by page.
//
// The pages of a list that is known to grow are read one after the other: if a page is read before the one above it,
// the rows that are pushed down in between are missed.

// errHeavy means that the pages of a batch are too large to be held in memory together.
var errHeavy = errors.New("the pages are heavy")

// batchRead is the result of reading a batch.
type batchRead struct {
	pages    []connector.Page // from the first one down, each without the rows that repeat the page before
	edge     connector.Page   // the last one, with all its rows
	whole    bool             // the batch is one slice of the list
	ended    bool             // an empty page followed
	grew     bool             // messages were added on top meanwhile
	inTurn   bool             // no two pages were read in parallel
	requests int
	err      error
}

// batchReading is a batch that is being read. It uses nothing of the reader that a step changes, so it may run
// concurrently with a commit and with another batch.
type batchReading struct {
	prefetch  *prefetch
	pool      WorkerPool
	begun     func(context.Context) error // called when the ends have been read, before all other pages are read
	requested func()                      // called when the last page before the proof is being requested
	count     int                         // the batch's number, for Priority
	number    int                         // of the first page
	pages     []connector.Page
	fresh     []connector.Page // the pages, each without the rows that repeat the page before
	requests  atomic.Int64
	bytes     atomic.Int64
	burst     int // how many of the next requests should follow each other immediately
	ended     bool
	grew      bool
}

// newBatch returns the next batch, of pages number to `to`, without reading it.
func (p *prefetch) newBatch(number, to int) *batchReading {
	p.batchesRead++
	return &batchReading{
		prefetch: p, pool: p.pool(), count: p.batchesRead, number: number, pages: make([]connector.Page, to-number+1),
		begun: func(context.Context) error { return nil }, requested: func() {},
	}
}

// readBatch reads pages number to `to` as one batch; edge is the first of them if it was read already.
func (p *prefetch) readBatch(ctx context.Context, number int, edge *connector.Page, to int) batchRead {
	return p.newBatch(number, to).readAll(ctx, edge)
}

// readAll reads the batch; edge is its first page if it was read already.
func (g *batchReading) readAll(ctx context.Context, edge *connector.Page) batchRead {
	result := batchRead{}
	result.whole, result.err = g.read(ctx, edge)
	result.requests, result.ended, result.grew = int(g.requests.Load()), g.ended, g.grew
	_, result.inTurn = g.pool.(serial)
	if result.whole {
		result.edge = g.pages[len(g.pages)-1]
		result.pages = g.fresh
	}
	return result
}

// read reads the batch and reports whether it is one slice.
func (g *batchReading) read(ctx context.Context, edge *connector.Page) (bool, error) {
	g.together(3) // the first page, the last one, and the one below the first
	if edge != nil {
		g.together(2)
		g.pages[0] = *edge
	} else if err := g.fill(ctx, 0); err != nil {
		return false, err
	}
	if err := g.findLast(ctx); err != nil {
		return false, err
	}
	first, next, err := g.settle(ctx)
	if err != nil {
		return false, err
	}
	if err := g.begun(ctx); err != nil {
		return false, err
	}
	g.burst = 0
	rest := max(0, len(g.pages)-1-next)
	if err := g.pool.Each(ctx, rest, func(ctx context.Context, i int) error {
		if i == rest-1 {
			g.requested()
		}
		return g.fill(ctx, next+i)
	}); err != nil {
		return false, err
	}
	g.requested()
	return g.verify(ctx, first)
}

// page reads the i-th page.
func (g *batchReading) page(ctx context.Context, i int) (connector.Page, error) {
	g.requests.Add(1)
	priority := Priority{Batch: g.count, Page: g.number + i, Burst: g.burst}
	if g.burst > 0 { // never while pages are read in parallel
		g.burst--
	}
	return g.prefetch.source.readIn(ctx, priority, "")
}

// together announces that the next n requests should follow each other immediately. That matters only on a list that
// grows.
func (g *batchReading) together(n int) {
	if _, growing := g.pool.(serial); growing {
		g.burst = n
	}
}

// fill reads the i-th page and keeps it.
func (g *batchReading) fill(ctx context.Context, i int) error {
	page, err := g.page(ctx, i)
	if err == nil && g.bytes.Add(int64(page.Bytes-g.pages[i].Bytes)) > int64(g.prefetch.rules.SliceBytes) {
		err = errHeavy
	}
	g.pages[i] = page
	return err
}

// findLast reads the last page. If it is empty, findLast bisects for the last page that is not, and cuts the batch
// there.
func (g *batchReading) findLast(ctx context.Context) error {
	shown, empty := 0, len(g.pages)
	for number := empty - 1; empty-shown > 1; number = shown + (empty-shown)/2 {
		if err := g.fill(ctx, number); err != nil {
			return err
		}
		if len(g.pages[number].Messages) > 0 {
			shown = number
		} else {
			empty, g.ended = number, true
		}
	}
	g.pages = g.pages[:empty]
	return nil
}

// settleAttempts is how many seams in a row may repeat rows before the list counts as one that always grows.
const settleAttempts = 5

// settle makes sure that no message was added between the readings of the first page and the last one: then the page
// after the first repeats no row. If it repeats rows, it becomes the first page, and the last page is read again. On a
// list that grows all the time the last page is read again only once a page repeats nothing. It returns the indexes of
// the first page and of the next one to read.
func (g *batchReading) settle(ctx context.Context) (first, next int, err error) {
	last := len(g.pages) - 1
	next = 1
	for ends := true; next < last; { // ends: the last page was read immediately before the next one
		if err := g.fill(ctx, next); err != nil {
			return 0, 0, err
		}
		switch {
		case repeats(g.pages[next-1], g.pages[next]) > 0:
			first, next, g.grew = next, next+1, true
			ends = next <= settleAttempts || next == last
		case ends:
			return first, next + 1, nil
		default:
			ends = true
		}
		if ends {
			g.together(2) // and the next page
			if err := g.fill(ctx, last); err != nil {
				return 0, 0, err
			}
		}
	}
	return first, last, nil
}

// verifyAttempts is how many times the ends are read again on a list that grows.
const verifyAttempts = 6

// verify reads the ends again, beginning with the page that counts as the first, and reports whether the pages are one
// slice.
func (g *batchReading) verify(ctx context.Context, first int) (bool, error) {
	last := len(g.pages) - 1
	repeated, ok := g.join(first)
	switch {
	case !ok:
		return false, nil
	case last == 0:
		return g.verifySingle(ctx)
	case first+1 == last && repeated > 0:
		return true, nil
	case first+1 == last:
		return g.verifyPair(ctx, first)
	}
	for attempt, grown := 0, repeated; attempt < verifyAttempts; attempt++ {
		g.together(2) // the page below the first, and the last one
		if grown == 0 {
			g.together(3)
		}
		rows, err := g.grownAbove(ctx, first, grown > 0)
		// If the last page moved and the first one did not, a message was added in between.
		if err != nil || rows < 0 || attempt > 0 && rows == grown {
			return false, err
		}
		grown = rows
		bottom, err := g.page(ctx, last)
		if err != nil {
			return false, err
		}
		switch shifted, ok := shift(g.pages[last], bottom); {
		case !ok || shifted < grown:
			return false, nil
		case shifted == grown:
			g.pages[last] = bottom
			repeated, ok := g.join(first)
			return ok && repeated == grown, nil
		}
		// A message was added between the two readings.
	}
	return false, nil
}

// verifySingle reports whether the only page of a batch, below which the list seemed to end, still ends with the same
// row.
func (g *batchReading) verifySingle(ctx context.Context) (bool, error) {
	again, err := g.page(ctx, 0)
	rows, ok := shift(g.pages[0], again)
	return ok && rows+len(g.pages[0].Messages) >= len(again.Messages), err
}

// verifyPair reports whether the first page and the last one, directly below it, are unchanged or repeat rows now.
func (g *batchReading) verifyPair(ctx context.Context, first int) (bool, error) {
	top, err := g.page(ctx, first)
	if err != nil {
		return false, err
	}
	if g.number+first == 0 && top.Fingerprint == g.pages[0].Fingerprint {
		return true, nil
	}
	bottom, err := g.page(ctx, first+1)
	if err != nil {
		return false, err
	}
	if repeats(g.pages[first], bottom) > 0 {
		g.grew, g.pages[first+1] = true, bottom
		_, ok := g.join(first)
		return ok, nil
	}
	rows, ok := shift(g.pages[first+1], bottom)
	return ok && rows == 0 && sameRows(g.pages[first].Messages, top.Messages), nil
}

// grownAbove returns by how many rows the last row of a page has moved down: as many as the page below now repeats, or
// 0 if it repeats none and the page itself is unchanged. The rest of the page below has to be unchanged as well, as
// late messages usually appear near the top of the list. It returns -1 if the pages show any other change. If the list
// is thought to have grown, it tries the page below first.
func (g *batchReading) grownAbove(ctx context.Context, i int, grown bool) (int, error) {
	same := false
	if !grown {
		top, err := g.page(ctx, i)
		if err != nil {
			return 0, err
		}
		same = sameRows(g.pages[i].Messages, top.Messages)
	}
	below, err := g.page(ctx, i+1)
	if err != nil {
		return 0, err
	}
	rows := repeats(g.pages[i], below)
	switch shifted, ok := shift(g.pages[i+1], below); {
	case rows == 0 && grown:
		g.together(3)
		return g.grownAbove(ctx, i, false)
	case !ok || rows != shifted+repeats(g.pages[i], g.pages[i+1]), rows == 0 && !same:
		return -1, nil
	}
	g.grew = g.grew || rows > 0
	return rows, nil
}

// join fills fresh with the pages, each without the rows that repeat the page before, and counts those rows below the
// first page. It returns false if a page is empty or repeats any other row.
func (g *batchReading) join(first int) (repeated int, ok bool) {
	on := make(map[connector.Key]int, len(g.pages)*len(g.pages[0].Messages))
	g.fresh = make([]connector.Page, len(g.pages))
	for i, page := range g.pages {
		if len(page.Messages) == 0 {
			return 0, false
		}
		n := 0
		if i > 0 {
			n = repeats(g.pages[i-1], page)
		}
		if i > first {
			repeated += n
		}
		page.Messages = page.Messages[n:]
		for j := range page.Messages {
			key := page.Messages[j].Key
			if at, met := on[key]; met && at != i {
				return 0, false
			}
			on[key] = i
		}
		g.fresh[i] = page
	}
	return repeated, true
}

// repeats counts the rows at the head of a page that are also the last rows of the page before.
func repeats(before, page connector.Page) int {
	at := indexOf(before.Messages, page.Messages)
	if at < 0 {
		return 0
	}
	tail := before.Messages[at:]
	if len(tail) > len(page.Messages) || !sameRows(tail, page.Messages[:len(tail)]) {
		return 0
	}
	return len(tail)
}

// shift returns how many rows are above the former first row of a page when it is read again. It returns false if the
// rows from there on differ.
func shift(was, now connector.Page) (rows int, ok bool) {
	at := indexOf(now.Messages, was.Messages)
	if at < 0 {
		return 0, false
	}
	n := min(len(was.Messages), len(now.Messages)-at)
	return at, sameRows(was.Messages[:n], now.Messages[at:at+n])
}

// indexOf is the index of the first of some rows among others, or -1.
func indexOf(among, rows []connector.Message) int {
	return slices.IndexFunc(among, func(m connector.Message) bool { return len(rows) > 0 && m.Key == rows[0].Key })
}

func sameRows(a, b []connector.Message) bool {
	return slices.EqualFunc(a, b, func(a, b connector.Message) bool { return a.Key == b.Key })
}
