package reader

import (
	"context"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// accepting is the delivery of held messages on the operator's word, beside the polls: they find what is new as ever,
// as the horizon is ground. The list is read from its end upward, piece by piece: some pages, read going down (see
// piece). A piece ends with the highest row that is done already, or with the list. Once it is proven to be one slice,
// what it shows above that and below the horizon's top is delivered, oldest first, and its own top is the next to end
// with. So each page is read once, but for one of each piece that the next one ends with, and one to prove it.
//
// What is done is in the checkpoint by the keys of its highest rows, so that neither a restart nor a window that has
// forgotten most of it leads to anything twice. Each piece also renews the horizon, which is ground only while the
// window holds what came after it: it is then what the top of the list shows, all of which is in the log.
type accepting struct {
	size   int // pages in a piece; 0: as many as the rules say
	bounds *SearchBounds
	// low shows something and high nothing, as far as the end of the list was searched; high is 0 where it was not met.
	low, high int
	// listed: the horizon's top is listed still. looks counts the pages that were looked at for it.
	listed bool
	looks  int
	piece  piece
	// up is how many pages further up than it should stand what is done is looked for; everywhere: down from page 0, to
	// the end.
	up         int
	everywhere bool
	astray     int // rows further down than by what came into the log what is done was found last
	failures   int // pieces in a row that were none
	resting    int // polls to be made first
}

// acceptance delivers what is held because all ground is gone, once the operator says so (rule 8).
type acceptance struct {
	*Reader
	// acceptHistory: the operator's word was given at the start; deliverHeld: it was not carried out yet.
	acceptHistory, deliverHeld bool
	// asked: the list was searched for ground that the operator says is gone.
	asked bool
	// accept is the delivery, where it is under way.
	accept accepting
}

// longestRest is for how many polls the delivery of held messages rests at most after pieces that failed.
const longestRest = 64

// takeAcceptHistory begins the delivery of what is held, where the operator said so.
func (r *acceptance) takeAcceptHistory() {
	r.accept.resting = max(0, r.accept.resting-1)
	if r.deliverHeld && r.known.recorded.Accepting == nil && len(r.known.recorded.Horizon) > 0 &&
		!r.known.recorded.Accepted {
		r.known.recorded.Accepting, r.known.recorded.WordSpent,
			r.deliverHeld = &connector.Acceptance{Top: r.known.recorded.Horizon, Newer: r.known.recorded.HorizonNewer}, true,
			false
	}
}

// spendAcceptHistory records at rest that the operator's word was heard: where nothing was held, it says nothing for
// what will be. A start without it makes it count again.
func (r *acceptance) spendAcceptHistory(ctx context.Context) error {
	r.deliverHeld = false
	if r.known.recorded.WordSpent == r.acceptHistory || r.known.recorded.Accepting != nil {
		return nil
	}
	_, err := r.writer.commit(ctx, delivery{change: func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
		next.WordSpent = r.acceptHistory
	}}, 0)
	return err
}

