package reader

import (
	"context"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// accepting is the delivery of held messages at the operator's request. Polls find new messages meanwhile, as the
// horizon is ground. The list is read from its end upward, section by section: some pages each, read going down (see
// section). A section ends with the highest row that is done already, or with the list. Once it is proven to be one
// slice, what it shows above that row and below the top of the horizon is delivered, oldest first, and the next section
// ends with its top. So each page is read once, plus two pages for each section: one that overlaps the next section,
// and one to prove it.
//
// The checkpoint holds the keys of the highest rows that are done, so that nothing is delivered twice after a restart
// or once the window has forgotten it. Each section also renews the horizon, which is ground only while the window
// holds everything that came after it: the new horizon is the top of the list, all of which is in the log.
type accepting struct {
	size   int // pages in a section; 0: not set yet
	bounds *SearchBounds
	// The end of the list is searched between low, a page that shows something, and high, an empty one; high is 0 until an
	// empty one was found.
	low, high int
	// listed: the top of the horizon is still listed. looks counts the pages that were read to find it.
	listed  bool
	looks   int
	place   oldestPlace // of the log's oldest events, if the messages below them are to be delivered
	section section
	// up is how many pages above their expected place the search for the rows that are done begins. everywhere means that
	// it goes from page 0 down to the end.
	up          int
	everywhere  bool
	astray      int // how many rows below their expected place the rows that are done were last found
	failures    int // sections in a row that were not one slice
	pollsToWait int // polls to be made first
}

// acceptance delivers messages that are held because all ground is gone, once the operator asks for it (rule 8).
type acceptance struct {
	*Reader
	// acceptHistory: the operator asked for it at the start. deliverHeld: the request is still to be carried out.
	acceptHistory, deliverHeld bool
	// asked: the list was searched for the ground that the operator says is gone.
	asked bool
	// accept is the delivery in progress.
	accept accepting
}

// leastSection is how many pages a section has at least: one whose rows are left to the next section, one that ends it,
// and one in between.
const leastSection = 3

// longestWait is how many polls the delivery waits at most after failed sections.
const longestWait = 64

// takeAcceptHistory begins the delivery of held messages if the operator asked for it.
func (r *acceptance) takeAcceptHistory() {
	r.accept.pollsToWait = max(0, r.accept.pollsToWait-1)
	if r.deliverHeld && r.known.recorded.Accepting == nil && len(r.known.recorded.Horizon) > 0 &&
		!r.known.recorded.Accepted {
		r.known.recorded.Accepting, r.known.recorded.AcceptHistoryUsed,
			r.deliverHeld = &connector.Acceptance{Top: r.known.recorded.Horizon, Newer: r.known.recorded.HorizonNewer}, true,
			false
	}
}

// spendAcceptHistory records, at rest, that the operator's request was carried out, so that it does not apply to
// messages that are held later. A start without the request resets that.
func (r *acceptance) spendAcceptHistory(ctx context.Context) error {
	r.deliverHeld = false
	if r.known.recorded.AcceptHistoryUsed == r.acceptHistory || r.known.recorded.Accepting != nil {
		return nil
	}
	_, err := r.writer.commit(ctx, delivery{change: func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
		next.AcceptHistoryUsed = r.acceptHistory
	}}, 0)
	return err
}

// confirmGroundGone takes the operator's word that ground is gone, without the repeated checks of rule 8, if the list
// shows no ground where it should be by time: messages as old as ground become the horizon. It returns how many pages
// it read.
func (r *acceptance) confirmGroundGone(ctx context.Context, top connector.Page) (pages int, gone bool, err error) {
	limit := r.known.times.median(r.known.window.certified)
	if limit.IsZero() || !r.known.hasGround() || len(top.Messages) == 0 || r.known.shows(top.Messages) {
		return 0, false, nil
	}
	older := func(t time.Time) bool { return !t.After(limit) }
	old := top.Messages[:min(len(top.Messages), r.rules.Floor)]
	if !AllOlder(top.Messages, older) {
		if old, _, pages, err = r.search.boundary(ctx, older); err != nil {
			return pages, false, err
		}
	}
	r.asked = true
	var b delivery
	for i := range old {
		switch {
		case r.known.has(old[i].Key):
			return pages, false, nil
		case old[i].Fault == "":
			r.known.countHeld(old[i].Key)
			b.horizon = append(b.horizon, old[i].Key)
		}
	}
	if len(b.horizon) == 0 {
		return pages, false, nil
	}
	_, err = r.writer.commit(ctx, b, 0)
	return pages, err == nil, err
}

