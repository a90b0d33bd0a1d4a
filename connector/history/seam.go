package history

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// seam describes the page that was shown last, to check the page directly below it. Messages that are added on top
// between the two requests move the list down. If they are less than a page, the Reader notices that itself, as the
// lower page begins with rows of the upper one. If they are a page or more, the requested page was further up before.
// Then the page that continues the upper one is searched for further down: it repeats the last row of the upper page,
// and shows rows of it only at its head. base is moved down by as many pages, so that the Reader sees a list that moved
// by less than a page, and the walk goes on. For the Reader this is the same as if whole pages were deleted above,
// between two pages that overlap. So a walk makes progress however large the bursts are, unless a page per request is
// added on average.
type seam struct {
	number int // -1: none
	rows   map[connector.Key]struct{}
	last   connector.Key
	time   time.Time // the oldest time on the page; zero if none has one
}

func seamOf(number int, messages []connector.Message) seam {
	s := seam{number: number, rows: make(map[connector.Key]struct{}, len(messages)), last: messages[len(messages)-1].Key}
	for i := range messages {
		s.rows[messages[i].Key] = struct{}{}
		if t := messages[i].Time; !t.IsZero() && (s.time.IsZero() || t.Before(s.time)) {
			s.time = t
		}
	}
	return s
}

// relation is how a page relates to the one above it.
type relation int

const (
	relationNone    relation = iota // no row in common: it follows, or the list moved by pages
	relationFollows                 // it begins with the last rows of the page above, and goes on below them
	relationSame                    // it shows nothing below the end of the page above
	relationTorn                    // it shows rows of the page above below other rows
)

// relationOf returns how a page relates to the page of the seam.
func (s seam) relationOf(messages []connector.Message) relation {
	repeats, ended := 0, false
	for i := range messages {
		if _, again := s.rows[messages[i].Key]; !again {
			ended = true
			continue
		}
		if ended {
			return relationTorn
		}
		repeats++
	}
	switch {
	case repeats == 0:
		return relationNone
	case ended:
		return relationFollows
	}
	return relationSame
}

// newer reports whether all of a page is newer than all of the page above it, which suggests that the list has moved.
func (s seam) newer(messages []connector.Message) bool {
	return !s.time.IsZero() && reader.AllOlder(messages, func(t time.Time) bool { return t.After(s.time) })
}

// above is the seam of the page above.
func (h *History) above(number int) seam {
	if number == 1 {
		return h.head
	}
	return h.seam
}

// seamPages is how many pages are read to find the one that continues.
const seamPages = 16

// followSeam returns the page if it continues the one above it. If not, it searches for the page that does, and moves
// base. If there is none, it returns the page unchanged: the Reader notices the move by its own rules.
func (h *History) followSeam(ctx context.Context, number int, page connector.Page) (connector.Page, error) {
	s := h.above(number)
	how := s.relationOf(page.Messages)
	if s.number != number-1 || len(page.Messages) == 0 || how == relationFollows || how == relationNone &&
		!s.newer(page.Messages) {
		return page, nil
	}
	// The page that continues is below low and above high.
	real := h.base + number
	low, high, step := real, -1, 1
	for range seamPages {
		at := low + step
		switch {
		case how == relationSame, how == relationTorn && high < 0:
			at = low + 1
		case high > low+1:
			at = low + (high-low)/2
		case high >= 0: // it moved during the search
			at, high = high, -1
		default:
			step *= 2
		}
		next, err := h.pages.Page(ctx, h.live, at, "")
		if err != nil {
			return connector.Page{}, err
		}
		same := how == relationSame
		how = s.relationOf(next.Messages)
		if same && how == relationNone && !s.newer(next.Messages) {
			// It follows if the page above it still shows the end of the seam's page.
			before, err := h.pages.Page(ctx, h.live, at-1, "")
			if err != nil {
				return connector.Page{}, err
			}
			if s.relationOf(before.Messages) == relationSame {
				how = relationFollows
			}
		}
		switch {
		case how == relationFollows:
			h.base += at - real
			return next, nil
		case how == relationSame, how == relationTorn, s.newer(next.Messages):
			low = at
		default:
			high = at
		}
	}
	return page, nil
}
