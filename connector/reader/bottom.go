package reader

import (
	"context"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// At a first start that wants the list down to its end, nothing tells whether what looks like the end is one: a
// backend that fails for some seconds may answer with nothing from some page on. What is listed above is delivered
// all the same, and at once; but the pages below are looked at again, several times over some minutes. What then stands
// below the log's oldest events is delivered as what was held is (see accepting), which is late, and the new end is
// looked at in turn. Most lists end on a page that is not full: there a look costs three calls.

// EndOpen says whether it is not settled yet that the list ends where it seemed to at the first start. A history is
// not waited for: its end is looked at once more each time that it is read.
func (r *Reader) EndOpen() bool {
	return r.endLook.endOpen() && !(r.prefetch.oneWalk && !r.endLook.looked.IsZero())
}

func (r *endLook) endOpen() bool {
	return r.known.recorded.Bottom != nil && r.known.recorded.Sequence > r.known.recorded.Base
}

// ordinary says whether a walk came to an end of the list below a page that is not full.
func (w *walker) ordinary() bool {
	shown := len(w.before.Messages)
	if w.shown > 0 {
		shown = w.shown
	}
	return shown < w.reader.rules.Page && w.gap == nil && !w.reader.list.filtered
}

// settleEnd records with a walk that came to the end of the list what lies lowest now.
func (r *endLook) settleEnd(b *delivery, w *walked) {
	bottom := r.known.recorded.Bottom
	if bottom == nil || w.bottom == 0 || len(w.order) == 0 || r.known.recorded.Accepting != nil || r.known.forgetful() {
		return
	}
	if n := len(bottom.Keys); r.known.recorded.Sequence > r.known.recorded.Base {
		if n == 0 || !slices.ContainsFunc(w.order, func(f found) bool { return f.Key == bottom.Keys[n-1] }) {
			return // it came to an end further up
		}
	}
	settled := &connector.Bottom{
		Keys: keysIn(w.order[max(0, len(w.order)-r.rules.Floor):]), Since: bottom.Since,
		Short: w.short,
	}
	if slices.Equal(settled.Keys, bottom.Keys) {
		return
	}
	b.change = func(next *connector.Checkpoint, _ []connector.Event, _ bool) { next.Bottom = settled }
}

// lookDue says whether the end of the list is to be looked at again.
func (r *endLook) lookDue(at time.Time) bool {
	if !r.endOpen() || r.known.recorded.Accepting != nil || !r.Rested() {
		return false
	}
	if r.prefetch.oneWalk && r.looked.IsZero() {
		if r.restedAt.IsZero() {
			r.restedAt = at
		}
		if !at.After(r.restedAt) { // with the next poll: what fails for a moment may be right by then
			return false
		}
		r.looked = at
		return true
	}
	last := r.known.recorded.Bottom.Looked
	if r.looked.After(last) || last.IsZero() {
		last = r.looked
	}
	if last.IsZero() || at.Before(last) {
		r.looked = at
		return false
	}
	if at.Sub(last) < r.rules.LookOver/time.Duration(max(1, r.rules.Looks-1)) {
		return false
	}
	r.looked = at
	return true
}

// endLook looks again at the end that a first start met, as it may have been a false one (rule 12).
type endLook struct {
	*Reader
	look     looking
	restedAt time.Time // of a history: when it came to its end first
	looked   time.Time // when it was looked last whether the list goes on below the log
}

// looking is a look at the end of the list that is under way. A step that makes room for the next poll goes on where it
// was.
type looking struct {
	underWay bool
	away     int // pages looked at for the log's oldest events
	found    bool
	lowest   int             // the page that shows them
	rows     []connector.Key // of that page and those below it
	next     int             // page to be read
}

// Looking says whether a look at the end of the list is due or under way: Sweep makes it, between polls.
func (r *Reader) Looking() bool {
	if r.endLook.look.underWay && (!r.endLook.endOpen() || r.known.recorded.Accepting != nil || !r.Rested()) {
		r.endLook.look = looking{}
	}
	r.endLook.look.underWay = r.endLook.look.underWay || r.endLook.lookDue(r.list.topAt)
	return r.endLook.look.underWay
}

// lookOn goes on with a look at the end of the list where the step before it was kept from it by the next poll.
func (r *endLook) lookOn(ctx context.Context, out *Outcome) error {
	for r.look.underWay {
		n, err := r.lookAtOne(ctx)
		if out.Pages += n; err != nil {
			return err
		}
	}
	return nil
}

// lookAtOne looks at the next page of a look: first where the log's oldest events should stand and around there, as
// something may have been deleted or come in late; and from the page that shows them on, whether the list goes on below
// them.
func (r *endLook) lookAtOne(ctx context.Context) (pages int, err error) {
	l := &r.look
	if !l.found {
		number := r.lowestPage() + (l.away+1)/2
		if l.away%2 == 0 {
			number -= l.away
		}
		if l.away++; l.away > 2*topBelow+1 || len(r.known.recorded.Bottom.Keys) == 0 {
			r.look = looking{}
			return 0, r.recordLook(ctx, 0, 1)
		}
		if number < 0 {
			return 0, nil
		}
		page, err := r.source.read(ctx, number, "")
		if err != nil {
			l.away--
			return 1, err
		}
		if r.lowestOn(page.Messages) {
			l.found, l.lowest, l.next, l.rows = true, number, number+1, shownKeys(page.Messages)
		}
		return 1, nil
	}
	page, err := r.source.read(ctx, l.next, "")
	if err != nil {
		return 1, err
	}
	l.next, l.rows = l.next+1, append(l.rows, shownKeys(page.Messages)...)
	lowest, goesOn, deep := l.lowest, r.goesOnBelow(l.rows), r.rules.BelowEnd
	if r.known.recorded.Bottom.Short {
		deep = min(deep, belowShort)
	}
	switch {
	case l.next <= lowest+deep && !(goesOn && l.next > lowest+2):
		return 1, nil
	case goesOn:
		r.look = looking{}
		n, err := r.readOn(ctx, lowest)
		return 1 + n, err
	}
	r.look = looking{}
	return 1, r.recordLook(ctx, 1, 0)
}

// belowShort is how many pages are looked at below a last page that is not full.
const belowShort = 2

func shownKeys(rows []connector.Message) []connector.Key {
	keys := make([]connector.Key, len(rows))
	for i := range rows {
		keys[i] = rows[i].Key
	}
	return keys
}

// closeEnd records that the end of the list needs no more looks.
func (r *endLook) closeEnd(ctx context.Context) error {
	_, err := r.writer.commit(ctx, delivery{change: func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
		next.Bottom = nil
	}}, 0)
	return err
}

