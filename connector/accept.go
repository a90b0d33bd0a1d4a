package connector

import (
	"context"
	"errors"
	"slices"
	"time"
)

// accepting is the delivery of held messages on the operator's word, beside the polls: they find what is new as ever, as the
// horizon is ground. The list is read from its end upward, piece by piece: some pages, read going down, as one span. A piece ends
// with the highest row that is done already, or with the list. Once it is proven to be one slice (see span), what it shows above that
// and below the horizon's top is delivered, oldest first, and its own top is the next to end with. So each page is read once, but for
// one of each piece that the next one ends with, and one to prove it.
//
// What is done is in the checkpoint by the keys of its highest rows, so that neither a restart nor a window that has forgotten most
// of it leads to anything twice. Each piece also renews the horizon, which is ground only while the window holds what came after it:
// it is then what the top of the list shows, all of which is in the log.
type accepting struct {
	size   int // pages in a piece; 0: as many as the rules say
	bounds *bounds
	// low shows something and high nothing, as far as the end of the list was searched; high is 0 where it was not met.
	low, high int
	// listed: the horizon's top is listed still. looks counts the pages that were looked at for it.
	listed  bool
	looks   int
	span    span
	pages   []Page // those of the span
	next    int    // page to be read; it goes on with the piece where there are pages
	empty   int    // empty pages in a row
	proving bool   // the piece is whole, if it is one slice
	// up is how many pages further up than it should stand what is done is looked for; everywhere: down from page 0, to the end.
	up         int
	everywhere bool
	failures   int // pieces in a row that were none
	resting    int // polls to be made first
}

// longestRest is for how many polls the delivery of held messages rests at most after pieces that failed.
const longestRest = 64

// takeWord begins the delivery of what is held, where the operator said so.
func (r *Reader) takeWord() {
	r.accept.resting = max(0, r.accept.resting-1)
	if r.word && r.recorded.Accepting == nil && len(r.recorded.Horizon) > 0 && !r.recorded.Accepted {
		r.recorded.Accepting, r.recorded.WordSpent, r.word = &Acceptance{Top: r.recorded.Horizon}, true, false
	}
}

// spendWord records at rest that the operator's word was heard: where nothing was held, it says nothing for what will be. A start
// without it makes it count again.
func (r *Reader) spendWord(ctx context.Context) error {
	r.word = false
	if r.recorded.WordSpent == r.flag || r.recorded.Accepting != nil {
		return nil
	}
	_, err := r.commit(ctx, batch{change: func(next *Checkpoint, _ []Event, _ bool) { next.WordSpent = r.flag }}, 0)
	return err
}

// goneAtOnce believes the operator, who says that ground is gone, where the list shows none about where it should be by time: what
// is as old becomes the horizon. It returns how many pages it read.
func (r *Reader) goneAtOnce(ctx context.Context, top Page) (pages int, gone bool, err error) {
	limit := r.times.median(r.window.certified)
	if limit.IsZero() || !r.hasGround() || len(top.Messages) == 0 || r.shows(top.Messages) {
		return 0, false, nil
	}
	older := func(t time.Time) bool { return !t.After(limit) }
	old := top.Messages[:min(len(top.Messages), r.rules.Floor)]
	if !allOlder(top.Messages, older) {
		if old, pages, err = r.boundary(ctx, older); err != nil {
			return pages, false, err
		}
	}
	r.asked = true
	var b batch
	for i := range old {
		switch {
		case r.known(old[i].Key):
			return pages, false, nil
		case old[i].Fault == "":
			r.hold(old[i].Key)
			b.horizon = append(b.horizon, old[i].Key)
		}
	}
	if len(b.horizon) == 0 {
		return pages, false, nil
	}
	_, err = r.commit(ctx, b, 0)
	return pages, err == nil, err
}

// Accepting says whether held messages may be delivered now, by a Sweep: on the operator's word, at rest.
func (r *Reader) Accepting() bool {
	return r.recorded.Accepting != nil && r.accept.resting == 0 && r.Rested()
}

