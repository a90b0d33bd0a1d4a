package twochattest

import "math"

// Lie is a wrong answer that an API gives consistently, for as long as it lasts: valid pages with the number requested,
// but with the wrong contents.
type Lie string

// The lies, and none.
const (
	LieNone    Lie = ""
	LieEnds    Lie = "ends"    // pages from a number on are empty, or 404 with Options.NotFoundPastEnd
	LieClamped Lie = "clamped" // one page is shown for all below it
	LieIgnored Lie = "ignored" // page 0 is shown for all
)

// Lies lists them.
func Lies() []Lie { return []Lie{LieEnds, LieClamped, LieIgnored} }

// Lie makes a number's list lie from a page on, until it is called again; LieNone makes it honest.
func (f *lists) Lie(number string, lie Lie, from int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.number(number)
	n.lie = lying{lie, from}
}

// lying is a lie, and the page from which it is told.
type lying struct {
	lie  Lie
	from int
}

// pastAll is a page beyond the end of any list.
const pastAll = math.MaxInt32

// page is the page shown in place of the requested one, for a list of that many rows.
func (l lying) page(page, size, rows int) int {
	switch l.lie {
	case LieEnds:
		if page >= l.from {
			return pastAll
		}
	case LieClamped:
		return min(page, l.from, max(0, rows-1)/size)
	case LieIgnored:
		return 0
	}
	return page
}
