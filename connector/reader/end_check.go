package reader

import (
	"context"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// A first start that reads the list down to its end cannot know whether the end is real: a backend that fails for some
// seconds may return empty pages from some page on. The messages above are delivered at once, but the pages below are
// checked again several times over some minutes (rule 12). Messages that then appear below the log's oldest events are
// delivered as late, in the same way as held ones (see accepting), and the new end is checked in turn. Most lists end
// on a page that is not full; a check then costs three calls.

// EndOpen reports whether the end of the list that the first start met is still to be checked. For a history it becomes
// false after one check, as its end is checked each time it is read.
func (r *Reader) EndOpen() bool {
	return r.endCheck.endOpen() && !(r.prefetch.oneWalk && !r.endCheck.probedAt.IsZero())
}

func (r *endCheck) endOpen() bool {
	return r.known.recorded.UncheckedEnd != nil && r.known.recorded.Sequence > r.known.recorded.Base
}

// ordinary reports whether a walk met the end of the list below a page that is not full.
func (w *walker) ordinary() bool {
	shown := len(w.before.Messages)
	if w.shown > 0 {
		shown = w.shown
	}
	return shown < w.reader.rules.Page && w.gap == nil && !w.reader.list.filtered
}

// settleEnd records the lowest messages of the list for a walk that met the end of the list.
func (r *endCheck) settleEnd(b *delivery, w *walked) {
	end := r.known.recorded.UncheckedEnd
	if end == nil || w.endPage == 0 || len(w.order) == 0 || r.known.recorded.Accepting != nil || r.known.forgetful() {
		return
	}
	if n := len(end.Keys); r.known.recorded.Sequence > r.known.recorded.Base {
		if n == 0 || !slices.ContainsFunc(w.order, func(f found) bool { return f.Key == end.Keys[n-1] }) {
			return // it met an end further up
		}
	}
	settled := &connector.UncheckedEnd{
		Keys: keysIn(w.order[max(0, len(w.order)-r.rules.Floor):]), Since: end.Since,
		Short: w.short,
	}
	if slices.Equal(settled.Keys, end.Keys) {
		return
	}
	b.change = func(next *connector.Checkpoint, _ []connector.Event, _ bool) { next.UncheckedEnd = settled }
}

// due reports whether the end of the list is to be checked again.
func (r *endCheck) due(at time.Time) bool {
	if !r.endOpen() || r.known.recorded.Accepting != nil || !r.Rested() {
		return false
	}
	if r.prefetch.oneWalk && r.probedAt.IsZero() {
		if r.restedAt.IsZero() {
			r.restedAt = at
		}
		if !at.After(r.restedAt) { // wait for the next poll: a short failure may be over by then
			return false
		}
		r.probedAt = at
		return true
	}
	last := r.known.recorded.UncheckedEnd.CheckedAt
	if r.probedAt.After(last) || last.IsZero() {
		last = r.probedAt
	}
	if last.IsZero() || at.Before(last) {
		r.probedAt = at
		return false
	}
	if at.Sub(last) < r.rules.CheckOver/time.Duration(max(1, r.rules.Checks-1)) {
		return false
	}
	r.probedAt = at
	return true
}

// endCheck checks again the end of the list that a first start met, as it may be a false one (rule 12).
type endCheck struct {
	*Reader
	probe    endProbe
	restedAt time.Time // of a history: when it first reached its end
	probedAt time.Time // when it was last checked whether the list goes on below the log
}

// endProbe is a check of the end in progress. It is kept when a step makes room for the next poll.
type endProbe struct {
	underWay bool
	away     int // pages read to find the log's oldest events
	found    bool
	lowest   int             // the page that shows them
	rows     []connector.Key // of that page and those below it
	next     int             // page to be read
}

// EndCheckDue reports whether a check of the end of the list is due or in progress. Sweep makes it, between polls.
func (r *Reader) EndCheckDue() bool {
	if r.endCheck.probe.underWay && (!r.endCheck.endOpen() || r.known.recorded.Accepting != nil || !r.Rested()) {
		r.endCheck.probe = endProbe{}
	}
	r.endCheck.probe.underWay = r.endCheck.probe.underWay || r.endCheck.due(r.list.topAt)
	return r.endCheck.probe.underWay
}

// resume continues a check of the end of the list until it is done.
func (r *endCheck) resume(ctx context.Context, out *Outcome) error {
	for r.probe.underWay {
		n, err := r.probeNext(ctx)
		if out.Pages += n; err != nil {
			return err
		}
	}
	return nil
}

// probeNext reads the next page of a check. It first searches for the log's oldest events around the page where they
// should be, as messages may have been deleted or added late. From the page that shows them on, it checks whether the
// list goes on below them.
func (r *endCheck) probeNext(ctx context.Context) (pages int, err error) {
	l := &r.probe
	if !l.found {
		number := r.lowestPage() + (l.away+1)/2
		if l.away%2 == 0 {
			number -= l.away
		}
		if l.away++; l.away > 2*topBelow+1 || len(r.known.recorded.UncheckedEnd.Keys) == 0 {
			r.probe = endProbe{}
			return 0, r.recordProbe(ctx, 0, 1)
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
			l.found, l.lowest, l.next, l.rows = true, number, number+1, messageKeys(page.Messages)
		}
		return 1, nil
	}
	page, err := r.source.read(ctx, l.next, "")
	if err != nil {
		return 1, err
	}
	l.next, l.rows = l.next+1, append(l.rows, messageKeys(page.Messages)...)
	lowest, goesOn, deep := l.lowest, r.goesOnBelow(l.rows), r.rules.BelowEnd
	if r.known.recorded.UncheckedEnd.Short {
		deep = min(deep, belowShort)
	}
	switch {
	case l.next <= lowest+deep && !(goesOn && l.next > lowest+2):
		return 1, nil
	case goesOn:
		r.probe = endProbe{}
		n, err := r.readOn(ctx, lowest)
		return 1 + n, err
	}
	r.probe = endProbe{}
	return 1, r.recordProbe(ctx, 1, 0)
}

// belowShort is how many pages are read below a last page that is not full.
const belowShort = 2

func messageKeys(rows []connector.Message) []connector.Key {
	keys := make([]connector.Key, len(rows))
	for i := range rows {
		keys[i] = rows[i].Key
	}
	return keys
}

// closeEnd records that the end of the list needs no more checks.
func (r *endCheck) closeEnd(ctx context.Context) error {
	_, err := r.writer.commit(ctx, delivery{change: func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
		next.UncheckedEnd = nil
	}}, 0)
	return err
}