// topOf is what the horizon may be renewed with after a walk from page 0.
func (r *Reader) topOf(order []found) (top Keys) {
	if r.recorded.Accepting == nil {
		return nil
	}
	for i := range order[:min(len(order), r.rules.Floor)] {
		top = append(top, order[i].Key)
	}
	return top
}

// acceptSome goes on with the delivery of held messages by a few pages.
func (r *Reader) acceptSome(ctx context.Context, out *Outcome) error {
	defer func() { out.More = r.Accepting() }()
	for step := 0; step < max(1, r.rules.SweepStep) && r.Accepting(); step++ {
		if err := r.acceptOn(ctx, out); err != nil {
			return err
		}
	}
	return nil
}

// acceptOn makes the next step: one page.
func (r *Reader) acceptOn(ctx context.Context, out *Outcome) error {
	a, at := &r.accept, r.recorded.Accepting
	if a.size == 0 {
		a.size = max(2, r.rules.SlicePages-r.rules.SlicePages/10)
	}
	if a.proving {
		return r.provePiece(ctx, out)
	}
	if len(a.pages) == 0 {
		if len(at.Done) == 0 && !a.listed {
			return r.searchTop(ctx, out)
		}
		if len(at.Done) == 0 && (a.high == 0 || a.high-a.low > a.size) {
			return r.searchEnd(ctx, out)
		}
		a.span, a.empty, a.next = span{}, 0, max(0, a.low)
		if len(at.Done) > 0 {
			a.next = r.pieceStart()
		}
	}
	if err := r.may(len(a.pages) + 1); errors.Is(err, ErrNoRoom) {
		r.rest(false)
		return nil
	}
	page, err := r.read(ctx, a.next, "")
	if err != nil {
		return err
	}
	out.Pages++
	if a.next++; len(page.Messages) == 0 {
		if a.empty++; a.empty > 1 || a.next > farthestPage {
			switch {
			case len(at.Done) > 0 && !a.everywhere: // an end that shows nothing of it counts only where all above was looked at
				r.lookFurther()
			case len(a.pages) == 0:
				r.rest(true)
			default:
				a.proving = true
			}
		}
		return nil
	}
	a.empty = 0
	if !a.span.add(r, page) {
		_ = r.moved(a.span.stray)
		r.rest(true)
		return nil
	}
	a.pages = append(a.pages, page)
	a.proving = r.doneIn(&a.span) < len(a.span.rows)
	if !a.proving && len(at.Done) > 0 && !a.everywhere && a.next > r.expected()/r.rules.Page+topBelow {
		// What is done may stand further up, as something above was deleted; else anywhere.
		r.lookFurther()
		return nil
	}
	bytes := 0
	for i := range a.pages {
		bytes += a.pages[i].Bytes
	}
	for len(a.pages) > a.size+2 || bytes > r.rules.SliceBytes && len(a.pages) > 2 {
		if bytes > r.rules.SliceBytes {
			a.size = len(a.pages) - 1
		}
		bytes -= a.pages[0].Bytes
		a.span.drop(1)
		a.pages = slices.Delete(a.pages, 0, 1)
	}
	return nil
}

// searchTop looks at one more page for the horizon as it was when the delivery began: about where it should stand by what came into
// the log since, and then above and below in turn. Where it is not listed any more, the list is another one, and nothing is delivered.
func (r *Reader) searchTop(ctx context.Context, out *Outcome) error {
	a, top := &r.accept, r.recorded.Accepting.Top
	isTop := func(key Key) bool { return slices.Contains(top, key) }
	if a.listed = slices.ContainsFunc(r.top, isTop); a.listed {
		return nil
	}
	expected := int(r.recorded.Sequence-r.recorded.HorizonAt) / r.rules.Page
	number := expected + (a.looks+1)/2
	if a.looks%2 == 0 {
		number = expected - a.looks/2
	}
	if number < 0 && a.looks > 2*topBelow {
		change := func(next *Checkpoint, _ []Event, _ bool) { next.Accepting = nil }
		_, err := r.commit(ctx, batch{change: change}, 0)
		return err
	}
	if a.looks++; number < 0 || number > expected+topBelow {
		return nil
	}
	page, err := r.read(ctx, number, "")
	if err != nil {
		return err
	}
	out.Pages++
	a.listed = slices.ContainsFunc(page.Messages, func(m Message) bool { return isTop(m.Key) })
	return nil
}

