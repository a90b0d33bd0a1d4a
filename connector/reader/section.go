package reader

import (
	"context"
	"errors"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// section is a part of the list that the delivery of held messages reads at a time: some pages, going down, as one
// span. It counts only if it is one slice of the list, so that it misses no row. A row is missed between two pages if
// one above it is deleted before the lower page is read. No row is missed if the lower page repeats rows of the upper
// one, as more were added than deleted. So a reference row near the section's end is read between two pages (and again
// while these repeat rows). When the section has got down to it, it must have moved by exactly as many rows as were
// repeated since. Messages that are added on top meanwhile do no harm.
type section struct {
	span      span
	pages     []connector.Page // those of the span
	reference spanRow          // a row near its end, at its place between two pages; zero if it was not found
	fixed     bool             // nothing was added while the reference was read
	lost      bool             // the reference was not found
	base      int              // how many rows were repeated until then
	begun     bool
	next      int  // page to be read
	empty     int  // empty pages in a row
	whole     bool // all of it was read
}

// sectionReader reads and delivers the sections of held messages, for acceptance.
type sectionReader struct{ *Reader }

// dropSection discards the section that is being read.
func (r *sectionReader) dropSection() { r.acceptance.accept.section = section{} }

// HoldsSection reports whether pages of a section are held in memory from one step to the next.
func (r *Reader) HoldsSection() bool { return len(r.acceptance.accept.section.pages) > 0 }

// readSection reads one more page of a section.
func (r *sectionReader) readSection(ctx context.Context, out *Outcome) error {
	a, p := &r.acceptance.accept, &r.acceptance.accept.section
	if len(p.pages) > 0 && !p.fixed && !p.lost {
		if err := r.findReference(ctx, out); err != nil || a.pollsToWait > 0 {
			return err
		}
		p.lost = p.reference == spanRow{}
	}
	if err := r.prefetch.checkMemory(len(p.pages) + 1); errors.Is(err, ErrMemoryLimit) {
		r.acceptance.backOff(false)
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
		r.endSection()
	} else {
		r.growSection(page)
	}
	return nil
}

// findReference reads the page where a section will end, which is the page with the rows that are done or the last one
// of the list, and takes a row of it as the reference.
func (r *sectionReader) findReference(ctx context.Context, out *Outcome) error {
	a, done := &r.acceptance.accept, r.known.recorded.Accepting.Done
	number := a.low
	if len(done) > 0 {
		number = r.acceptance.expected() / r.rules.Page
	}
	for _, further := range []int{0, 1, -1} { // it may have moved to a neighbouring page
		switch {
		case number+further < 0:
			continue
		case further > 0 && len(done) == 0:
			continue // there is no page below the last one
		}
		page, err := r.source.read(ctx, number+further, "")
		if err != nil {
			return err
		}
		out.Pages++
		i := len(page.Messages) - 1
		for i >= 0 && r.known.ignoring(page.Messages[i].Key) { // it has two places
			i--
		}
		if len(done) > 0 {
			i = slices.IndexFunc(page.Messages, func(m connector.Message) bool { return slices.Contains(done, m.Key) })
		}
		if i >= 0 {
			a.section.reference = spanRow{key: page.Messages[i].Key, at: page.Number*r.rules.Page + i}
			return nil
		}
		if len(done) == 0 && len(page.Messages) == 0 {
			break
		}
	}
	if len(done) == 0 {
		r.acceptance.backOff(true) // the list became shorter
	}
	return nil
}

// endSection ends a section at the end of the list, after an empty page, if the end was known before or a second page
// is empty.
func (r *sectionReader) endSection() {
	a, p := &r.acceptance.accept, &r.acceptance.accept.section
	searched := len(r.known.recorded.Accepting.Done) == 0 && p.next-1 == a.high
	switch {
	case p.empty < 2 && p.next <= FarthestPage && !searched:
	// an end without the rows that are done counts only if everything above was read
	case len(r.known.recorded.Accepting.Done) > 0 && !a.everywhere:
		r.acceptance.lookFurther()
	case len(p.pages) == 0:
		r.acceptance.backOff(true)
	default:
		p.whole = true
	}
}

// growSection adds a page to a section.
func (r *sectionReader) growSection(page connector.Page) {
	a, p := &r.acceptance.accept, &r.acceptance.accept.section
	p.empty = 0
	if !p.span.add(&r.known, page) {
		_ = r.known.outOfPlace(p.span.stray)
		r.acceptance.backOff(true)
		return
	}
	p.pages = append(p.pages, page)
	if repeated := p.span.pages[len(p.span.pages)-1].repeated; p.reference != (spanRow{}) && !p.fixed {
		if p.fixed, p.base = repeated == 0, p.span.shift(); !p.fixed {
			p.reference = spanRow{}
		}
	}
	if len(r.known.recorded.Accepting.Done) > 0 {
		_, under := p.span.met[p.reference.key]
		switch end := r.doneIn(&p.span); {
		case end < len(p.span.rows) && (under || !p.fixed && !p.lost):
			p.whole = true
		case end < len(p.span.rows) && !p.fixed: // now their place is known: begin again with that end
			a.astray += p.span.moved([]spanRow{p.span.rows[end]})[0].at - r.acceptance.expected()
			a.up, a.everywhere = 0, false
			r.acceptance.backOff(false)
			return
		case end < len(p.span.rows) && p.next > (p.reference.at+p.span.shift()-p.base)/r.rules.Page+1:
			r.acceptance.backOff(true) // the reference is gone
			return
		case end == len(p.span.rows) && !a.everywhere && p.next > r.acceptance.expected()/r.rules.Page+topBelow:
			r.acceptance.lookFurther() // they may be further up, as something above was deleted; otherwise anywhere
			return
		}
	}
	r.shortenSection()
}

// shortenSection drops the highest pages of a section that exceeds its number of pages or bytes.
func (r *sectionReader) shortenSection() {
	a, p := &r.acceptance.accept, &r.acceptance.accept.section
	bytes := 0
	for i := range p.pages {
		bytes += p.pages[i].Bytes
	}
	for len(p.pages) > a.size+2 || bytes > r.rules.SliceBytes && len(p.pages) > leastSection {
		if bytes > r.rules.SliceBytes {
			a.size = len(p.pages) - 1
		}
		bytes -= p.pages[0].Bytes
		shifted := p.span.shift()
		p.span.drop(1)
		p.base -= shifted - p.span.shift()
		p.pages = slices.Delete(p.pages, 0, 1)
	}
}

// doneIn is the index of the highest row of a span that is done, or the number of rows if none is.
func (r *sectionReader) doneIn(s *span) int {
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

// referenceStands reports whether the reference was where it should be when the section got down to it. It is true if
// no reference was needed, and if none of the rows that are done is listed any more, as then nothing is delivered.
func (p *section) referenceStands() bool {
	row, met := p.span.met[p.reference.key]
	return !p.fixed || met && p.span.moved([]spanRow{row})[0].at == p.reference.at+p.span.shift()-p.base
}

// deliverSection delivers the held messages of a section, and records the progress of the delivery.
func (r *sectionReader) deliverSection(ctx context.Context, out *Outcome) error {
	a, at := &r.acceptance.accept, r.known.recorded.Accepting
	s, before := &a.section.span, r.known.recorded.Sequence
	end := r.doneIn(s)
	lost := len(at.Done) > 0 && end == len(s.rows) // no row that is done is listed any more, so nothing shows what is left
	if lost {
		end = 0
	}
	first, whole := r.topIn(s, end)
	if first == end && !whole && !lost { // it shows too little above the rows that are done
		if len(at.Done) > 0 {
			r.acceptance.lookFurther()
		} else {
			r.acceptance.backOff(true)
		}
		return nil
	}
	rows := s.moved(slices.Clone(s.rows[first:]))
	places := make(map[connector.Key]int, len(rows))
	for _, row := range rows {
		places[row.key] = row.at
	}
	b := r.deliveryOf(rows[:end-first])
	done := make(connector.Keys, 0, r.rules.Floor)
	for _, row := range rows[:min(len(rows), r.rules.Floor)] {
		done = append(done, row.key)
	}
	nothing := len(b.events)+len(b.rejects) == 0
	b.change = func(next *connector.Checkpoint, events []connector.Event, last bool) {
		so := *at
		if len(at.Done) == 0 {
			next.UncheckedEnd = r.endCheck.endBelow(next, at.Top, rows, nothing)
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
		so.Done = r.withTop(so.Done, rows)
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
	r.dropSection()
	a.up, a.everywhere, a.astray = 0, false, 0
	a.failures, a.size = 0, min(2*a.size, max(leastSection, r.rules.SlicePages-r.rules.SlicePages/10))
	return nil
}

// withTop adds a row of the horizon to the rows that are done if one is done and they contain none: what is above it
// may have been delivered and forgotten, even if many rows were added late among those of the horizon.
func (r *sectionReader) withTop(done connector.Keys, rows []spanRow) connector.Keys {
	at := r.known.recorded.Accepting
	isTop := func(key connector.Key) bool { return slices.Contains(at.Top, key) }
	if len(done) == 0 || slices.ContainsFunc(done, isTop) {
		return done
	}
	if i := slices.IndexFunc(at.Done, isTop); i >= 0 {
		return append(done, at.Done[i])
	}
	highest := slices.IndexFunc(rows, func(row spanRow) bool { return row.key == done[0] })
	for _, row := range rows[max(0, highest):] {
		if isTop(row.key) {
			return append(done, row.key)
		}
	}
	return done
}

// topIn is the index in a span at which the held messages begin, above the row end. whole is true if nothing is left
// above. The rows of the highest page, unless it is page 0, are left to the next section: they may be listed twice, up
// to a page apart, and may have been delivered from their place above the span.
func (r *sectionReader) topIn(s *span, end int) (first int, whole bool) {
	above := 0
	switch {
	case s.first() == 0:
	case len(s.pages) == 1:
		above = end
	default:
		above = min(s.pages[1].from, end)
	}
	for i, row := range s.rows {
		if slices.Contains(r.known.recorded.Accepting.Top, row.key) {
			// More of the horizon may be further up, even above rows that were added late among its own.
			if s.first() > 0 && (row.key != r.known.recorded.Accepting.Top[0] || i < above) {
				return above, false
			}
			return min(i, end), true
		}
	}
	if s.first() > 0 {
		return above, false
	}
	// The whole horizon was deleted. Events that were delivered in order are above its former place, and so is the renewed
	// horizon.
	for i := end - 1; i >= 0; i-- {
		if at, placed := r.known.window.position(s.rows[i].key); placed && !at.late() ||
			slices.Contains(r.known.recorded.Horizon, s.rows[i].key) {
			return i + 1, true
		}
	}
	return end, true
}

// deliveryOf makes a delivery of some rows of a section, without those that are in the log or not wanted.
func (r *sectionReader) deliveryOf(rows []spanRow) delivery {
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
		lowest = len(rows) // it is below, in the section before
	}
	for i, row := range rows {
		_, placed := r.known.window.position(row.key)
		if i < lowest && !r.known.window.whole() && !isTop(row.key) {
			continue // it was added late among the horizon's rows, was delivered, and may be forgotten
		}
		if at.Below && isTop(row.key) {
			continue
		}
		if !placed && !setAside(&r.known, row.key) && !slices.Contains(r.known.recorded.Floor, row.key) {
			left[row.key] = struct{}{}
		}
	}
	var listed []found
	for i := range r.acceptance.accept.section.pages {
		page := &r.acceptance.accept.section.pages[i]
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