// AcceptDue reports whether held messages may be delivered now by a Sweep: at the operator's request, and at rest.
func (r *Reader) AcceptDue() bool {
	return r.known.recorded.Accepting != nil && r.acceptance.accept.pollsToWait == 0 && r.Rested()
}

// AcceptProgress is the progress of the delivery of held messages, or nil if none is in progress.
func (r *Reader) AcceptProgress() *AcceptProgress {
	at := r.known.recorded.Accepting
	if at == nil || at.Below {
		return nil
	}
	so := &AcceptProgress{Delivered: at.Delivered}
	if len(at.Done) > 0 {
		page := r.acceptance.expected() / r.rules.Page
		so.Page = &page
	}
	return so
}

// topOf returns the keys of page 0 with which the horizon may be renewed after a walk from there.
func (r *acceptance) topOf(page connector.Page) (top connector.Keys) {
	if r.known.recorded.Accepting == nil {
		return nil
	}
	for i := range page.Messages[:min(len(page.Messages), r.rules.Floor)] {
		top = append(top, page.Messages[i].Key)
	}
	return top
}

// acceptPages continues the delivery of held messages by a few pages.
func (r *acceptance) acceptPages(ctx context.Context, out *Outcome) error {
	defer func() { out.More = r.AcceptDue() }()
	for step := 0; step < max(1, r.rules.SweepStep) && r.AcceptDue(); step++ {
		if err := r.acceptStep(ctx, out); err != nil {
			return err
		}
	}
	return nil
}

// acceptStep makes the next step: one page, preceded by one near the section's end, so that little changes between the
// two.
func (r *acceptance) acceptStep(ctx context.Context, out *Outcome) error {
	a, at := &r.accept, r.known.recorded.Accepting
	if a.size == 0 {
		a.size = max(leastSection, r.rules.SlicePages-r.rules.SlicePages/10)
	}
	p := &a.section
	switch {
	case p.begun:
	case len(at.Done) == 0 && !a.listed:
		return r.searchTop(ctx, out)
	case len(at.Done) == 0 && (a.high == 0 || a.high-a.low > 1):
		return r.searchEnd(ctx, out)
	default:
		*p = section{begun: true, next: r.sectionStart(), lost: a.everywhere}
	}
	if !p.whole {
		if err := r.sections.readSection(ctx, out); err != nil || !p.whole {
			return err
		}
	}
	if !p.referenceStands() {
		r.backOff(true)
		return nil
	}
	if doubted, err := r.sections.doubtSection(ctx, out); doubted || err != nil {
		return err
	}
	return r.sections.deliverSection(ctx, out)
}

// searchTop reads one more page to find the horizon as it was when the delivery began: first where it should be by the
// number of events since, then above and below in turn. If it is no longer listed, the list was replaced, and nothing
// is delivered.
func (r *acceptance) searchTop(ctx context.Context, out *Outcome) error {
	a, top := &r.accept, r.known.recorded.Accepting.Top
	isTop := func(key connector.Key) bool { return slices.Contains(top, key) }
	if a.listed = slices.ContainsFunc(r.progress.top, isTop); a.listed {
		return nil
	}
	if r.known.recorded.Accepting.Below {
		return r.searchOldest(ctx, out, isTop)
	}
	expected := int(r.known.recorded.Sequence-r.known.recorded.HorizonAt) / r.rules.Page
	number := expected + (a.looks+1)/2
	if a.looks%2 == 0 {
		number = expected - a.looks/2
	}
	if number < 0 && a.looks > 2*topBelow {
		return r.giveUp(ctx)
	}
	if a.looks++; number < 0 || number > expected+topBelow {
		return nil
	}
	page, err := r.source.read(ctx, number, "")
	if err != nil {
		return err
	}
	out.Pages++
	a.listed = slices.ContainsFunc(page.Messages, func(m connector.Message) bool { return isTop(m.Key) })
	return nil
}

