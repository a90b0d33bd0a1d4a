package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// streams watch who polls each stream, and for how long several do or nobody does.
type streams struct {
	names []string
	index map[string]int16 // of each replica that ever lived
	// ranking is, for each stream, to whom it is drawn most, strongest first.
	ranking [][]rank
	ranked  int       // how many a ranking holds: enough that one of them is always there
	drawn   [][]int32 // the streams in whose ranking a replica was
	// whole is who owns each stream among the members of the newest view that was worked out as a whole.
	whole struct {
		members []bool
		owners  []int16
	}
	parts  map[*simulated]*part
	counts []count
	// willing are the replicas that run and get answers from the board.
	willing int
	// longest is how long it was so at most, by kind.
	longest [kinds]time.Duration
	worst   [kinds]string
	touched []bool
}

// kind is a condition of a stream that has to end soon.
type kind int

const (
	twoSound kind = iota // two poll it that have been well for Lifetime
	twoAble              // two poll it that run and reach the board, counted anew from each fault and its end
	unread               // nobody polls it who can, although a replica runs and gets answers from the board
	forsaken             // likewise, counted anew from each fault
	kinds
)

// count is who polls one stream, and since when each kind of condition holds; negative if it does not.
type count struct {
	reading, able, sound int16
	since                [kinds]time.Duration
}

// part is what a replica contributes.
type part struct {
	reading     bool // it runs and reaches the sink, if not the board
	able, sound bool
	willing     bool   // see simulated.willing
	members     string // of its view
	in          []bool // the same by index
	owned       []int32
}

type rank struct {
	score  uint64
	member int16
}

func newStreams(n int) *streams {
	s := &streams{
		ranked: max(16, 10_000/n),
		index:  map[string]int16{}, ranking: make([][]rank, n), parts: map[*simulated]*part{},
		counts: make([]count, n), touched: make([]bool, n),
	}
	for i := range n {
		s.names = append(s.names, fmt.Sprintf("stream-%d", i))
		s.counts[i].since = [kinds]time.Duration{-1, -1, -1, -1}
	}
	return s
}

// bear takes a new replica into the ranking of each stream.
func (s *streams) bear(id string) {
	born := int16(len(s.index))
	s.index[id] = born
	s.drawn = append(s.drawn, nil)
	for i := range s.ranking {
		score, ranks := Score(s.names[i], id), s.ranking[i]
		if len(ranks) == s.ranked && ranks[s.ranked-1].score > score {
			continue
		}
		at := len(ranks)
		for at > 0 && ranks[at-1].score < score {
			at--
		}
		s.ranking[i] = slices.Insert(ranks, at, rank{score, born})[:min(len(ranks)+1, s.ranked)]
		s.drawn[born] = append(s.drawn[born], int32(i))
	}
}

// owner is who owns a stream among some members, -1 if nobody.
func (s *streams) owner(stream int32, members []bool) int16 {
	for _, r := range s.ranking[stream] {
		if int(r.member) < len(members) && members[r.member] {
			return r.member
		}
	}
	return -1
}

// owned is what a replica owns when its view changes from some members to others.
func (s *streams) owned(self int16, before *part, members []bool) (owned []int32) {
	var gone []int16
	for member, was := range before.in {
		if was && (member >= len(members) || !members[member]) {
			gone = append(gone, int16(member))
		}
	}
	if before.members == "" || len(gone) > 8 {
		if !slices.Equal(s.whole.members, members) {
			s.whole.members, s.whole.owners = members, make([]int16, len(s.names))
			for i := range s.names {
				s.whole.owners[i] = s.owner(int32(i), members)
			}
		}
		for i, owner := range s.whole.owners {
			if owner == self {
				owned = append(owned, int32(i))
			}
		}
		return owned
	}
	for _, i := range before.owned {
		if s.owner(i, members) == self {
			owned = append(owned, i)
		}
	}
	for _, member := range gone {
		for _, i := range s.drawn[member] {
			if s.owner(i, before.in) == member && s.owner(i, members) == self {
				owned = append(owned, i)
			}
		}
	}
	return owned
}

func keyOf(v View) string {
	ids := make([]string, len(v.Members))
	for i, m := range v.Members {
		ids[i] = m.ID
	}
	return strings.Join(ids, " ")
}

// take notes that a replica has a view.
func (s *streams) take(r *simulated, view View, w *world) {
	p := s.parts[r]
	key := keyOf(view)
	if key == p.members {
		return
	}
	next := *p
	next.members, next.in, next.owned = key, make([]bool, len(s.index)), nil
	for _, m := range view.Members {
		next.in[s.index[m.ID]] = true
	}
	if key != "" {
		next.owned = s.owned(s.index[r.id], p, next.in)
	}
	s.change(r, &next, w)
}

// assess notes how a replica is.
func (s *streams) assess(r *simulated, w *world) {
	before := s.parts[r]
	if before == nil {
		before = &part{}
	}
	next := *before
	next.reading, next.willing, next.able, next.sound = r.reading(w), r.willing(w), r.able(w), r.sound
	s.change(r, &next, w)
}

func (s *streams) change(r *simulated, next *part, w *world) {
	before := s.parts[r]
	if before == nil {
		before = &part{}
	}
	anyone := s.willing > 0
	if before.willing {
		s.willing--
	}
	if next.willing {
		s.willing++
	}
	s.parts[r] = next
	var touched []int32
	for sign, p := range map[int16]*part{-1: before, 1: next} {
		for _, i := range p.owned {
			if p.reading {
				s.counts[i].reading += sign
			}
			if p.able {
				s.counts[i].able += sign
			}
			if p.able && p.sound {
				s.counts[i].sound += sign
			}
			if !s.touched[i] {
				s.touched[i] = true
				touched = append(touched, i)
			}
		}
	}
	for _, i := range touched {
		s.touched[i] = false
		s.look(int(i), w.now)
	}
	if anyone != (s.willing > 0) {
		for i := range s.counts {
			s.look(i, w.now)
		}
	}
}

// look follows how long the conditions of a stream hold.
func (s *streams) look(i int, now time.Duration) {
	c := &s.counts[i]
	none := c.reading == 0 && s.willing > 0
	for k, holds := range [kinds]bool{c.sound > 1, c.able > 1, none, none} {
		if holds && c.since[k] < 0 {
			c.since[k] = now
		}
		if !holds && c.since[k] >= 0 {
			s.held(kind(k), i, now)
			c.since[k] = -1
		}
	}
}

// held notes that a condition of a stream held until now.
func (s *streams) held(k kind, i int, now time.Duration) {
	if lasted := now - s.counts[i].since[k]; lasted > s.longest[k] {
		s.longest[k] = lasted
		s.worst[k] = fmt.Sprintf("%s from %v to %v", s.names[i], s.counts[i].since[k], now)
	}
}

// anew counts anew how long something holds, as other replicas may be the reason from now on.
func (s *streams) anew(k kind, now time.Duration) {
	for i := range s.counts {
		if c := &s.counts[i]; c.since[k] >= 0 {
			s.held(k, i, now)
			c.since[k] = now
		}
	}
}

// finish notes what still holds at the end.
func (s *streams) finish(now time.Duration) {
	for i := range s.counts {
		for k := range kinds {
			if s.counts[i].since[k] >= 0 {
				s.held(k, i, now)
			}
		}
	}
}
