package history

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// seam is the page that was shown last, for the one that comes right below it. What is added on top between the two
// requests moves the list down: by less than a page the Reader sees it, as the page below begins with rows of the page
// above. By a page or more the page asked for is one that stood further up. Then the page that goes on where the one
// above ended is looked for further down: the one that repeats its last row and shows nothing of it below anything
// else. From there on base is that much further down, so that the Reader meets a list that moved by less than a page,
// and the walk goes on. To it that is the same as a delete of whole pages above, between two pages that are seen to
// overlap. So a walk gets on whatever the size of bursts, as long as a page a request is not what comes in on average.
type seam struct {
	number int // -1: none
	rows   map[connector.Key]struct{}
	last   connector.Key
	time   time.Time // the oldest of the page's; zero where it has none
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

// join says how a page may stand to the one above it.
type join int

const (
	joinOpen    join = iota // nothing in common: it follows, or the list moved by pages
	joinRepeats             // it begins with the end of the page above, and goes on below it
	joinSame                // it shows nothing below the end of the page above
	joinTorn                // it shows rows of the page above below others
)

// joins says how a page stands to the seam.
func (s seam) joins(messages []connector.Message) join {
	repeats, ended := 0, false
	for i := range messages {
		if _, again := s.rows[messages[i].Key]; !again {
			ended = true
			continue
		}
		if ended {
			return joinTorn
		}
		repeats++
	}
	switch {
	case repeats == 0:
		return joinOpen
	case ended:
		return joinRepeats
	}
	return joinSame
}

// newer reports whether all of a page is newer than all of the page above it: a hint that the list has moved.
func (s seam) newer(messages []connector.Message) bool {
	return !s.time.IsZero() && reader.AllOlder(messages, func(t time.Time) bool { return t.After(s.time) })
}

// above is the seam that a page may go on from.
func (h *History) above(number int) seam {
	if number == 1 {
		return h.head
	}
	return h.seam
}

// seamLooks is how many pages are looked at for the one that goes on.
const seamLooks = 16

// goOn makes sure that a page goes on from the one above it, or finds the one that does and moves base. Where there is
// none the page stays as it is: the Reader has its own ways to see that.
func (h *History) goOn(ctx context.Context, number int, page connector.Page) (connector.Page, error) {
	s := h.above(number)
	how := s.joins(page.Messages)
	if s.number != number-1 || len(page.Messages) == 0 || how == joinRepeats || how == joinOpen &&
		!s.newer(page.Messages) {
		return page, nil
	}
	// The page that goes on is below the one at low, and above the one at high.
	real := h.base + number
	low, high, step := real, -1, 1
	for range seamLooks {
		at := low + step
		switch {
		case how == joinSame, how == joinTorn && high < 0:
			at = low + 1
		case high > low+1:
			at = low + (high-low)/2
		case high >= 0: // it moved while it was looked for
			at, high = high, -1
		default:
			step *= 2
		}
		next, err := h.pages.Page(ctx, h.live, at, "")
		if err != nil {
			return connector.Page{}, err
		}
		same := how == joinSame
		how = s.joins(next.Messages)
		if same && how == joinOpen && !s.newer(next.Messages) {
			// It follows, if the page that shows the end of the one above is still above it.
			before, err := h.pages.Page(ctx, h.live, at-1, "")
			if err != nil {
				return connector.Page{}, err
			}
			if s.joins(before.Messages) == joinSame {
				how = joinRepeats
			}
		}
		switch {
		case how == joinRepeats:
			h.base += at - real
			return next, nil
		case how == joinSame, how == joinTorn, s.newer(next.Messages):
			low = at
		default:
			high = at
		}
	}
	return page, nil
}
