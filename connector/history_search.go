package connector

import "math"

// search looks for the floor around a page, further and further away, until it has seen the whole list twice.
type search struct {
	home   int // looked at before all others, once
	tried  bool
	origin int
	step   int
	end    int // an empty page
	rounds int
}

// searchRounds is how often the whole list is searched before the floor counts as gone: it may have moved past the search.
const searchRounds = 2

func newSearch(origin int) search { return search{origin: origin, tried: true, end: math.MaxInt} }

// next is the page to look at now; false where all were.
func (s *search) next() (int, bool) {
	if !s.tried {
		return s.home, true
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

// missed goes on from a page that showed nothing of the floor.
func (s *search) missed(number int, empty bool) {
	if empty {
		s.end = min(s.end, number)
	}
	if !s.tried {
		s.tried = true
		return
	}
	s.step++
}
