package reader

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/twochat-connector/twochat-connector/connector"
)

// A batch of pages is read side by side, but for its ends: the first page and then the last one are read before all
// others, and again the first and then the last after all others. It is one slice of the list, with nothing missing,
// where
//
//   - the last row of the first page, and the first row of the last page, have moved down between both readings by the same
//     number of rows: 0 on a list that stands still, more where messages were added on top (where the first page's last row is
//     now, the page below it shows, which is read again as well);
//   - going down the pages, the last one as it was read last, exactly as many rows are met twice: at the head of a page those
//     that ended the page before.
//
// Why that proves it, and what is left, is in connector/README.md, "Why pages may be read side by side". Where a
// message comes in between the first readings of the ends, the batch goes on with the next page as its first, as a seam
// whose rows repeat is proven by that alone; and where that happens all the time, with page after page.
//
// A list that is known to grow is read one page after the other: a page that is read before the one above it misses
// what was pushed down between them.

// errHeavy: the pages of a batch are too heavy to be held together.
var errHeavy = errors.New("the pages are heavy")

// batchRead is some pages that were read together.
type batchRead struct {
	pages    []connector.Page // from the first one down, each without what it repeats of the one before
	edge     connector.Page   // the last one, with all that it shows
	whole    bool             // it is one slice of the list
	ended    bool             // an empty page followed
	grew     bool             // messages were added on top meanwhile
	inTurn   bool             // no page was read beside another
	requests int
	err      error
}

// batchReading is a batch that is being read. It uses nothing of the reader that a step changes, so that it may go on
// beside a commit, and beside another batch.
type batchReading struct {
	prefetch *prefetch
	count    int // which batch of the reader's it is
	number   int // of the first page
	pages    []connector.Page
	fresh    []connector.Page // the pages, each without what it repeats of the one before
	requests atomic.Int64
	bytes    atomic.Int64
	ended    bool
	grew     bool
}

// countBatch is the count of the next batch to be read.
func (p *prefetch) countBatch() int {
	p.batchesRead++
	return p.batchesRead
}

// readBatch reads pages number to `to`, as the count-th batch; edge is the first one where it is read already. It calls
// nearly when few pages are still to be asked for.
func (p *prefetch) readBatch(ctx context.Context, count, number int, edge *connector.Page, to int, pool WorkerPool,
	nearly func(),
) batchRead {
	g := &batchReading{prefetch: p, count: count, number: number, pages: make([]connector.Page, to-number+1)}
	result := batchRead{}
	result.whole, result.err = g.read(ctx, edge, pool, nearly)
	result.requests, result.ended, result.grew = int(g.requests.Load()), g.ended, g.grew
	_, result.inTurn = pool.(serial)
	if result.whole {
		result.edge = g.pages[len(g.pages)-1]
		result.pages = g.fresh
	}
	return result
}