// topBelow is how many pages below where it should stand the horizon is looked for.
const topBelow = 3

// searchEnd looks at one more page in search of the end of the list, by doubling and then by halves.
func (r *Reader) searchEnd(ctx context.Context, out *Outcome) error {
	a := &r.accept
	if a.bounds == nil {
		a.bounds, a.low = newBounds(searchLooks), -1
	}
	number := a.low + (a.high-a.low)/2
	switch {
	case a.high > 0:
	case a.low < 0:
		number = a.size - 1
	default:
		number = 2*a.low + 1
	}
	if a.bounds.ask(number) != nil {
		r.rest(true)
		return nil
	}
	page, err := r.read(ctx, number, "")
	if err != nil {
		return err
	}
	out.Pages++
	switch {
	case len(page.Messages) == 0 && number == 0:
		r.rest(true) // the whole list is empty
	case len(page.Messages) == 0:
		a.high = number
	case a.bounds.show(number, page) != nil:
		r.rest(true)
	default:
		a.low = number
	}
	return nil
}

// rest gives a piece up, and lets a few polls go first; more where several failed in a row.
func (r *Reader) rest(failed bool) {
	a := &r.accept
	r.dropPiece()
	a.bounds, a.low, a.high, a.resting = nil, 0, 0, 1
	if failed {
		a.failures++
		a.resting = min(1<<min(a.failures/2, 10), longestRest)
		a.size = max(2, a.size/2)
	}
}

// dropPiece forgets the pages of a piece that is being read.
func (r *Reader) dropPiece() {
	r.accept.pages, r.accept.span, r.accept.proving = nil, span{}, false
}

// holdsPiece says whether pages of a piece are held from one step to the next.
func (r *Reader) holdsPiece() bool { return len(r.accept.pages) > 0 }

// pieceStart is the page that a piece begins with which ends with what is done.
func (r *Reader) pieceStart() int {
	a := &r.accept
	if a.everywhere {
		return 0
	}
	return max(0, r.expected()/r.rules.Page-a.size+1-a.up)
}

// lookFurther gives up a piece in which nothing that is done was met where it should stand. The next one begins further up; the
// last one at page 0.
func (r *Reader) lookFurther() {
	a := &r.accept
	a.everywhere = r.pieceStart() == 0
	a.up += a.size
	r.dropPiece()
}

// expected is the row at which the highest one that is done should stand now.
func (r *Reader) expected() int {
	at := r.recorded.Accepting
	return at.Row + int(r.recorded.Sequence-at.At)
}

// doneIn is the place of the highest row of a span that is done; the number of rows where there is none.
func (r *Reader) doneIn(s *span) int {
	done := r.recorded.Accepting.Done
	if len(done) == 0 {
		return len(s.rows)
	}
	keys := make(map[Key]struct{}, len(done))
	for _, key := range done {
		keys[key] = struct{}{}
	}
	for i, row := range s.rows {
		if within(keys, row.key) {
			return i
		}
	}
	return len(s.rows)
}

// provePiece reads again where the piece's first row should stand now, and delivers the piece if it stands there.
func (r *Reader) provePiece(ctx context.Context, out *Outcome) error {
	a := &r.accept
	at := a.span.rows[0].at + a.span.sunk()
	page, err := r.read(ctx, at/r.rules.Page, "")
	if err != nil {
		return err
	}
	out.Pages++
	if !a.span.standsAt(page, at%r.rules.Page) {
		r.rest(true)
		return nil
	}
	return r.deliverPiece(ctx, out)
}

