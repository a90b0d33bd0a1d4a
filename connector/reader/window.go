package reader

import (
	"sort"

	"github.com/twochat-connector/twochat-connector/connector"
)

// window is the seen window: the newest events of the log, in log order, whatever the times of their messages. It
// forgets the oldest first, so that only messages older than its oldest event can have been forgotten. It bounds a
// Reader's memory of the log (Rules.Capacity).
type window struct {
	rules     Rules
	entries   []entry // log order
	index     windowIndex
	base      uint64 // the sequence after which the log begins
	last      uint64 // the log's newest sequence
	certified uint64
	// inOrder counts the certified entries that were delivered in order.
	inOrder int
	// hole is the newest sequence that is missing between two entries, as it was erased from the sink; 0 if there is none.
	hole uint64
}

type entry struct {
	key connector.Key
	at  position
}

// position packs an event's sequence and whether it was delivered late into one word, to save memory.
type position uint64

func newPosition(sequence uint64, late bool) position {
	p := position(sequence << 1)
	if late {
		p |= 1
	}
	return p
}

func (p position) sequence() uint64 { return uint64(p >> 1) }
func (p position) late() bool       { return p&1 != 0 }

// newWindow joins the events that the sink returned with the keys of the checkpoint. The checkpoint's keys have no gap
// up to its sequence; an event that is missing below them, between two that the sink has, was erased there.
func newWindow(rules Rules, state connector.State) *window {
	c := state.Checkpoint
	tail := c.Sequence - uint64(len(c.Tail))
	seen := append([]connector.Seen(nil), state.Seen...)
	sort.Slice(seen, func(i, j int) bool { return seen[i].Sequence < seen[j].Sequence })
	seen = withErased(seen, state.Erased, tail)
	seen = seen[:sort.Search(len(seen), func(i int) bool { return seen[i].Sequence > tail })]
	size := len(seen) + len(c.Tail)
	w := &window{rules: rules, entries: make([]entry, 0, size), base: c.Base, certified: c.Certified}
	w.index.reset(nil, size)
	for _, s := range seen {
		w.put(s.Key, newPosition(s.Sequence, s.Late))
	}
	late := make(map[int]bool, len(c.TailLate))
	for _, i := range c.TailLate {
		late[i] = true
	}
	for i, key := range c.Tail {
		w.put(key, newPosition(tail+uint64(i)+1, late[i]))
	}
	w.last = c.Sequence
	w.forget()
	return w
}

// withErased puts events that were erased on request back in their places among those that the sink returned, up to the
// checkpoint's tail, so that they leave no hole. Below the oldest event it adds only those that precede it without a
// gap.
func withErased(seen, erased []connector.Seen, tail uint64) []connector.Seen {
	oldest := tail + 1
	if len(seen) > 0 {
		oldest = min(oldest, seen[0].Sequence)
	}
	from := len(erased)
	for from > 0 && erased[from-1].Sequence > 0 && erased[from-1].Sequence+1 >= oldest {
		from--
		oldest = min(oldest, erased[from].Sequence)
	}
	if from == len(erased) {
		return seen
	}
	held := make(map[uint64]struct{}, len(seen))
	for _, s := range seen {
		held[s.Sequence] = struct{}{}
	}
	for _, e := range erased[from:] {
		if _, ok := held[e.Sequence]; !ok {
			held[e.Sequence] = struct{}{}
			seen = append(seen, e)
		}
	}
	sort.Slice(seen, func(i, j int) bool { return seen[i].Sequence < seen[j].Sequence })
	return seen
}

// position returns an event's position in the log, and false if the window does not hold it.
func (w *window) position(key connector.Key) (position, bool) {
	i, _, held := w.index.find(w.entries, key)
	if !held {
		return 0, false
	}
	return w.entries[i].at, true
}

// put adds the newest entry. If its key is held already, the key is found at the newer position from now on, as an
// event that was erased from the sink may have been restored. The older entry stays, as entries have no gap.
func (w *window) put(key connector.Key, at position) {
	_, slot, twice := w.index.find(w.entries, key)
	sequence := at.sequence()
	if len(w.entries) > 0 && sequence > w.last+1 {
		w.hole = sequence - 1
	}
	if twice {
		w.index.move(w.entries, slot)
	} else {
		w.index.add(w.entries, key, slot)
	}
	w.entries = append(w.entries, entry{key, at})
	w.last = sequence
	if sequence <= w.certified && !at.late() {
		w.inOrder++
	}
}

// certify moves the certified sequence, which never falls.
func (w *window) certify(sequence uint64) {
	if sequence <= w.certified {
		return
	}
	for i := w.from(w.certified + 1); i < len(w.entries) && w.entries[i].at.sequence() <= sequence; i++ {
		if !w.entries[i].at.late() {
			w.inOrder++
		}
	}
	w.certified = sequence
	w.forget()
}

// forget drops the oldest entries above the capacity. It keeps every uncertified entry and the newest MinWindow entries
// that were delivered in order.
func (w *window) forget() {
	n := 0
	for len(w.entries)-n > w.rules.Capacity {
		oldest := w.entries[n].at
		if oldest.sequence() > w.certified || w.inOrder < w.rules.MinWindow ||
			!oldest.late() && w.inOrder == w.rules.MinWindow {
			break
		}
		if !oldest.late() {
			w.inOrder--
		}
		n++
	}
	if n == 0 {
		return
	}
	w.entries = w.entries[n:]
	w.index.gone += uint32(n)
	if cap(w.entries) > 2*len(w.entries)+1024 {
		w.entries = append([]entry(nil), w.entries...)
	}
	if w.hole < w.oldest() {
		w.hole = 0
	}
}

// from is the index of the first entry at or above a sequence.
func (w *window) from(sequence uint64) int {
	return sort.Search(len(w.entries), func(i int) bool { return w.entries[i].at.sequence() >= sequence })
}

// oldest is the sequence of the oldest entry, or last+1 if the window is empty. The window holds everything from there
// on, except for holes.
func (w *window) oldest() uint64 {
	if len(w.entries) == 0 {
		return w.last + 1
	}
	return w.entries[0].at.sequence()
}

// wholeAbove reports whether the window holds every event after a sequence.
func (w *window) wholeAbove(sequence uint64) bool {
	return w.oldest() <= max(sequence, w.base)+1 && w.hole <= sequence
}

// whole reports whether the window holds the log from its first event on.
func (w *window) whole() bool { return w.wholeAbove(0) }

// newestInOrder is the newest event that was delivered in order.
func (w *window) newestInOrder() (entry, bool) {
	for i := len(w.entries) - 1; i >= 0; i-- {
		if !w.entries[i].at.late() {
			return w.entries[i], true
		}
	}
	return entry{}, false
}

// tail returns the keys that a checkpoint carries: all uncertified ones and the newest certified ones, without a gap,
// and the indexes of the late ones among them. Events that a sink still has of an earlier log are in the window, and in
// no tail.
func (w *window) tail(certified uint64) (keys connector.Keys, late []int) {
	from := w.from(certified + 1)
	for n := 0; n < w.rules.Tail && from > 0 && w.entries[from-1].at.sequence() > w.base; n++ {
		if from < len(w.entries) && w.entries[from-1].at.sequence()+1 != w.entries[from].at.sequence() {
			break
		}
		from--
	}
	keys = make(connector.Keys, 0, len(w.entries)-from)
	for i, e := range w.entries[from:] {
		keys = append(keys, e.key)
		if e.at.late() {
			late = append(late, i)
		}
	}
	return keys, late
}