// unwanted reports whether the first walk after a first start with a start time meets messages older than that time,
// although the first start found none: the list then seemed to end above them.
func (r *endCheck) unwanted(order []found) bool {
	end := r.known.recorded.UncheckedEnd
	if end == nil || end.Since.IsZero() || r.known.recorded.Sequence > r.known.recorded.Base ||
		len(order) < r.rules.Run {
		return false
	}
	timed := false
	for _, f := range order[len(order)-r.rules.Run:] {
		if timed = timed || !f.Time.IsZero(); !f.Time.IsZero() && !f.Time.Before(end.Since) {
			return false
		}
	}
	return timed
}

// recordProbe records a check of the end of the list, so that another instance continues from it. Checks end when there
// were enough of them, or enough in which the log's oldest events were not found: they were deleted, and nothing shows
// any more what was below them.
func (r *endCheck) recordProbe(ctx context.Context, looks, misses int) error {
	end := *r.known.recorded.UncheckedEnd
	end.CheckedAt, end.Confirmed, end.Misses = r.probedAt, end.Confirmed+looks, end.Misses+misses
	settled := &end
	if end.Confirmed >= r.rules.Checks || end.Misses >= 2*r.rules.Checks {
		settled = nil
	}
	_, err := r.writer.commit(ctx, delivery{change: func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
		next.UncheckedEnd = settled
	}}, 0)
	return err
}

// lowestOn reports whether some rows show any of the log's oldest events.
func (r *endCheck) lowestOn(rows []connector.Message) bool {
	return slices.ContainsFunc(rows, func(m connector.Message) bool {
		return slices.Contains(r.known.recorded.UncheckedEnd.Keys, m.Key)
	})
}

// goesOnBelow reports whether some rows show, below the lowest of the log's oldest events, a message that is neither in
// the log nor in the quarantine.
func (r *endCheck) goesOnBelow(rows []connector.Key) bool {
	for i := len(rows) - 1; i >= 0 && !slices.Contains(r.known.recorded.UncheckedEnd.Keys, rows[i]); i-- {
		if key := rows[i]; !r.known.has(key) && !setAside(&r.known, key) {
			return true
		}
	}
	return false
}