// read says whether the pages are one slice.
func (g *batchReading) read(ctx context.Context, edge *connector.Page, pool WorkerPool, nearly func()) (bool, error) {
	if edge != nil {
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
	rest := max(0, len(g.pages)-1-next)
	if err := pool.Each(ctx, rest, func(ctx context.Context, i int) error {
		if i >= rest-nearlyPages {
			nearly()
		}
		return g.fill(ctx, next+i)
	}); err != nil {
		return false, err
	}
	nearly()
	return g.holds(ctx, first)
}

// page reads the i-th page.
func (g *batchReading) page(ctx context.Context, i int) (connector.Page, error) {
	g.requests.Add(1)
	return g.prefetch.source.readIn(ctx, Turn{Batch: g.count, Page: g.number + i}, "")
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

// findLast reads the last page; where it is empty, it finds the last one that is not, and leaves out those below.
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

// settle makes sure that nothing came in between the readings of the first page and the last one: then the next page
// after the first repeats nothing. Else that one becomes the first, and the last page is read again; but not where the
// list always grows, until a page repeats nothing. It returns which page is the first, and which is the next to be
// read.
func (g *batchReading) settle(ctx context.Context) (first, next int, err error) {
	last := len(g.pages) - 1
	next = 1
	for ends := true; next < last; { // ends: the last page was read right before the next one
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
			if err := g.fill(ctx, last); err != nil {
				return 0, 0, err
			}
		}
	}
	return first, last, nil
}

// holdAttempts is how often the ends are read again, on a list that grows.
const holdAttempts = 6

// holds reads the ends again, from the page that counts as the first, and says whether the pages are one slice.
func (g *batchReading) holds(ctx context.Context, first int) (bool, error) {
	last := len(g.pages) - 1
	repeated, ok := g.slice(first)
	switch {
	case !ok:
		return false, nil
	case last == 0:
		return g.holdsAlone(ctx)
	case first+1 == last && repeated > 0:
		return true, nil
	case first+1 == last:
		return g.holdsPair(ctx, first)
	}
	for attempt, grown := 0, repeated; attempt < holdAttempts; attempt++ {
		rows, err := g.grownAbove(ctx, first, grown > 0)
		if err != nil || rows < 0 || attempt > 0 && rows == grown { // what moved the last page further came in below
			return false, err
		}
		grown = rows
		bottom, err := g.page(ctx, last)
		if err != nil {
			return false, err
		}
		switch sunk, ok := sunk(g.pages[last], bottom); {
		case !ok || sunk < grown:
			return false, nil
		case sunk == grown:
			g.pages[last] = bottom
			repeated, ok := g.slice(first)
			return ok && repeated == grown, nil
		}
		// A message came in between the two readings.
	}
	return false, nil
}

// holdsAlone says whether the only page, below which the list seemed to end, still ends with what it ended with.
func (g *batchReading) holdsAlone(ctx context.Context) (bool, error) {
	again, err := g.page(ctx, 0)
	rows, ok := sunk(g.pages[0], again)
	return ok && rows+len(g.pages[0].Messages) >= len(again.Messages), err
}

// holdsPair says whether a page and the last one, right below it, stand still, or repeat rows now.
func (g *batchReading) holdsPair(ctx context.Context, first int) (bool, error) {
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
		_, ok := g.slice(first)
		return ok, nil
	}
	rows, ok := sunk(g.pages[first+1], bottom)
	return ok && rows == 0 && sameRows(g.pages[first].Messages, top.Messages), nil
}

// grownAbove says by how many rows the last row of a page has moved down: the page below begins with so many that the
// other ended with; or with none, and the page was the same right before. The page below is held to be what it was
// besides: where a message comes in late, it is most often near the top of the list. The number is -1 where the pages
// show another change. Where the list is thought to have grown, the page below is tried first.
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
	switch sunk, ok := sunk(g.pages[i+1], below); {
	case rows == 0 && grown:
		return g.grownAbove(ctx, i, false)
	case !ok || rows != sunk+repeats(g.pages[i], g.pages[i+1]), rows == 0 && !same:
		return -1, nil
	}
	g.grew = g.grew || rows > 0
	return rows, nil
}

// slice puts the pages together, each without the rows that it repeats of the one before, and counts those below the
// first. It reports false where a page is empty, or repeats anything else.
func (g *batchReading) slice(first int) (repeated int, ok bool) {
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

// repeats counts the rows at the head of a page that are those at the end of the page before.
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

// sunk says how many rows stand above a page's first row now, on the same page read again. It reports false where the
// two do not go on with the same rows from there.
func sunk(was, now connector.Page) (rows int, ok bool) {
	at := indexOf(now.Messages, was.Messages)
	if at < 0 {
		return 0, false
	}
	n := min(len(was.Messages), len(now.Messages)-at)
	return at, sameRows(was.Messages[:n], now.Messages[at:at+n])
}

// indexOf is where the first of some rows stands among others; -1 where it does not.
func indexOf(among, rows []connector.Message) int {
	return slices.IndexFunc(among, func(m connector.Message) bool { return len(rows) > 0 && m.Key == rows[0].Key })
}

func sameRows(a, b []connector.Message) bool {
	return slices.EqualFunc(a, b, func(a, b connector.Message) bool { return a.Key == b.Key })
}
