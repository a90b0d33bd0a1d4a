package history

import (
	"context"
	"math"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// search looks for the floor around a page, further and further away, until it has seen the whole list twice. Where the
// times of a page tell on which side of it the floor is, that guides it, for as long as it leads anywhere.
type search struct {
	home   int // looked at before all others, once
	tried  bool
	origin int
	step   int
	end    int // an empty page
	rounds int

	low, high int // the floor seems to be below the one page and above the other
	stride    int
	misled    int // how often nothing was between the two
}

const (
	// searchRounds is how often the whole list is searched before the floor counts as gone: it may have moved past the
	// search.
	searchRounds = 2
	// searchMisled is how often times may mislead a search before they are not asked any more.
	searchMisled = 3
	// searchRepeats is at how many places a search may meet the same page. Where bursts push it down by a page, it meets
	// one a few times.
	searchRepeats = 6
)

func newSearch(origin int) search {
	return search{origin: origin, tried: true, end: math.MaxInt, low: -1, high: math.MaxInt, stride: 1}
}

// next is the page to look at now; false where all were.
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

// side says where the floor seems to be, as seen from a page.
type side int

const (
	sideUnknown side = iota
	sideAbove
	sideBelow
)

// missed goes on from a page that showed nothing of the floor.
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
	if s.misled < searchMisled && s.high-s.low <= 1 { // it moved meanwhile, or the times are wrong
		s.origin, s.step, s.low, s.high, s.stride = max(0, min(s.high, s.low+1)), 0, -1, math.MaxInt, 1
		s.misled++
	}
}

// guided reports whether times guide the search now.
func (s *search) guided() bool {
	return s.misled < searchMisled && (s.low >= 0 || s.high < math.MaxInt)
}

// find reads the page on which the floor's top lies, and gives it cut above that and as it is: first where it was last,
// then around there. It gives up with ErrMoved for now where the list moves as fast as it looks, and goes on there next
// time.
func (h *History) find(ctx context.Context) (connector.Page, []connector.Message, error) {
	checked, checkedTop := -1, 0 // the page above this one shows nothing of the floor
	shown := map[reader.PageSignature]int{}
	for range reader.MaxSearchLooks {
		number, ok := h.search.next()
		if !ok {
			return connector.Page{}, nil, &connector.Refusal{
				Thing: "stream " + h.live.Name,
				Cause: "none of the messages that were newest when it first started is listed any more, so that nothing tells what is history",
				Hint:  "export what is missing by other means, or start a new stream under another name with start: beginning",
			}
		}
		if number > reader.FarthestPage {
			h.search = newSearch(h.home)
			return connector.Page{}, nil, reader.Stalled("it goes on at page %d and shows nothing that is looked for",
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
			// Those before it are deleted, or stand on the page above.
			above, err := h.pages.Page(ctx, h.live, number-1, "")
			if err != nil {
				return connector.Page{}, nil, err
			}
			if len(h.floorOn(above)) > 0 {
				number--
			} else { // if the list did not move in between, which the page shows when it is read again
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

// sideOf says on which side of a page without it the floor is, going by times.
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
