package reader

import (
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// A message is late if the list shows it below a message that was delivered before it: it appeared there after that one
// was read. classify decides this for the messages of a walk (rule 4), and lateIn, below, for those of a sweep (rule
// 7). What is delivered deliberately after the messages above it is always late: accepted history and what a check of
// the list's end finds (section.go), and what is restored (restore.go).

// trusted is the index of the lowest row of a span above which unknown messages are certainly late, or -1.
func (r *sweeper) trusted(s *span) int {
	bottom := -1
	for i, anchor := range r.known.anchors(len(s.rows), func(i int) connector.Key { return s.rows[i].key }) {
		if at, placed := r.known.window.position(s.rows[i].key); anchor &&
			(!placed || at.late() || at.sequence() >= r.known.remembered()) {
			bottom = i
		}
	}
	return bottom
}

// lateIn returns the late messages of a span, provided that it is one slice of the list: those that are unknown, below
// ground, and above a trusted row (rule 7).
func (r *sweeper) lateIn(s *span) []spanRow {
	var late []spanRow
	top := slices.IndexFunc(s.rows, func(row spanRow) bool { return r.known.ground(row.key) })
	var anchor *connector.Key
	for i := r.trusted(s); top >= 0 && i > top; i-- {
		switch row := s.rows[i]; {
		case r.known.has(row.key):
			anchor = &s.rows[i].key
		case !setAside(&r.known, row.key):
			row.low = lownessOf(&r.known.recorded, anchor)
			late = append(late, row)
		}
	}
	slices.Reverse(late)
	return late
}

// firstOpen is the index of the first unknown message of a span that is below ground and has no trusted row below it
// yet, or the number of rows if there is none.
func (r *sweeper) firstOpen(s *span) int {
	bottom := r.trusted(s)
	below := false
	for i, row := range s.rows {
		switch {
		case r.known.ground(row.key):
			below = true
		case below && i > bottom && !r.known.has(row.key) && !setAside(&r.known, row.key) && !r.known.held.has(row.key):
			return i
		}
	}
	return len(s.rows)
}

// openAndHeld reports whether a span is open: messages in it may be late, and a trusted row may be further down. It
// counts as held the unknown messages above a known one that is not trusted, as events after it were forgotten or
// erased. Above a row of the floor or the horizon it counts up to a page of them, as forgotten messages may be there.
func (r *sweeper) openAndHeld(s *span) (open bool, held int) {
	from := r.firstOpen(s)
	for i := len(s.rows) - 1; i > from; i-- {
		at, placed := r.known.window.position(s.rows[i].key)
		if !r.known.has(s.rows[i].key) || placed && at.late() {
			continue
		}
		if !placed {
			from = max(from, i-r.rules.Page)
		}
		for _, row := range s.rows[from:i] {
			if !r.known.has(row.key) && !setAside(&r.known, row.key) {
				held += r.known.countHeld(row.key)
			}
		}
		break
	}
	return r.firstOpen(s) < len(s.rows) && r.orderedBelow(0), held
}