// unwanted says whether the first walk after a first start that asked for what is not older than a time, and saw no
// end to that, comes to older messages: the list seemed to end above them.
func (r *endLook) unwanted(order []found) bool {
	bottom := r.known.recorded.Bottom
	if bottom == nil || bottom.Since.IsZero() || r.known.recorded.Sequence > r.known.recorded.Base ||
		len(order) < r.rules.Run {
		return false
	}
	timed := false
	for _, f := range order[len(order)-r.rules.Run:] {
		if timed = timed || !f.Time.IsZero(); !f.Time.IsZero() && !f.Time.Before(bottom.Since) {
			return false
		}
	}
	return timed
}

// recordLook records a look at the end of the list, so that another instance goes on with it. After enough the end is
// believed; or the log's oldest events were deleted, and nothing tells any more what stood below them.
func (r *endLook) recordLook(ctx context.Context, looks, misses int) error {
	bottom := *r.known.recorded.Bottom
	bottom.Looked, bottom.Looks, bottom.Misses = r.looked, bottom.Looks+looks, bottom.Misses+misses
	settled := &bottom
	if bottom.Looks >= r.rules.Looks || bottom.Misses >= 2*r.rules.Looks {
		settled = nil
	}
	_, err := r.writer.commit(ctx, delivery{change: func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
		next.Bottom = settled
	}}, 0)
	return err
}

// lowestOn says whether some rows show any of the log's oldest events.
func (r *endLook) lowestOn(rows []connector.Message) bool {
	return slices.ContainsFunc(rows, func(m connector.Message) bool {
		return slices.Contains(r.known.recorded.Bottom.Keys, m.Key)
	})
}

// goesOnBelow says whether some rows show, below the lowest of the log's oldest events, what never came into the log
// or the quarantine.
func (r *endLook) goesOnBelow(rows []connector.Key) bool {
	for i := len(rows) - 1; i >= 0 && !slices.Contains(r.known.recorded.Bottom.Keys, rows[i]); i-- {
		if key := rows[i]; !r.known.has(key) && !r.known.rejects.has(key) {
			return true
		}
	}
	return false
}

