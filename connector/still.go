package connector

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// Crew does things side by side. Both methods leave no goroutine behind that nobody waits for.
type Crew interface {
	// Each calls do for 0 to n-1, several at a time, and returns when all calls have: the first error, or nil. After an error
	// no further call begins.
	Each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error
	// Aside runs do beside the caller, who must call wait.
	Aside(do func()) (wait func())
}

// Hands is a Crew of goroutines: so many calls of Each at a time.
type Hands int

// Each implements Crew.
func (h Hands) Each(ctx context.Context, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(int(h), n) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// Aside implements Crew.
func (h Hands) Aside(do func()) func() {
	var group sync.WaitGroup
	group.Go(do)
	return group.Wait
}

// A group of pages stands still if its first page and then its last one are read before all others and, again the first and
// then the last, after all others, both are unchanged, and no message stands on two of its pages. Such a group is one
// instant's slice of the list:
//
// Let a page's shift be by how much the list above it had grown when it was read. What came and went above the first page
// cancels out, and above the last one as well; their readings overlap, so they have the same shift (see below). If a page
// between has another, then going down the pages the shift falls somewhere and rises somewhere. Where it falls a message may
// be missing; but where it rises, the message that ended the page above stands again at the head of the page below, and is
// seen twice. So no rise means no fall, and nothing is missing. Where the first page is page 0, nothing lies above it, and
// each change of it shows for good (assumption A2).
//
// What is left: three changes above the group that cancel out, a delete, an insert and a delete, one in each of the moments
// between two of the four readings of its ends; and a message that comes in late exactly at the seam of two pages while
// another is deleted above it within the group. Both within a second or so. A sweep finds what that would hide. The
// certificate by a second walk has a residue too, of two deletes that hit one seam (guarantees.md §3.2).
//
// Groups are chained by a common page: what stands still between one group's last page and the next one's is again a slice.

// groupSizes is how many new pages the groups of a walk from page 0 have: few at first, as most walks are short.
var groupSizes = [...]int{1, 3, 6, 12, 24}

// errHeavy: the pages of a group are too heavy to be held together.
var errHeavy = errors.New("the pages are heavy")

// still walks by groups of pages that stand still. It reports false, with no error, where they do not or where that cannot be
// told: then the walk has to be done in order. The walk is proven where it reports true.
func (w *walker) still(ctx context.Context, first *Page) (bool, error) {
	r := w.reader
	if r.crew == nil || r.restless > 0 {
		r.restless = max(0, r.restless-1)
		r.abandon()
		return false, nil
	}
	if first != nil {
		if len(first.Messages) == 0 {
			return false, nil
		}
		if done, err := w.take(*first); done || err != nil {
			return done, err
		}
	}
	edge, number, to := first, r.start, r.start+groupSizes[0]
	switch { // in a deep backlog it is known about where ground should be
	case edge == nil:
		to = r.aheadTo(r.start)
	case r.rose > 0:
		to = r.topTo(r.rose)
	}
	r.rose = 0
	for round := 1; ; round++ {
		g := r.groupFrom(ctx, number, edge, to)
		w.pages += g.requests
		if g.err != nil && !errors.Is(g.err, errHeavy) {
			return false, g.err
		}
		if !g.still {
			// Where the list moves all the time the attempt is only dear: leave it for a while.
			r.moves = min(r.moves+1, 4)
			r.restless = 1<<r.moves - 1
			return false, nil
		}
		if edge == nil {
			g.pages = slices.Insert(g.pages, 0, g.edge)
		}
		for _, page := range g.pages {
			if done, err := w.take(page); done || err != nil {
				r.moves, w.proven = 0, done
				return done, err
			}
		}
		if len(g.pages) > 0 {
			edge = &g.pages[len(g.pages)-1]
		}
		number = edge.Number
		if len(edge.Messages) < r.rules.Page || g.ended {
			if ended, err := w.end(ctx, number+1); ended || g.ended || err != nil {
				return ended, err
			}
		}
		if number-r.start+1 >= r.slice {
			return false, errDeep
		}
		to = min(number+groupSizes[min(round, len(groupSizes)-1)], r.start+r.slice-1)
	}
}

// end concludes a walk whose last page was short, or had an empty one after it: it reports whether the list is proven to end
// there.
func (w *walker) end(ctx context.Context, number int) (bool, error) {
	page, err := w.reader.page(ctx, number)
	w.pages++
	if err != nil || len(page.Messages) > 0 {
		return false, err
	}
	w.taken++
	w.walked, err = w.reader.ended(w.walked)
	w.proven = err == nil
	return w.proven, err
}

// group is some pages read together.
type group struct {
	edge     Page   // the first
	pages    []Page // all below it
	still    bool
	ended    bool // an empty page followed
	requests int
	err      error
}

// readGroup reads pages number to `to`; edge is the first one where it is read already. It calls filled when at most the ends
// are still to be read again. It uses nothing of the reader that a step changes, so that it may go on beside a commit.
func (r *Reader) readGroup(ctx context.Context, number int, edge *Page, to int, filled func()) group {
	pages := make([]Page, to-number+1)
	requests, bytes := atomic.Int64{}, atomic.Int64{}
	read := func(ctx context.Context, number int) (Page, error) {
		requests.Add(1)
		page, err := r.read(ctx, number, "")
		if err == nil && bytes.Add(int64(page.Bytes)) > int64(r.rules.SliceBytes) {
			err = errHeavy
		}
		return page, err
	}
	at := func(i int) func(context.Context, int) error {
		return func(ctx context.Context, j int) (err error) {
			pages[i+j], err = read(ctx, number+i+j)
			return err
		}
	}
	still, err := r.standStill(ctx, pages, edge, at, filled, func(ctx context.Context, i int) (bool, error) {
		page, err := read(ctx, number+i)
		return page.Fingerprint == pages[i].Fingerprint, err
	})
	last := len(pages)
	for last > 1 && len(pages[last-1].Messages) == 0 {
		last--
	}
	return group{edge: pages[0], pages: pages[1:last], still: still, ended: last < len(pages), requests: int(requests.Load()), err: err}
}

// standStill fills pages and says whether they stood still meanwhile. Empty pages at the end are left out.
func (r *Reader) standStill(ctx context.Context, pages []Page, edge *Page, read func(int) func(context.Context, int) error,
	filled func(), again func(context.Context, int) (bool, error),
) (bool, error) {
	last := len(pages) - 1
	if edge != nil {
		pages[0] = *edge
	} else if err := read(0)(ctx, 0); err != nil {
		return false, err
	}
	if err := read(last)(ctx, 0); err != nil {
		return false, err
	}
	for ; last > 0 && len(pages[last].Messages) == 0; last-- {
		if last == 1 {
			continue // the list ends with the first page
		}
		if last == len(pages)-4 {
			return false, nil // far beyond the end of the list
		}
		if err := read(last-1)(ctx, 0); err != nil {
			return false, err
		}
	}
	if err := r.crew.Each(ctx, max(0, last-1), read(1)); err != nil {
		return false, err
	}
	filled()
	if same, err := again(ctx, 0); !same || err != nil {
		return false, err
	}
	if last > 1 || last == 1 && pages[0].Number > 0 { // else nothing above page 1 can have changed while page 0 is the same
		if same, err := again(ctx, last); !same || err != nil {
			return false, err
		}
	}
	return disjoint(pages[:last+1]), nil
}

// disjoint says whether no page is empty and no message stands on two pages.
func disjoint(pages []Page) bool {
	on := make(map[Key]int, len(pages)*len(pages[0].Messages))
	for i := range pages {
		if len(pages[i].Messages) == 0 {
			return false
		}
		for j := range pages[i].Messages {
			key := pages[i].Messages[j].Key
			if page, met := on[key]; met && page != i {
				return false
			}
			on[key] = i
		}
	}
	return true
}

// ahead is a group that is read for the next step, beside a commit or the last readings of the group below it.
type ahead struct {
	start, to int
	filled    chan struct{} // closed when at most its ends are still to be read again
	stop      context.CancelFunc
	wait      func()
	group     group
}

// aheadTo is the last page of the first group of a walk that begins below page 0: a page beyond where the walk before began.
func (r *Reader) aheadTo(start int) int { return start + r.stillStep() + 1 }

// topTo is the last page of the first group of a walk from page 0, where the walk before began at this page.
func (r *Reader) topTo(rose int) int { return min(rose+1, r.slice-1) }

// stillStep is how many pages of a deep backlog a walk takes that stands still: nearly a slice, as nothing moves ground down.
func (r *Reader) stillStep() int { return max(1, r.slice-2-r.slice/8) }

// readAhead begins to read where the walk will that follows one from this page, if it is not under way.
func (r *Reader) readAhead(ctx context.Context, from int) {
	a := &ahead{start: max(0, from-r.stillStep()), filled: make(chan struct{})}
	if a.to = r.aheadTo(a.start); a.start == 0 {
		a.to = r.topTo(from)
	}
	if r.ahead != nil && r.ahead.start == a.start && r.ahead.to == a.to {
		return
	}
	r.abandon()
	ctx, a.stop = context.WithCancel(ctx)
	a.wait = r.crew.Aside(func() {
		filled := sync.OnceFunc(func() { close(a.filled) })
		defer filled()
		a.group = r.readGroup(ctx, a.start, nil, a.to, filled)
	})
	r.ahead = a
}

// groupFrom is the group that was read ahead, where it is the one asked for, else it is read now. From page 0 it is the one only
// while page 0 is the same: each change shows there (assumption A2).
func (r *Reader) groupFrom(ctx context.Context, number int, edge *Page, to int) group {
	a := r.ahead
	if a == nil || a.start != number || a.to != to || edge != nil && number != 0 {
		r.abandon()
		return r.readGroup(ctx, number, edge, to, func() {})
	}
	r.ahead = nil
	<-a.filled
	if number > 0 { // no hand is idle while the ends are read again, one after the other
		r.readAhead(ctx, number)
	}
	a.wait()
	a.stop()
	if a.group.err != nil || edge != nil && a.group.edge.Fingerprint != edge.Fingerprint {
		r.abandon()
		return r.readGroup(ctx, number, edge, to, func() {})
	}
	if !a.group.still {
		r.abandon()
	}
	return a.group
}

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