// searchOldest does the same for the log's oldest events, which a check of the list's end has just found. If they are
// not found again, that check counts for nothing.
func (r *acceptance) searchOldest(ctx context.Context, out *Outcome, isTop func(connector.Key) bool) error {
	place := r.accept.place
	number, ok := r.endCheck.nextPage(&place)
	if !ok {
		return r.giveUp(ctx)
	}
	page, err := r.source.read(ctx, number, "")
	if err != nil {
		return err
	}
	out.Pages++
	r.accept.listed = slices.ContainsFunc(page.Messages, func(m connector.Message) bool { return isTop(m.Key) })
	if !r.accept.listed {
		r.endCheck.notOn(&place, page)
	}
	r.accept.place = place
	return nil
}

// giveUp ends the delivery before anything was delivered.
func (r *acceptance) giveUp(ctx context.Context) error {
	change := func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
		next.UncheckedEnd, next.Accepting = withoutAccepting(next, r.rules), nil
	}
	_, err := r.writer.commit(ctx, delivery{change: change}, 0)
	return err
}

// searchEnd reads one more page to find the end of the list, by doubling and then by bisection.
func (r *acceptance) searchEnd(ctx context.Context, out *Outcome) error {
	a := &r.accept
	if a.bounds == nil {
		a.bounds, a.low = NewSearchBounds(MaxSearchPages), -1
	}
	number := a.low + (a.high-a.low)/2
	switch {
	case a.high > 0:
	case a.low < r.list.end.number-1: // a walk found the end there
		number = r.list.end.number - 1
	case a.low < r.list.end.number && r.list.end.number > 0:
		number = r.list.end.number
	case a.low < 0:
		number = a.size - 1
	default:
		number = 2*a.low + 1
	}
	if a.bounds.Allow(number) != nil {
		r.backOff(true)
		return nil
	}
	page, err := r.source.read(ctx, number, "")
	if err != nil {
		return err
	}
	out.Pages++
	switch {
	case len(page.Messages) == 0 && number == 0:
		r.backOff(true) // the whole list is empty
	case len(page.Messages) == 0:
		a.high = number
	case a.bounds.Note(number, page) != nil:
		r.backOff(true)
	default:
		a.low = number
	}
	return nil
}

// backOff gives up a section and waits for some polls, for more if several sections failed in a row.
func (r *acceptance) backOff(failed bool) {
	a := &r.accept
	r.sections.dropSection()
	a.bounds, a.low, a.high, a.pollsToWait = nil, 0, 0, 1
	if failed {
		a.failures++
		a.pollsToWait = min(1<<min(a.failures/2, 10), longestWait)
		a.size = max(leastSection, a.size/2)
	}
}

// sectionStart is the first page of a section that ends with the rows that are done, or with the list.
func (r *acceptance) sectionStart() int {
	a := &r.accept
	switch {
	case len(r.known.recorded.Accepting.Done) == 0:
		return max(0, a.low-a.size+1)
	case a.everywhere:
		return 0
	}
	return max(0, r.expected()/r.rules.Page-a.size+1-a.up)
}

// lookFurther gives up a section without any row that is done in the expected place. The next section begins further
// up, and finally at page 0.
func (r *acceptance) lookFurther() {
	a := &r.accept
	a.everywhere = r.sectionStart() == 0
	a.up += a.size
	r.sections.dropSection()
}

// expected is the row of the list at which the highest row that is done should be now.
func (r *acceptance) expected() int {
	at := r.known.recorded.Accepting
	return max(0, at.Row+int(r.known.recorded.Sequence-at.At)+r.accept.astray)
}

// AcceptProgress is the progress of the delivery of held messages, from the end of the list upward.
type AcceptProgress struct {
	// Delivered is how many events it has delivered.
	Delivered uint64 `json:"delivered"`
	// Page is the page of the list below which everything is delivered; nil while the end of the list is searched or read.
	Page *int `json:"done_from_page,omitempty"`
}
