package reader

import (
	"math"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// span is what some pages showed that were read one after another, going down. It begins with a page that shows ground,
// and goes on as long as nothing trusted lies below what it shows as unknown: so a run of late messages may be longer
// than a page, and begin or end anywhere. Only keys are kept; what is proven late is read again to be delivered.
//
// What a span shows further down stands further down in the list, unless messages were added on top, between two of its
// pages, by a page or more. Less than that shows: the lower page begins with rows that the upper one ended with. So if
// the first page has moved down in the end by just as many rows as were met twice at the seams, no seam hides such a
// thing, and the span is one slice of the list as far as order goes. What slipped through a seam because something
// above was deleted was not met, and is left to the next sweep; it takes nothing from what was. The residue is that of
// batches of pages: a page or more was added between two requests, and exactly as many were deleted above before the
// first page was read again.
type span struct {
	pages []spanPage
	rows  []spanRow                 // newest first, each once
	met   map[connector.Key]spanRow // the same by key
	last  []connector.Key           // all that the newest page showed
	stray connector.Key             // the row that stood further up, where add refused a page
	// lowest is the sequence of the lowest anchor on the newest page that had one; given: it was one without a sequence.
	lowest uint64
	given  bool
}

type spanPage struct {
	number, top int // top is where its first row stood in the list
	from        int // where its first row is in rows
	repeated    int // rows at its head that ended the page before
}

// spanRow is a row of the list; at is where it stood when it was met, counted from the top.
type spanRow struct {
	key connector.Key
	at  int
}

func (s *span) first() int { return s.pages[0].number }

// sunk is by how many rows the list was seen to move down while the span was read.
func (s *span) sunk() (rows int) {
	for _, page := range s.pages[1:] {
		rows += page.repeated
	}
	return rows
}

// moved says where some rows of a span stand in the end, as far as the list was seen to move since they were met.
func (s *span) moved(rows []spanRow) []spanRow {
	sunk, page := 0, len(s.pages)-1
	for i := len(rows) - 1; i >= 0; i-- {
		for rows[i].at < s.pages[page].top {
			sunk += s.pages[page].repeated
			page--
		}
		rows[i].at += sunk
	}
	return rows
}

// repeated counts how often in a row a page was the same as the one before.
func (s *span) repeated(page connector.Page, same int) int {
	if !slices.EqualFunc(page.Messages, s.last, func(m connector.Message, key connector.Key) bool {
		return m.Key == key
	}) {
		return 0
	}
	return same + 1
}

// add adds the next page. It reports false where the page shows rows that stood further up, but for those that it may
// repeat of the page before: the list moved by a page or more.
func (s *span) add(k *known, page connector.Page) bool {
	if s.met == nil {
		s.met, s.lowest = make(map[connector.Key]spanRow, len(page.Messages)), math.MaxUint64
	}
	keys := make([]connector.Key, len(page.Messages))
	for i := range page.Messages {
		keys[i] = page.Messages[i].Key
	}
	n := 0
	if at := slices.Index(s.last, keys[0]); at >= 0 && len(s.last)-at <= len(keys) &&
		slices.Equal(s.last[at:], keys[:len(s.last)-at]) {
		n = len(s.last) - at
	}
	from, top := len(s.rows), page.Number*k.rules.Page
	for i, key := range keys[n:] {
		if was, again := s.met[key]; again {
			if was.at < top && !k.ignoring(key) {
				s.stray = key
				return false
			}
			continue // it stands on its page twice
		}
		row := spanRow{key, top + n + i}
		s.met[key] = row
		s.rows = append(s.rows, row)
	}
	s.pages, s.last = append(s.pages, spanPage{page.Number, top, from, n}), keys
	anchors := k.anchors(len(keys), func(i int) connector.Key { return keys[i] })
	for i, anchor := range anchors {
		if !anchor {
			continue
		}
		at, placed := k.window.place(keys[i])
		s.lowest, s.given = at.sequence(), !placed || at.late()
	}
	return true
}

// standsAt says whether a page shows, from a row on, what the span began with.
func (s *span) standsAt(page connector.Page, from int) bool {
	if from >= len(page.Messages) {
		return false
	}
	shown := page.Messages[from:]
	n := min(len(shown), len(s.rows))
	return slices.EqualFunc(shown[:n], s.rows[:n], func(m connector.Message, row spanRow) bool { return m.Key == row.key })
}

// trim forgets what nothing further down can be judged by: all but the page with the lowest ground message above what
// is open.
func (s *span) trim(r *sweeper, open bool) {
	until := len(s.rows)
	if open {
		until = r.firstOpen(s)
	}
	keep := len(s.pages) - 1
	for i := until - 1; i >= 0 && r.tellsBelow(0); i-- {
		if r.known.ground(s.rows[i].key) {
			keep = slices.IndexFunc(s.pages, func(p spanPage) bool { return p.from > i })
			if keep < 0 {
				keep = len(s.pages)
			}
			keep--
			break
		}
	}
	s.drop(keep)
}

// drop forgets the first pages.
func (s *span) drop(keep int) {
	if keep == 0 {
		return
	}
	from := s.pages[keep].from
	for _, row := range s.rows[:from] {
		delete(s.met, row.key)
	}
	s.rows = slices.Clone(s.rows[from:])
	s.pages = slices.Clone(s.pages[keep:])
	for i := range s.pages {
		s.pages[i].from -= from
	}
}

// trusted is the place of the lowest row of a span that shows what is late above it; -1 where there is none.
func (r *sweeper) trusted(s *span) int {
	bottom := -1
	for i, anchor := range r.known.anchors(len(s.rows), func(i int) connector.Key { return s.rows[i].key }) {
		if at, placed := r.known.window.place(s.rows[i].key); anchor &&
			(!placed || at.late() || at.sequence() >= r.known.remembered()) {
			bottom = i
		}
	}
	return bottom
}

// lateIn lists the late messages of a span, if it is one slice of the list: unknown, below ground, and above a row that
// is trusted.
func (r *sweeper) lateIn(s *span) []spanRow {
	var late []spanRow
	below := false
	for _, row := range s.rows[:max(0, r.trusted(s))] {
		switch {
		case r.known.ground(row.key):
			below = true
		case below && !r.known.has(row.key) && !r.known.rejects.has(row.key):
			late = append(late, row)
		}
	}
	return late
}

// firstOpen is the place of the first unknown message of a span that is below ground and has nothing trusted below it
// yet; the number of rows where there is none.
func (r *sweeper) firstOpen(s *span) int {
	bottom := r.trusted(s)
	below := false
	for i, row := range s.rows {
		switch {
		case r.known.ground(row.key):
			below = true
		case below && i > bottom && !r.known.has(row.key) && !r.known.rejects.has(row.key) && !r.known.held.has(row.key):
			return i
		}
	}
	return len(s.rows)
}

// weigh says whether a span is open: messages in it may be late, and what tells may lie further down. What stands above
// a known message that tells nothing, as something after it was forgotten or erased, is held; above one that never came
// into the log, up to a page's worth, as all that was forgotten may stand there.
func (r *sweeper) weigh(s *span) (open bool, held int) {
	from := r.firstOpen(s)
	for i := len(s.rows) - 1; i > from; i-- {
		at, placed := r.known.window.place(s.rows[i].key)
		if !r.known.has(s.rows[i].key) || placed && at.late() {
			continue
		}
		if !placed {
			from = max(from, i-r.rules.Page)
		}
		for _, row := range s.rows[from:i] {
			if !r.known.has(row.key) && !r.known.rejects.has(row.key) {
				held += r.known.countHeld(row.key)
			}
		}
		break
	}
	return r.firstOpen(s) < len(s.rows) && r.tellsBelow(0), held
}

// tellsBelow says whether a message in order, of a sequence or a newer one, may lie below the page that a sweep has
// read last.
func (r *sweeper) tellsBelow(sequence uint64) bool {
	w, s := r.known.window, &r.sweeping.span
	if s.given { // below a floor or a horizon all is unknown, most often
		return s.shows(&r.known) || len(s.rows) < r.rules.SlicePages*r.rules.Page
	}
	for i := w.from(sequence); i < len(w.entries) && w.entries[i].at.sequence() < s.lowest; i++ {
		if !w.entries[i].at.late() {
			return true
		}
	}
	for key := range r.known.exempt {
		if r.known.exemptHolds(key) {
			return true
		}
	}
	return false
}

// goesOn says whether what tells is to be expected further down, even where that is further than a sweep goes
// otherwise.
func (r *sweeper) goesOn() bool {
	s := &r.sweeping.span
	return (!s.given || s.shows(&r.known)) && r.tellsBelow(r.known.remembered())
}

// shows says whether the newest page shows anything known.
func (s *span) shows(k *known) bool { return slices.ContainsFunc(s.last, k.has) }
