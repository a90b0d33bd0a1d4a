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
	unmet := r.unmet(end.Keys, w.order)
	if r.known.recorded.Sequence > r.known.recorded.Base && len(unmet) == len(end.Keys) {
		return // it met an end further up
	}
	settled := &connector.UncheckedEnd{
		Keys: keysIn(w.order[max(0, len(w.order)-r.rules.Floor):]), Since: end.Since,
		Short: w.short && len(unmet) == 0,
	}
	settled.Keys = append(settled.Keys, unmet...)
	switch {
	case slices.Equal(settled.Keys, end.Keys):
		return
	case len(settled.Keys) > 2*r.rules.Floor:
		settled = nil
	}
	b.change = func(next *connector.Checkpoint, _ []connector.Event, _ bool) { next.UncheckedEnd = settled }
}

// unmet returns those of the log's oldest events that a walk to the end of the list did not meet: they were deleted, or
// the list goes on below that end.
func (r *endCheck) unmet(keys connector.Keys, order []found) (unmet connector.Keys) {
	met := make(map[connector.Key]struct{}, len(order))
	for i := range order {
		met[order[i].Key] = struct{}{}
	}
	for _, key := range keys {
		if !within(met, key) && !setAside(&r.known, key) {
			unmet = append(unmet, key)
		}
	}
	return unmet
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
	further  int       // by how many pages the log's oldest events were further down than counted when they were found
	restedAt time.Time // of a history: when it first reached its end
	probedAt time.Time // when it was last checked whether the list goes on below the log
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

// recordProbe records a check of the end of the list, so that another instance continues from it.
func (r *endCheck) recordProbe(ctx context.Context, confirmed, misses int) error {
	end := *r.known.recorded.UncheckedEnd
	end.CheckedAt = r.probedAt
	settled := checked(end, r.rules, confirmed, misses)
	_, err := r.writer.commit(ctx, delivery{change: func(next *connector.Checkpoint, _ []connector.Event, _ bool) {
		next.UncheckedEnd = settled
	}}, 0)
	return err
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
		next.Accepting, next.UncheckedEnd = begun, &connector.UncheckedEnd{
			Since: end.Since, CheckedAt: r.probedAt, Confirmed: end.Confirmed, Misses: end.Misses,
		}
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
	a.listed, a.looks, a.place = false, 0, oldestPlace{}
	return true, nil
}

// withoutAccepting returns the end that is to be checked again if the delivery of what is below it is given up before
// anything was delivered. That check found nothing, so it counts as one that missed the log's oldest events.
func withoutAccepting(c *connector.Checkpoint, rules Rules) *connector.UncheckedEnd {
	if a := c.Accepting; a == nil || !a.Below || c.UncheckedEnd == nil || len(c.UncheckedEnd.Keys) > 0 {
		return c.UncheckedEnd
	}
	end := *c.UncheckedEnd
	end.Keys = c.Accepting.Top
	return checked(end, rules, 0, 1)
}

// checked returns an end of the list after another check of it, or nil if it needs no more: there were enough of them,
// or enough in which the log's oldest events were not found: they were deleted, and nothing shows any more what was
// below them.
func checked(end connector.UncheckedEnd, rules Rules, confirmed, misses int) *connector.UncheckedEnd {
	end.Confirmed, end.Misses = end.Confirmed+confirmed, end.Misses+misses
	if end.Confirmed >= rules.Checks || end.Misses >= 2*rules.Checks {
		return nil
	}
	return &end
}

// endBelow returns the end that is to be checked after a section from the end of the list was delivered. If that
// delivered nothing, it is still the same end, which is now confirmed once more.
func (r *endCheck) endBelow(next *connector.Checkpoint, top connector.Keys, rows []spanRow,
	nothing bool,
) *connector.UncheckedEnd {
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
	if nothing {
		end.CheckedAt, end.Misses = next.UncheckedEnd.CheckedAt, next.UncheckedEnd.Misses
		return checked(*end, r.rules, next.UncheckedEnd.Confirmed+1, 0)
	}
	return end
}