// readOn starts the delivery of what is below the log's oldest events, down to the end of the list or to messages older
// than the first start's time.
func (r *endCheck) readOn(ctx context.Context, lowest int) (pages int, err error) {
	end := r.known.recorded.UncheckedEnd
	begun := &connector.Acceptance{Top: end.Keys, Below: true, At: r.known.recorded.Sequence}
	if !end.Since.IsZero() {
		var old []connector.Message
		if old, begun.Row, pages, err = r.search.boundary(ctx, func(t time.Time) bool {
			return t.Before(end.Since)
		}); err != nil {
			return pages, err
		}
		for i := range old {
			if r.known.has(old[i].Key) || begun.Row < lowest*r.rules.Page {
				return pages, r.closeEnd(ctx) // older messages begin above, so nothing below is wanted
			}
			if old[i].Fault == "" {
				begun.Done = append(begun.Done, old[i].Key)
			}
		}
	}
	change := func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
		next.Accepting, next.UncheckedEnd = begun, &connector.UncheckedEnd{Since: end.Since}
		if len(begun.Done) > 0 {
			next.Floor, next.UncheckedEnd = begun.Done, nil
		}
	}
	if _, err = r.writer.commit(ctx, delivery{change: change}, 0); err == nil {
		r.acceptance.accept = accepting{}
		r.known.rebuildExempt()
	}
	return pages, err
}

// doubtSection gives up a section that may be above the log's oldest events, or that shows none of the rows that are
// done, as a list that fails for a while may end anywhere. Rows above the oldest events are in the log, though they may
// be forgotten.
func (r *sectionReader) doubtSection(ctx context.Context, out *Outcome) (bool, error) {
	a, at := &r.acceptance.accept, r.known.recorded.Accepting
	if !at.Below {
		return false, nil
	}
	if len(at.Done) > 0 {
		lost := r.doneIn(&a.section.span) == len(a.section.span.rows) && a.failures < 2*r.rules.Checks
		if lost {
			r.acceptance.backOff(true)
			a.up, a.everywhere = 0, false
		}
		return lost, nil
	}
	isTop := func(key connector.Key) bool { return slices.Contains(at.Top, key) }
	if slices.ContainsFunc(a.section.span.rows, func(row spanRow) bool { return isTop(row.key) }) {
		return false, nil
	}
	about := r.endCheck.lowestPage()
	for number := max(0, about-topBelow); number <= about+topBelow && number < a.section.span.first()-1; number++ {
		page, err := r.source.read(ctx, number, "")
		if err != nil {
			return false, err
		}
		out.Pages++
		if slices.ContainsFunc(page.Messages, func(m connector.Message) bool { return isTop(m.Key) }) {
			return false, nil
		}
	}
	r.acceptance.backOff(true)
	a.listed, a.looks = false, 0
	return true, nil
}

// lowestPage is the page on which the log's oldest events should be, by the number of messages since.
func (r *endCheck) lowestPage() int {
	return (int(r.known.recorded.Sequence-r.known.recorded.Base+r.known.recorded.Counters.Rejected) - 1) / r.rules.Page
}

// withoutAccepting returns the end that is to be checked again if the delivery of what is below it is given up before
// anything was delivered.
func withoutAccepting(c *connector.Checkpoint) *connector.UncheckedEnd {
	if a := c.Accepting; a == nil || !a.Below || c.UncheckedEnd == nil || len(c.UncheckedEnd.Keys) > 0 {
		return c.UncheckedEnd
	}
	return &connector.UncheckedEnd{Keys: c.Accepting.Top, Since: c.UncheckedEnd.Since}
}

// endBelow returns the end that is to be checked after a section from the end of the list was delivered.
func (r *endCheck) endBelow(next *connector.Checkpoint, top connector.Keys, rows []spanRow) *connector.UncheckedEnd {
	if next.UncheckedEnd == nil || len(next.UncheckedEnd.Keys) > 0 {
		return next.UncheckedEnd
	}
	end := &connector.UncheckedEnd{Since: next.UncheckedEnd.Since}
	for _, row := range rows[max(0, len(rows)-r.rules.Floor):] {
		end.Keys = append(end.Keys, row.key)
	}
	if len(rows) == 0 {
		end.Keys = top
	}
	return end
}