// goneAtOnce believes the operator, who says that ground is gone, where the list shows none about where it should be by
// time: what is as old becomes the horizon. It returns how many pages it read.
func (r *acceptance) goneAtOnce(ctx context.Context, top connector.Page) (pages int, gone bool, err error) {
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

// Accepting says whether held messages may be delivered now, by a Sweep: on the operator's word, at rest.
func (r *Reader) Accepting() bool {
	return r.known.recorded.Accepting != nil && r.acceptance.accept.resting == 0 && r.Rested()
}

// Accepted is how far the delivery of held messages has come; nil where none is under way.
func (r *Reader) Accepted() *Accepting {
	at := r.known.recorded.Accepting
	if at == nil || at.Below {
		return nil
	}
	so := &Accepting{Delivered: at.Delivered}
	if len(at.Done) > 0 {
		page := r.acceptance.expected() / r.rules.Page
		so.Page = &page
	}
	return so
}

// topOf is what of page 0 the horizon may be renewed with after a walk from there.
func (r *acceptance) topOf(page connector.Page) (top connector.Keys) {
	if r.known.recorded.Accepting == nil {
		return nil
	}
	for i := range page.Messages[:min(len(page.Messages), r.rules.Floor)] {
		top = append(top, page.Messages[i].Key)
	}
	return top
}

// acceptSome goes on with the delivery of held messages by a few pages.
func (r *acceptance) acceptSome(ctx context.Context, out *Outcome) error {
	defer func() { out.More = r.Accepting() }()
	for step := 0; step < max(1, r.rules.SweepStep) && r.Accepting(); step++ {
		if err := r.acceptOn(ctx, out); err != nil {
			return err
		}
	}
	return nil
}

// acceptOn makes the next step: one page, and one near the piece's end in front of it, as little should happen in
// between.
func (r *acceptance) acceptOn(ctx context.Context, out *Outcome) error {
	a, at := &r.accept, r.known.recorded.Accepting
	if a.size == 0 {
		a.size = max(2, r.rules.SlicePages-r.rules.SlicePages/10)
	}
	p := &a.piece
	switch {
	case p.begun:
	case len(at.Done) == 0 && !a.listed:
		return r.searchTop(ctx, out)
	case len(at.Done) == 0 && (a.high == 0 || a.high-a.low > 1):
		return r.searchEnd(ctx, out)
	default:
		*p = piece{begun: true, next: r.pieceStart(), lost: a.everywhere}
	}
	if !p.whole {
		if err := r.pieces.readPiece(ctx, out); err != nil || !p.whole {
			return err
		}
	}
	if !p.footStands() {
		r.rest(true)
		return nil
	}
	if doubted, err := r.pieces.doubtPiece(ctx, out); doubted || err != nil {
		return err
	}
	return r.pieces.deliverPiece(ctx, out)
}

// searchTop looks at one more page for the horizon as it was when the delivery began: about where it should stand by
// what came into the log since, and then above and below in turn. Where it is not listed any more, the list is another
// one, and nothing is delivered.
func (r *acceptance) searchTop(ctx context.Context, out *Outcome) error {
	a, top := &r.accept, r.known.recorded.Accepting.Top
	isTop := func(key connector.Key) bool { return slices.Contains(top, key) }
	if a.listed = slices.ContainsFunc(r.progress.top, isTop); a.listed {
		return nil
	}
	expected := int(r.known.recorded.Sequence-r.known.recorded.HorizonAt) / r.rules.Page
	number := expected + (a.looks+1)/2
	if a.looks%2 == 0 {
		number = expected - a.looks/2
	}
	if number < 0 && a.looks > 2*topBelow {
		change := func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
			next.Bottom, next.Accepting = withoutAccepting(next), nil
		}
		_, err := r.writer.commit(ctx, delivery{change: change}, 0)
		return err
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

// topBelow is how many pages below where it should stand the horizon is looked for.
const topBelow = 3

// searchEnd looks at one more page in search of the end of the list, by doubling and then by halves.
func (r *acceptance) searchEnd(ctx context.Context, out *Outcome) error {
	a := &r.accept
	if a.bounds == nil {
		a.bounds, a.low = NewSearchBounds(MaxSearchLooks), -1
	}
	number := a.low + (a.high-a.low)/2
	switch {
	case a.high > 0:
	case a.low < r.list.end.number-1: // a walk came to it there
		number = r.list.end.number - 1
	case a.low < r.list.end.number && r.list.end.number > 0:
		number = r.list.end.number
	case a.low < 0:
		number = a.size - 1
	default:
		number = 2*a.low + 1
	}
	if a.bounds.Ask(number) != nil {
		r.rest(true)
		return nil
	}
	page, err := r.source.read(ctx, number, "")
	if err != nil {
		return err
	}
	out.Pages++
	switch {
	case len(page.Messages) == 0 && number == 0:
		r.rest(true) // the whole list is empty
	case len(page.Messages) == 0:
		a.high = number
	case a.bounds.Show(number, page) != nil:
		r.rest(true)
	default:
		a.low = number
	}
	return nil
}

// rest gives a piece up, and lets a few polls go first; more where several failed in a row.
func (r *acceptance) rest(failed bool) {
	a := &r.accept
	r.pieces.dropPiece()
	a.bounds, a.low, a.high, a.resting = nil, 0, 0, 1
	if failed {
		a.failures++
		a.resting = min(1<<min(a.failures/2, 10), longestRest)
		a.size = max(2, a.size/2)
	}
}

// pieceStart is the page that a piece begins with which ends with what is done, or with the list.
func (r *acceptance) pieceStart() int {
	a := &r.accept
	switch {
	case len(r.known.recorded.Accepting.Done) == 0:
		return max(0, a.low-a.size+1)
	case a.everywhere:
		return 0
	}
	return max(0, r.expected()/r.rules.Page-a.size+1-a.up)
}

// lookFurther gives up a piece in which nothing that is done was met where it should stand. The next one begins further
// up; the last one at page 0.
func (r *acceptance) lookFurther() {
	a := &r.accept
	a.everywhere = r.pieceStart() == 0
	a.up += a.size
	r.pieces.dropPiece()
}

// expected is the row at which the highest one that is done should stand now.
func (r *acceptance) expected() int {
	at := r.known.recorded.Accepting
	return max(0, at.Row+int(r.known.recorded.Sequence-at.At)+r.accept.astray)
}

// Accepting is how far the delivery of held messages has come, from the end of the list upward.
type Accepting struct {
	// Delivered is how many events it has delivered.
	Delivered uint64 `json:"delivered"`
	// Page is the page of the list from which down nothing is left to deliver; nil while the end of the list is searched
	// or read.
	Page *int `json:"done_from_page,omitempty"`
}
