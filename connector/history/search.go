package history

import (
	"context"
	"math"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// search searches for the floor around a page, further and further away, until it has seen the whole list twice. The
// times of a page guide it to the side on which the floor is, until they have misled it several times.
type search struct {
	home   int // the page that is read first, once
	tried  bool
	origin int
	step   int
	end    int // an empty page
	rounds int

	low, high int // the floor seems to be below page low and above page high
	stride    int
	misled    int // how many times it was not between the two
}

const (
	// searchRounds is how many times the whole list is searched before the floor counts as gone, as it may have moved past
	// the search.
	searchRounds = 2
	// searchMisled is how many times messages' times may mislead a search before it ignores them.
	searchMisled = 3
	// searchRepeats is how many times a search may meet the same page, as bursts may push it down along with the search.
	searchRepeats = 6
)

func newSearch(origin int) search {
	return search{origin: origin, tried: true, end: math.MaxInt, low: -1, high: math.MaxInt, stride: 1}
}

// next returns the next page to read, or false if all were read.
func (s *search) next() (int, bool) {
	switch {
	case !s.tried:
		return s.home, true
	case !s.guided():
	case s.high == math.MaxInt:
		return s.low + s.stride, true
	default:
		return s.low + (s.high-s.low)/2, true
	}
	for {
		away := (s.step + 1) / 2
		if away > s.origin && s.origin+away >= s.end {
			if s.rounds++; s.rounds >= searchRounds {
				return 0, false
			}
			s.step, s.end = 0, math.MaxInt
			continue
		}
		number := s.origin + away
		if s.step%2 == 0 {
			number = s.origin - away
		}
		if number >= 0 && number < s.end {
			return number, true
		}
		s.step++
	}
}

// side is the side of a page on which the floor seems to be.
type side int

const (
	sideUnknown side = iota
	sideAbove
	sideBelow
)

// missed continues after a page that showed nothing of the floor.
func (s *search) missed(number int, empty bool, floor side) {
	if empty {
		s.end = min(s.end, number)
	}
	guided := s.tried && s.guided()
	switch {
	case s.misled >= searchMisled:
	case floor == sideAbove, empty && s.low >= 0:
		s.high = min(s.high, number)
	case floor == sideBelow:
		s.low, s.stride = max(s.low, number), 2*s.stride
	case guided:
		s.misled = searchMisled
	}
	switch {
	case !s.tried:
		s.tried = true
	case !guided:
		s.step++
	}
	if s.misled < searchMisled && s.high-s.low <= 1 { // the floor moved meanwhile, or times are wrong
		s.origin, s.step, s.low, s.high, s.stride = max(0, min(s.high, s.low+1)), 0, -1, math.MaxInt, 1
		s.misled++
	}
}

// guided reports whether times guide the search now.
func (s *search) guided() bool {
	return s.misled < searchMisled && (s.low >= 0 || s.high < math.MaxInt)
}

// find searches for the page with the floor's top, first where it was last and then around there. It returns the page
// twice: cut above the top, and with all its rows. It returns ErrMoved if the list moves as fast as the search; the
// next call continues from there.
func (h *History) find(ctx context.Context) (connector.Page, []connector.Message, error) {
	checked, checkedTop := -1, 0 // the page above this one shows nothing of the floor
	shown := map[reader.PageSignature]int{}
	for range reader.MaxSearchPages {
		number, ok := h.search.next()
		if !ok {
			return connector.Page{}, nil, &connector.Refusal{
				Thing: "stream " + h.live.Name,
				Cause: "none of the messages that were newest at the first start is listed any more, so it is not known where the history begins",
				Hint:  "export what is missing by other means, or start a new stream under another name with start: beginning",
			}
		}
		if number > reader.FarthestPage {
			h.search = newSearch(h.home)
			return connector.Page{}, nil, reader.Stalled("it goes on at page %d without what is searched for",
				reader.FarthestPage)
		}
		page, err := h.pages.Page(ctx, h.live, number, "")
		if err != nil {
			return connector.Page{}, nil, err
		}
		rows := h.floorOn(page)
		if len(rows) == 0 {
			same := reader.SignatureOf(page)
			if shown[same]++; len(page.Messages) > 0 && shown[same] > searchRepeats {
				h.search = newSearch(h.home)
				return connector.Page{}, nil, reader.Stalled(
					"page %d is the same as many others: the page number is ignored, or cut to the last page", number)
			}
			h.search.missed(number, len(page.Messages) == 0, h.sideOf(page.Messages))
			continue
		}
		top := h.floor[page.Messages[rows[0]].Key]
		if number > 0 && top > h.top && (number != checked || top != checkedTop) {
			// The messages before it were deleted, or are on the page above.
			above, err := h.pages.Page(ctx, h.live, number-1, "")
			if err != nil {
				return connector.Page{}, nil, err
			}
			if len(h.floorOn(above)) > 0 {
				number--
			} else { // valid if the list did not move in between, which is checked by reading the page again
				checked, checkedTop = number, top
			}
			h.search = newSearch(number)
			continue
		}
		h.search = newSearch(number)
		if number != h.home {
			clear(h.strays)
		}
		h.home, h.top, h.topTime = number, top, page.Messages[rows[0]].Time
		return h.cut(page, rows), page.Messages, nil
	}
	return connector.Page{}, nil, reader.ErrMoved
}

// sideOf returns on which side of a page the floor is, judging by times.
func (h *History) sideOf(messages []connector.Message) side {
	switch {
	case h.topTime.IsZero():
	case reader.AllOlder(messages, h.topTime.Before):
		return sideBelow
	case reader.AllOlder(messages, h.topTime.After):
		return sideAbove
	}
	return sideUnknown
}
