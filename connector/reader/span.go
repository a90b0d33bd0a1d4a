package reader

import (
	"math"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// span holds the rows of pages that were read one after another, going down. It begins with a page that shows ground,
// and grows until a trusted row is below its unknown rows, so that a run of late messages may be longer than a page and
// begin or end anywhere. Only keys are kept; messages that are proven late are read again to be delivered.
//
// The order of a span is that of the list, unless a page or more was added on top between two of its pages. If less was
// added, the lower page begins with the last rows of the upper one. So if, in the end, the first page has moved down by
// exactly as many rows as were repeated, no seam hides such a jump, and the span is in order. Rows that were missed
// because something above was deleted are left to the next sweep; they do not disturb the order of the others. The
// remaining risk is the same as with batches: that a page or more was added between two requests, and exactly as many
// rows were deleted above before the first page was read again.
type span struct {
	pages []spanPage
	rows  []spanRow                 // newest first, each once
	met   map[connector.Key]spanRow // the same by key
	last  []connector.Key           // all rows of the newest page
	stray connector.Key             // the row that was further up, if add refused a page
	// lowest is the sequence of the lowest anchor on the newest page that has one. given means that that anchor has no
	// sequence, as it belongs to the floor or the horizon.
	lowest uint64
	given  bool
}

type spanPage struct {
	number, top int // top is the place of its first row in the list
	from        int // the index of its first row in rows
	repeated    int // rows at its head that repeat the end of the page before
}

// spanRow is a row of the list; at is its place when it was met, counted from the top of the list.
type spanRow struct {
	key connector.Key
	at  int
	low lowness // of a late row
}

func (s *span) first() int { return s.pages[0].number }

// shift is by how many rows the list moved down while the span was read, as far as repeated rows show.
func (s *span) shift() (rows int) {
	for _, page := range s.pages[1:] {
		rows += page.repeated
	}
	return rows
}

// moved adds to the places of a span's rows how far the list has moved down since they were met. It changes its
// argument.
func (s *span) moved(rows []spanRow) []spanRow {
	shifted, page := 0, len(s.pages)-1
	for i := len(rows) - 1; i >= 0; i-- {
		for rows[i].at < s.pages[page].top {
			shifted += s.pages[page].repeated
			page--
		}
		rows[i].at += shifted
	}
	return rows
}

// repeated counts how many times in a row a page was the same as the one before.
func (s *span) repeated(page connector.Page, same int) int {
	if !slices.EqualFunc(page.Messages, s.last, func(m connector.Message, key connector.Key) bool {
		return m.Key == key
	}) {
		return 0
	}
	return same + 1
}

// add adds the next page. It returns false if the page shows rows that were further up, other than repeats of the page
// before: the list moved by a page or more.
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
			continue // it is on its page twice
		}
		row := spanRow{key: key, at: top + n + i}
		s.met[key] = row
		s.rows = append(s.rows, row)
	}
	s.pages, s.last = append(s.pages, spanPage{page.Number, top, from, n}), keys
	anchors := k.anchors(len(keys), func(i int) connector.Key { return keys[i] })
	for i, anchor := range anchors {
		if !anchor {
			continue
		}
		at, placed := k.window.position(keys[i])
		s.lowest, s.given = at.sequence(), !placed || at.late()
	}
	return true
}

// standsAt reports whether a page shows the first rows of the span, beginning at row from.
func (s *span) standsAt(page connector.Page, from int) bool {
	if from >= len(page.Messages) {
		return false
	}
	shown := page.Messages[from:]
	n := min(len(shown), len(s.rows))
	return slices.EqualFunc(shown[:n], s.rows[:n], func(m connector.Message, row spanRow) bool { return m.Key == row.key })
}

// trim drops the pages that are not needed to judge further ones: all above the one with the lowest ground message
// above the first open row.
func (s *span) trim(r *sweeper, open bool) {
	until := len(s.rows)
	if open {
		until = r.firstOpen(s)
	}
	keep := len(s.pages) - 1
	for i := until - 1; i >= 0 && r.orderedBelow(0); i-- {
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

// drop drops that many pages from the top.
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

// orderedBelow reports whether an event that was delivered in order, at or after a sequence, may be below the page that
// the sweep read last.
func (r *sweeper) orderedBelow(sequence uint64) bool {
	w, s := r.known.window, &r.sweeping.span
	if s.given { // below a floor or a horizon everything is usually unknown
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

// goesOn reports whether a trusted row is expected further down, even beyond the depth of sweeps.
func (r *sweeper) goesOn() bool {
	s := &r.sweeping.span
	return (!s.given || s.shows(&r.known)) && r.orderedBelow(r.known.remembered())
}

// shows reports whether the newest page shows anything known.
func (s *span) shows(k *known) bool { return slices.ContainsFunc(s.last, k.has) }
