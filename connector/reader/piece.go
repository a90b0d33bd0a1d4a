package reader

import (
	"context"
	"errors"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// piece is what the delivery of held messages reads of the list at a time: some pages, going down, as one span. It
// counts only if it is one slice of the list, so that nothing that stands in it was passed over. A row slips past where
// a page ends if one above it is deleted before the next page is read. No row slips at a seam where the lower page
// repeats some of the upper one: more was added there than deleted. So a row near the piece's end is looked at in
// between two pages, again as long as these repeat some, and must have moved by just as many rows, when it is met, as
// were met twice at the seams after that. What was added on top meanwhile does no harm.
type piece struct {
	span  span
	pages []connector.Page // those of the span
	foot  spanRow          // the row near its end, as it stood between two pages; none where it was not found
	fixed bool             // nothing was added while the foot was looked at
	lost  bool             // it was looked for and not found
	base  int              // how many rows were met twice until then
	begun bool
	next  int  // page to be read
	empty int  // empty pages in a row
	whole bool // nothing more is to be read
}

// pieceReading reads and delivers pieces of what is held, for acceptance.
type pieceReading struct{ *Reader }

// dropPiece forgets a piece that is being read.
func (r *pieceReading) dropPiece() { r.acceptance.accept.piece = piece{} }

// HoldsPiece says whether pages of a piece are held from one step to the next.
func (r *Reader) HoldsPiece() bool { return len(r.acceptance.accept.piece.pages) > 0 }

// readPiece reads one more page of a piece.
func (r *pieceReading) readPiece(ctx context.Context, out *Outcome) error {
	a, p := &r.acceptance.accept, &r.acceptance.accept.piece
	if len(p.pages) > 0 && !p.fixed && !p.lost {
		if err := r.lookAtFoot(ctx, out); err != nil || a.resting > 0 {
			return err
		}
		p.lost = p.foot == spanRow{}
	}
	if err := r.prefetch.checkMemory(len(p.pages) + 1); errors.Is(err, ErrMemoryLimit) {
		r.acceptance.rest(false)
		return nil
	}
	page, err := r.source.read(ctx, p.next, "")
	if err != nil {
		return err
	}
	out.Pages++
	p.next++
	if len(page.Messages) == 0 {
		p.empty++
		r.endPiece()
	} else {
		r.growPiece(page)
	}
	return nil
}

// lookAtFoot looks where a piece will end: at the page with what is done, or at the last of the list.
func (r *pieceReading) lookAtFoot(ctx context.Context, out *Outcome) error {
	a, done := &r.acceptance.accept, r.known.recorded.Accepting.Done
	number := a.low
	if len(done) > 0 {
		number = r.acceptance.expected() / r.rules.Page
	}
	for _, further := range []int{0, 1, -1} { // it may stand by an edge
		if number+further < 0 || further != 0 && len(done) == 0 {
			break
		}
		page, err := r.source.read(ctx, number+further, "")
		if err != nil {
			return err
		}
		out.Pages++
		i := len(page.Messages) - 1
		if len(done) > 0 {
			i = slices.IndexFunc(page.Messages, func(m connector.Message) bool { return slices.Contains(done, m.Key) })
		}
		if i >= 0 {
			a.piece.foot = spanRow{page.Messages[i].Key, page.Number*r.rules.Page + i}
			return nil
		}
	}
	if len(done) == 0 {
		r.acceptance.rest(true) // the list became shorter
	}
	return nil
}

// endPiece ends a piece with the list: where a page was empty that was so before, or another one below it is.
func (r *pieceReading) endPiece() {
	a, p := &r.acceptance.accept, &r.acceptance.accept.piece
	searched := len(r.known.recorded.Accepting.Done) == 0 && p.next-1 == a.high
	switch {
	case p.empty < 2 && p.next <= FarthestPage && !searched:
	// an end that shows nothing of it counts only where all above was looked at
	case len(r.known.recorded.Accepting.Done) > 0 && !a.everywhere:
		r.acceptance.lookFurther()
	case len(p.pages) == 0:
		r.acceptance.rest(true)
	default:
		p.whole = true
	}
}

// growPiece adds a page to a piece.
func (r *pieceReading) growPiece(page connector.Page) {
	a, p := &r.acceptance.accept, &r.acceptance.accept.piece
	p.empty = 0
	if !p.span.add(&r.known, page) {
		_ = r.known.moved(p.span.stray)
		r.acceptance.rest(true)
		return
	}
	p.pages = append(p.pages, page)
	if repeated := p.span.pages[len(p.span.pages)-1].repeated; p.foot != (spanRow{}) && !p.fixed {
		if p.fixed, p.base = repeated == 0, p.span.sunk(); !p.fixed {
			p.foot = spanRow{}
		}
	}
	if len(r.known.recorded.Accepting.Done) > 0 {
		_, under := p.span.met[p.foot.key]
		switch end := r.doneIn(&p.span); {
		case end < len(p.span.rows) && (under || !p.fixed && !p.lost):
			p.whole = true
		case end < len(p.span.rows) && !p.fixed: // here it stands: begin again with an end that is known
			a.astray += p.span.moved([]spanRow{p.span.rows[end]})[0].at - r.acceptance.expected()
			a.up, a.everywhere = 0, false
			r.acceptance.rest(false)
			return
		case end < len(p.span.rows) && p.next > (p.foot.at+p.span.sunk()-p.base)/r.rules.Page+1:
			r.acceptance.rest(true) // what it was to end with is gone
			return
		case end == len(p.span.rows) && !a.everywhere && p.next > r.acceptance.expected()/r.rules.Page+topBelow:
			r.acceptance.lookFurther() // it may stand further up, as something above was deleted; else anywhere
			return
		}
	}
	r.shortenPiece()
}

// shortenPiece forgets the highest pages of a piece that is longer, or heavier, than it may be.
func (r *pieceReading) shortenPiece() {
	a, p := &r.acceptance.accept, &r.acceptance.accept.piece
	bytes := 0
	for i := range p.pages {
		bytes += p.pages[i].Bytes
	}
	for len(p.pages) > a.size+2 || bytes > r.rules.SliceBytes && len(p.pages) > 2 {
		if bytes > r.rules.SliceBytes {
			a.size = len(p.pages) - 1
		}
		bytes -= p.pages[0].Bytes
		sunk := p.span.sunk()
		p.span.drop(1)
		p.base -= sunk - p.span.sunk()
		p.pages = slices.Delete(p.pages, 0, 1)
	}
}

// doneIn is the place of the highest row of a span that is done; the number of rows where there is none.
func (r *pieceReading) doneIn(s *span) int {
	done := r.known.recorded.Accepting.Done
	if len(done) == 0 {
		return len(s.rows)
	}
	keys := make(map[connector.Key]struct{}, len(done))
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

// footStands says whether the row near the end stood where it should when it was met; where none was needed, or nothing
// of what is done is listed any more, and nothing will be delivered, that is so.
func (p *piece) footStands() bool {
	row, met := p.span.met[p.foot.key]
	return !p.fixed || met && p.span.moved([]spanRow{row})[0].at == p.foot.at+p.span.sunk()-p.base
}

// deliverPiece delivers what a piece shows of what is held, and records how far that is.
func (r *pieceReading) deliverPiece(ctx context.Context, out *Outcome) error {
	a, at := &r.acceptance.accept, r.known.recorded.Accepting
	s, before := &a.piece.span, r.known.recorded.Sequence
	end := r.doneIn(s)
	lost := len(at.Done) > 0 && end == len(s.rows) // none of what was done is listed any more: nothing tells what is left
	if lost {
		end = 0
	}
	first, whole := r.topIn(s, end)
	rows := s.moved(slices.Clone(s.rows[first:]))
	places := make(map[connector.Key]int, len(rows))
	for _, row := range rows {
		places[row.key] = row.at
	}
	b := r.pieceOf(rows[:end-first])
	done := make(connector.Keys, 0, r.rules.Floor)
	for _, row := range rows[:min(len(rows), r.rules.Floor)] {
		done = append(done, row.key)
	}
	b.change = func(next *connector.Checkpoint, events []connector.Event, last bool) {
		so := *at
		if len(at.Done) == 0 {
			next.Bottom = r.endLook.bottomOf(next, at.Top, rows)
		}
		so.At, so.Delivered = next.Sequence, at.Delivered+next.Sequence-before
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
	}
	if certified > 0 && len(r.known.recorded.Horizon) > 0 {
		b.horizon = slices.DeleteFunc(slices.Clone(r.progress.top), func(key connector.Key) bool { return !r.known.has(key) })
	}
	committed, err := r.writer.commit(ctx, b, certified)
	out.add(committed)
	if err != nil {
		return err
	}
	r.dropPiece()
	a.up, a.everywhere, a.astray = 0, false, 0
	a.failures, a.size = 0, min(2*a.size, max(2, r.rules.SlicePages-r.rules.SlicePages/10))
	return nil
}

// topIn is where in a span the held messages begin, above a row; whole says that nothing is left above.
func (r *pieceReading) topIn(s *span, end int) (first int, whole bool) {
	for i, row := range s.rows {
		if slices.Contains(r.known.recorded.Accepting.Top, row.key) {
			if i == 0 && s.first() > 0 { // more of it may stand on the page above
				return 0, false
			}
			return min(i, end), true
		}
	}
	if s.first() > 0 {
		return 0, false
	}
	// All of the horizon was deleted. What was delivered in order lies above it, and so does what the top of the list
	// shows.
	for i := end - 1; i >= 0; i-- {
		if at, placed := r.known.window.place(s.rows[i].key); placed && !at.late() ||
			slices.Contains(r.known.recorded.Horizon, s.rows[i].key) {
			return i + 1, true
		}
	}
	return end, true
}

// pieceOf makes a batch of some rows of a piece, but for what is in the log or was not wanted.
func (r *pieceReading) pieceOf(rows []spanRow) delivery {
	var b delivery
	at := r.known.recorded.Accepting
	left := make(map[connector.Key]struct{}, len(rows))
	isTop := func(key connector.Key) bool { return slices.Contains(at.Top, key) }
	lowest := -1 // of the horizon as it was when the delivery began
	for i, row := range rows {
		if isTop(row.key) {
			lowest = i
		}
	}
	if slices.ContainsFunc(at.Done, isTop) {
		lowest = len(rows) // it stands below, in the piece before
	}
	for i, row := range rows {
		_, placed := r.known.window.place(row.key)
		if i < lowest && !r.known.window.whole() && !isTop(row.key) {
			continue // it came in late among the horizon's rows, was delivered as such, and may be forgotten
		}
		if at.Below && isTop(row.key) {
			continue
		}
		if !placed && !r.known.rejects.has(row.key) && !slices.Contains(r.known.recorded.Floor, row.key) {
			left[row.key] = struct{}{}
		}
	}
	var listed []found
	for i := range r.acceptance.accept.piece.pages {
		page := &r.acceptance.accept.piece.pages[i]
		for j := range page.Messages {
			listed = append(listed, found{&page.Messages[j], page.Received})
		}
	}
	newer := newerThanGround(listed, at.Newer)
	for i := range listed {
		f := &listed[i]
		_, wanted := left[f.Key]
		delete(left, f.Key)
		if !at.Newer.IsZero() && newer[i] && !r.known.window.whole() {
			continue // it was new when the horizon was set, was delivered, and may be forgotten
		}
		if wanted {
			b.add(f, true)
		}
	}
	b.oldestFirst()
	return b
}
