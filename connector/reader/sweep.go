package reader

import (
	"context"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// sweeper looks for late messages further down than a walk needs (rule 7).
type sweeper struct {
	*Reader
	sweeping sweeping
}

// sweeping is a sweep in progress.
type sweeping struct {
	next int // page to be read
	// span holds the rows that were read last and still have to be judged together with the following ones.
	span span
	// proving: the span holds messages that are late if it is one slice of the list.
	proving bool
	// late are messages that are proven late and not delivered yet, newest first. shift is by how many rows they have
	// moved down since, and misses counts the pages on which none of them was found.
	late   []spanRow
	shift  int
	misses int
	// hand holds the pages that this step read last.
	hand []connector.Page
	// over: nothing further down is to be read.
	over     bool
	failures int // proofs that failed
	beyond   int // pages read beyond the depth
	empty    int // empty pages in a row
	same     int // pages in a row that were the same
}

// spanFailures is how many proofs may fail in one sweep. After that, what needs a proof is left to the next sweep.
const spanFailures = 3

// Sweep looks for late messages below ground (rule 7), page by page, down to messages older than Rules.SweepDepth
// before now. Here a message is late (late.go) if it is unknown and between two known messages on one page, or on pages
// that are proven to be one slice of the list; the lower of the two was delivered in order, and nothing above it was
// forgotten. Sweep also delivers accepted history and checks the end of the list, if either is due. It does nothing
// during a deep backlog. One call reads a few pages, and more while it has late messages to deliver; Outcome.More means
// that the next call continues below them. Errors are those of Poll.
func (r *Reader) Sweep(ctx context.Context, now time.Time) (Outcome, error) {
	var out Outcome
	if !r.known.recorded.Started || r.progress.start > 0 {
		return out, nil
	}
	if r.known.recorded.Accepting != nil {
		err := r.acceptance.acceptPages(ctx, &out)
		return out, err
	}
	if r.EndCheckDue() {
		err := r.endCheck.resume(ctx, &out)
		out.More = r.endCheck.probe.underWay
		return out, err
	}
	s := &r.sweep.sweeping
	defer func() { s.hand = nil }()
	for step := 0; step < max(1, r.rules.SweepStep) || s.pending(); step++ {
		if !s.pending() && s.over {
			break
		}
		if err := r.sweep.sweepOn(ctx, now, &out); err != nil {
			return out, err
		}
	}
	if out.More = !s.over; !out.More {
		*s = sweeping{}
	}
	return out, nil
}

// pending reports whether late messages are still to be proven or delivered.
func (s *sweeping) pending() bool { return s.proving || len(s.late) > 0 }

// sweepOn makes the next step of a sweep: one page.
func (r *sweeper) sweepOn(ctx context.Context, now time.Time, out *Outcome) error {
	s := &r.sweeping
	switch {
	case len(s.late) > 0:
		return r.deliverLate(ctx, out)
	case s.proving:
		return r.proveSpan(ctx, out)
	}
	page, err := r.source.read(ctx, s.next, "")
	if err != nil {
		return err
	}
	out.Pages++
	if page.Number == 0 {
		out.Newest = newestTime(page.Messages)
	}
	if len(page.Messages) == 0 {
		// A filter after paging may leave a page empty, so one more is read if the list should go on.
		s.next, s.empty = s.next+1, s.empty+1
		s.over = s.empty > 1 || !r.goesOn()
		return nil
	}
	s.empty = 0
	if s.same = s.span.repeated(page, s.same); s.same >= 2 {
		s.over = true // the API returns the same page for every page number
		return nil
	}
	r.known.recognise(page.Messages)
	s.hand = []connector.Page{page}
	done, err := r.writer.commit(ctx, r.lateOn(page), 0)
	out.add(done)
	if err != nil {
		return err
	}
	s.next++
	if !s.span.add(&r.known, page) {
		s.span = span{}
		s.span.add(&r.known, page)
	}
	open, held := r.openAndHeld(&s.span)
	out.Held += held
	s.proving = len(r.lateIn(&s.span)) > 0 && s.failures < spanFailures
	if s.next >= r.rules.SweepPages || AllOlder(page.Messages, now.Add(-r.rules.SweepDepth).After) {
		s.beyond++
		s.over = !open || !r.goesOn() || s.beyond > r.rules.SlicePages
	}
	if !s.proving {
		s.span.trim(r, open)
	}
	return nil
}

// lateOn returns the late messages that one page proves by itself.
func (r *sweeper) lateOn(page connector.Page) delivery {
	var b delivery
	var one span
	one.add(&r.known, page)
	late := r.lateIn(&one)
	for i := range page.Messages {
		m := &page.Messages[i]
		if len(late) > 0 && m.Key == late[0].key {
			b.addLate(&found{m, page.Received}, late[0].low)
			late = late[1:]
		}
	}
	b.oldestFirst()
	return b
}

// proveSpan reads the page on which the span's first row should be now. If the row is there, followed by the same rows,
// the late messages of the span are proven, wherever they move later. Otherwise the span is read once more.
func (r *sweeper) proveSpan(ctx context.Context, out *Outcome) error {
	s := &r.sweeping
	at := s.span.rows[0].at + s.span.shift()
	page, err := r.source.read(ctx, at/r.rules.Page, "")
	if err != nil {
		return err
	}
	out.Pages++
	s.proving = false
	if s.span.standsAt(page, at%r.rules.Page) {
		s.late, s.shift, s.misses = s.span.moved(r.lateIn(&s.span)), 0, 0
		s.hand = append(s.hand, page)
		open, _ := r.openAndHeld(&s.span)
		s.span.trim(r, open)
		return nil
	}
	s.failures, s.beyond = s.failures+1, 0
	s.next = max(0, s.span.first()-s.failures+1) // rows above its page may have been deleted
	s.span, s.over = span{}, false
	return nil
}

// deliverLate delivers proven late messages, oldest first: those on the page on which the lowest of them should be now.
func (r *sweeper) deliverLate(ctx context.Context, out *Outcome) error {
	s := &r.sweeping
	lowest := s.late[len(s.late)-1]
	number := max(0, lowest.at+s.shift) / r.rules.Page
	page, err := r.inHand(ctx, number, out)
	if err != nil {
		return err
	}
	on := make(map[connector.Key]int, len(page.Messages))
	for i := range page.Messages {
		on[page.Messages[i].Key] = i
	}
	last := len(s.late) - 1
	for last >= 0 && !within(on, s.late[last].key) {
		last--
	}
	if last < 0 {
		s.shift += r.rules.Page
		s.missed()
		return nil
	}
	s.shift = number*r.rules.Page + on[s.late[last].key] - s.late[last].at
	if expected := (lowest.at + s.shift) / r.rules.Page; last < len(s.late)-1 && expected != number {
		s.missed()
		return nil
	}
	first := last // what was below is not listed any more
	for first > 0 && within(on, s.late[first-1].key) {
		first--
	}
	var b delivery
	for _, row := range s.late[first : last+1] {
		if !r.known.has(row.key) && !setAside(&r.known, row.key) {
			b.addLate(&found{&page.Messages[on[row.key]], page.Received}, row.low)
		}
	}
	b.oldestFirst()
	done, err := r.writer.commit(ctx, b, 0)
	out.add(done)
	if err != nil {
		return err
	}
	s.late, s.misses = s.late[:first], 0
	return nil
}

// missed counts a page on which no late message was found. After a few of them, the rest is left to the next sweep.
func (s *sweeping) missed() {
	if s.misses++; s.misses > 3 {
		s.late = nil
	}
}

// inHand returns a page that this step has read already, or else reads it.
func (r *sweeper) inHand(ctx context.Context, number int, out *Outcome) (connector.Page, error) {
	s := &r.sweeping
	if i := slices.IndexFunc(s.hand, func(p connector.Page) bool { return p.Number == number }); i >= 0 && s.misses == 0 {
		return s.hand[i], nil
	}
	page, err := r.source.read(ctx, number, "")
	if err == nil {
		out.Pages++
	}
	return page, err
}

func within[V any](on map[connector.Key]V, key connector.Key) bool {
	_, ok := on[key]
	return ok
}
