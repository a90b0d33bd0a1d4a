package reader

import (
	"context"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// endProbe is a check of the end in progress. It is kept when a step makes room for the next poll.
type endProbe struct {
	underWay bool
	place    oldestPlace
	found    bool
	lowest   int             // the page that shows the log's oldest events
	rows     []connector.Key // of that page and those below it
	next     int             // page to be read
}

// oldestPlace is a search for the log's oldest events around the page where they should be, as messages may have been
// deleted or added since.
type oldestPlace struct {
	begun     bool
	about     int  // page
	away      int  // pages read around it
	corrected int  // how many times other pages showed that it is another page
	above     int  // how many pages further up the last page was that was chosen to show that
	peek      bool // it is still to be read
}

// topBelow is how many pages above and below its expected place something is searched for.
const topBelow = 3

// corrections is how many times a search begins again around another page.
const corrections = 2

// nextPage returns the next page of the search for the log's oldest events, or false if they are not found.
func (r *endCheck) nextPage(p *oldestPlace) (int, bool) {
	if !p.begun {
		p.begun, p.about = true, r.lowestPage()
	}
	if p.peek {
		p.peek = false
		return p.about - p.above, true
	}
	for p.away <= 2*topBelow {
		number := p.about + (p.away+1)/2
		if p.away%2 == 0 {
			number -= p.away
		}
		if p.away++; number >= 0 {
			return number, true
		}
	}
	return 0, false
}

// notOn takes into account that a page shows none of the log's oldest events. If it shows another event of the log,
// their places in the log tell how much further down the oldest ones are, whatever the list has grown above. If it
// shows none, as the window has forgotten what is there, a page further up may; the nearer, the better, as messages that
// came in late and are not delivered yet are below it as well.
func (r *endCheck) notOn(p *oldestPlace, page connector.Page) {
	w := r.known.window
	for i := range page.Messages {
		at, placed := w.position(page.Messages[i].Key)
		if !placed || at.late() {
			continue
		}
		below := at.sequence() - w.base
		rejects := r.known.recorded.Counters.Rejected * below / (w.last - w.base) // as many as should be among them
		about := (page.Number*r.rules.Page + i + int(below-1+rejects)) / r.rules.Page
		if p.corrected < corrections && about != p.about {
			p.about, p.away, p.corrected = about, 0, p.corrected+1
		}
		return
	}
	if p.corrected == 0 {
		p.above = max(topBelow+1, 2*p.above)
		p.peek = p.above <= p.about
	}
}

// lowestPage is the page on which the log's oldest events should be, by the number of messages since, and by how much
// further down they were found last.
func (r *endCheck) lowestPage() int {
	counted := int(r.known.recorded.Sequence - r.known.recorded.Base + r.known.recorded.Counters.Rejected)
	return max(0, counted-1)/r.rules.Page + r.further
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

// probeNext reads the next page of a check. It first searches for the log's oldest events. From the page that shows
// them on, it checks whether the list goes on below them.
func (r *endCheck) probeNext(ctx context.Context) (pages int, err error) {
	if !r.probe.found {
		return r.findLowest(ctx)
	}
	l := &r.probe
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

// findLowest reads one more page to find the log's oldest events.
func (r *endCheck) findLowest(ctx context.Context) (pages int, err error) {
	l := &r.probe
	place := l.place
	number, ok := r.nextPage(&place)
	if !ok || len(r.known.recorded.UncheckedEnd.Keys) == 0 {
		r.probe = endProbe{}
		return 0, r.recordProbe(ctx, 0, 1)
	}
	page, err := r.source.read(ctx, number, "")
	if err != nil {
		return 1, err
	}
	if !r.lowestOn(page.Messages) {
		r.notOn(&place, page)
		l.place = place
		return 1, nil
	}
	r.further += number - r.lowestPage()
	l.found, l.lowest, l.next, l.rows = true, number, number+1, messageKeys(page.Messages)
	return 1, nil
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