// readOn begins to deliver what stands below the log's oldest events: down to the end of the list, or to what the
// first start did not want.
func (r *endLook) readOn(ctx context.Context, lowest int) (pages int, err error) {
	bottom := r.known.recorded.Bottom
	begun := &connector.Acceptance{Top: bottom.Keys, Below: true, At: r.known.recorded.Sequence}
	if !bottom.Since.IsZero() {
		var old []connector.Message
		if old, begun.Row, pages, err = r.search.boundary(ctx, func(t time.Time) bool {
			return t.Before(bottom.Since)
		}); err != nil {
			return pages, err
		}
		for i := range old {
			if r.known.has(old[i].Key) || begun.Row < lowest*r.rules.Page {
				return pages, r.closeEnd(ctx) // what is older begins above, so that nothing below is wanted
			}
			if old[i].Fault == "" {
				begun.Done = append(begun.Done, old[i].Key)
			}
		}
	}
	change := func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
		next.Accepting, next.Bottom = begun, &connector.Bottom{Since: bottom.Since}
		if len(begun.Done) > 0 {
			next.Floor, next.Bottom = begun.Done, nil
		}
	}
	if _, err = r.writer.commit(ctx, delivery{change: change}, 0); err == nil {
		r.acceptance.accept = accepting{}
		r.known.rebuildExempt()
	}
	return pages, err
}

// doubtPiece gives a piece up that may stand above the log's oldest events, or shows nothing of what is done: a list
// that fails for a while may end anywhere. What stands above is in the log, and may be forgotten.
func (r *pieceReading) doubtPiece(ctx context.Context, out *Outcome) (bool, error) {
	a, at := &r.acceptance.accept, r.known.recorded.Accepting
	if !at.Below {
		return false, nil
	}
	if len(at.Done) > 0 {
		lost := r.doneIn(&a.piece.span) == len(a.piece.span.rows) && a.failures < 2*r.rules.Looks
		if lost {
			r.acceptance.rest(true)
			a.up, a.everywhere = 0, false
		}
		return lost, nil
	}
	isTop := func(key connector.Key) bool { return slices.Contains(at.Top, key) }
	if slices.ContainsFunc(a.piece.span.rows, func(row spanRow) bool { return isTop(row.key) }) {
		return false, nil
	}
	about := r.endLook.lowestPage()
	for number := max(0, about-topBelow); number <= about+topBelow && number < a.piece.span.first()-1; number++ {
		page, err := r.source.read(ctx, number, "")
		if err != nil {
			return false, err
		}
		out.Pages++
		if slices.ContainsFunc(page.Messages, func(m connector.Message) bool { return isTop(m.Key) }) {
			return false, nil
		}
	}
	r.acceptance.rest(true)
	a.listed, a.looks = false, 0
	return true, nil
}

// lowestPage is the page on which the log's oldest events should stand, by what came into it since.
func (r *endLook) lowestPage() int {
	return (int(r.known.recorded.Sequence-r.known.recorded.Base+r.known.recorded.Counters.Rejected) - 1) / r.rules.Page
}

// withoutAccepting is what is to be looked at again where the delivery of what stands below is given up before it
// came to anything.
func withoutAccepting(c *connector.Checkpoint) *connector.Bottom {
	if a := c.Accepting; a == nil || !a.Below || c.Bottom == nil || len(c.Bottom.Keys) > 0 {
		return c.Bottom
	}
	return &connector.Bottom{Keys: c.Accepting.Top, Since: c.Bottom.Since}
}

// bottomOf is what a piece from the end of the list leaves to be settled: whether it ends below that.
func (r *endLook) bottomOf(next *connector.Checkpoint, top connector.Keys, rows []spanRow) *connector.Bottom {
	if next.Bottom == nil || len(next.Bottom.Keys) > 0 {
		return next.Bottom
	}
	bottom := &connector.Bottom{Since: next.Bottom.Since}
	for _, row := range rows[max(0, len(rows)-r.rules.Floor):] {
		bottom.Keys = append(bottom.Keys, row.key)
	}
	if len(rows) == 0 {
		bottom.Keys = top
	}
	return bottom
}
