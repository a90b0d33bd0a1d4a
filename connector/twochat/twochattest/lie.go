package twochattest

import "math"

// Lie is what an API shows instead of a page, as long as it lasts: an answer that is valid, and wrong. What it answers
// says the number that was asked for.
type Lie string

// The lies, and none.
const (
	LieNone    Lie = ""
	LieEnds    Lie = "ends"    // pages from a number on are empty, or 404 where Options.NotFoundPastEnd says so
	LieClamped Lie = "clamped" // the page of a number stands for all below it
	LieIgnored Lie = "ignored" // page 0 stands for all
)

// Lies lists them.
func Lies() []Lie { return []Lie{LieEnds, LieClamped, LieIgnored} }

// Lie lets a number's list lie from a page on, until it is called again; LieNone makes it honest.
func (f *lists) Lie(number string, lie Lie, from int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.number(number)
	n.lie = lying{lie, from}
}

// lying is a lie, and from which page on it is told.
type lying struct {
	lie  Lie
	from int
}

// pastAll is a page that no list comes to.
const pastAll = math.MaxInt32

// page is the page that is shown of a list of so many rows where one is asked for.
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