// deliverPiece delivers what a piece shows of what is held, and records how far that is.
func (r *Reader) deliverPiece(ctx context.Context, out *Outcome) error {
	a, at := &r.accept, r.recorded.Accepting
	end := r.doneIn(&a.span)
	lost := len(at.Done) > 0 && end == len(a.span.rows) // none of what was done is listed any more: nothing tells what is left
	if lost {
		end = 0
	}
	first, whole := r.topIn(&a.span, end)
	rows := a.span.moved(slices.Clone(a.span.rows[first:]))
	places := make(map[Key]int, len(rows))
	for _, row := range rows {
		places[row.key] = row.at
	}
	b := r.pieceOf(rows[:end-first])
	done := make(Keys, 0, r.rules.Floor)
	for _, row := range rows[:min(len(rows), r.rules.Floor)] {
		done = append(done, row.key)
	}
	b.change = func(next *Checkpoint, events []Event, last bool) {
		so := Acceptance{Top: at.Top, Done: at.Done, Row: at.Row, At: next.Sequence}
		switch {
		case last && (whole || lost):
			next.Accepting, next.Accepted = nil, true
			return
		case last && len(rows) > 0:
			so.Done, so.Row = done, rows[0].at
		case len(events) > 0:
			so.Done = nil
			for i := len(events) - 1; i >= 0 && len(so.Done) < r.rules.Floor; i-- {
				so.Done = append(so.Done, events[i].Key)
			}
			so.Row = places[so.Done[0]]
		}
		next.Accepting = &so
	}
	certified := uint64(0)
	if r.Rested() {
		certified = everything
		b.horizon = slices.DeleteFunc(slices.Clone(r.top), func(key Key) bool { return !r.known(key) })
	}
	committed, err := r.commit(ctx, b, certified)
	out.add(committed)
	if err != nil {
		return err
	}
	r.dropPiece()
	a.up, a.everywhere = 0, false
	a.failures, a.size = 0, min(2*a.size, max(2, r.rules.SlicePages-r.rules.SlicePages/10))
	return nil
}

// topIn is where in a span the held messages begin, above a row; whole says that nothing is left above.
func (r *Reader) topIn(s *span, end int) (first int, whole bool) {
	for i, row := range s.rows {
		if slices.Contains(r.recorded.Accepting.Top, row.key) {
			if i == 0 && s.first() > 0 { // more of it may stand on the page above
				return 0, false
			}
			return min(i, end), true
		}
	}
	if s.first() > 0 {
		return 0, false
	}
	// All of the horizon was deleted. What was delivered in order lies above it, and so does what the top of the list shows.
	for i := end - 1; i >= 0; i-- {
		if at, placed := r.window.place(s.rows[i].key); placed && !at.late() || slices.Contains(r.recorded.Horizon, s.rows[i].key) {
			return i + 1, true
		}
	}
	return end, true
}

// pieceOf makes a batch of some rows of a piece, but for what is in the log or was not wanted.
func (r *Reader) pieceOf(rows []spanRow) batch {
	var b batch
	left := make(map[Key]struct{}, len(rows))
	isTop := func(key Key) bool { return slices.Contains(r.recorded.Accepting.Top, key) }
	lowest := -1 // of the horizon as it was when the delivery began
	for i, row := range rows {
		if isTop(row.key) {
			lowest = i
		}
	}
	if slices.ContainsFunc(r.recorded.Accepting.Done, isTop) {
		lowest = len(rows) // it stands below, in the piece before
	}
	for i, row := range rows {
		_, placed := r.window.place(row.key)
		if i < lowest && !r.window.whole() && !isTop(row.key) {
			continue // it came in late among the horizon's rows, was delivered as such, and may be forgotten
		}
		if !placed && !r.rejects.has(row.key) && !slices.Contains(r.recorded.Floor, row.key) {
			left[row.key] = struct{}{}
		}
	}
	for i := range r.accept.pages {
		page := &r.accept.pages[i]
		for j := range page.Messages {
			m := &page.Messages[j]
			if _, ok := left[m.Key]; ok {
				b.add(&found{m, page.Received}, true)
				delete(left, m.Key)
			}
		}
	}
	b.oldestFirst()
	return b
}
