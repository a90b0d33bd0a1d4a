package reader

import (
	"sort"

	"github.com/twochat-connector/twochat-connector/connector"
)

// window is the seen window: the newest events of the log, in log order, whatever their messages' times. Forgetting
// takes the oldest first, so that "forgotten" can be read off the order: what lies below the oldest held, cannot be
// told.
type window struct {
	rules     Rules
	entries   []entry // log order
	index     windowIndex
	base      uint64 // the sequence after which the log begins
	last      uint64 // the log's newest sequence
	certified uint64
	// inOrder counts the certified entries that were delivered in order.
	inOrder int
	// hole is the newest sequence that is missing between two entries: erased from the sink. 0 where none is.
	hole uint64
}

type entry struct {
	key connector.Key
	at  place
}

// place is an event's sequence and whether it was delivered late, in one word.
type place uint64

func newPlace(sequence uint64, late bool) place {
	p := place(sequence << 1)
	if late {
		p |= 1
	}
	return p
}

func (p place) sequence() uint64 { return uint64(p >> 1) }
func (p place) late() bool       { return p&1 != 0 }

// newWindow joins what the sink remembers with the keys that the checkpoint carries. The checkpoint's are without gap
// up to its sequence; what is missing below them, between two events that the sink has, was erased there.
func newWindow(rules Rules, state connector.State) *window {
	c := state.Checkpoint
	tail := c.Sequence - uint64(len(c.Tail))
	seen := append([]connector.Seen(nil), state.Seen...)
	sort.Slice(seen, func(i, j int) bool { return seen[i].Sequence < seen[j].Sequence })
	seen = seen[:sort.Search(len(seen), func(i int) bool { return seen[i].Sequence > tail })]
	size := len(seen) + len(c.Tail)
	w := &window{rules: rules, entries: make([]entry, 0, size), base: c.Base, certified: c.Certified}
	w.index.reset(nil, size)
	for _, s := range seen {
		w.put(s.Key, newPlace(s.Sequence, s.Late))
	}
	late := make(map[int]bool, len(c.TailLate))
	for _, i := range c.TailLate {
		late[i] = true
	}
	for i, key := range c.Tail {
		w.put(key, newPlace(tail+uint64(i)+1, late[i]))
	}
	w.last = c.Sequence
	w.forget()
	return w
}

// place is where an event lies, and false where the window does not hold it.
func (w *window) place(key connector.Key) (place, bool) {
	i, _, held := w.index.find(w.entries, key)
	if !held {
		return 0, false
	}
	return w.entries[i].at, true
}

// put adds an entry above all others. A key that stands twice is found at its newest place: what was erased from the
// sink may have been restored since. The entry below stays, as entries are without a gap.
func (w *window) put(key connector.Key, at place) {
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

// forget drops the oldest entries above the capacity, but none that is not certified, and none of the newest Memory
// that were delivered in order.
func (w *window) forget() {
	n := 0
	for len(w.entries)-n > w.rules.Capacity {
		oldest := w.entries[n].at
		if oldest.sequence() > w.certified || w.inOrder < w.rules.Memory || !oldest.late() && w.inOrder == w.rules.Memory {
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

// from is where in entries the first one at or above a sequence is.
func (w *window) from(sequence uint64) int {
	return sort.Search(len(w.entries), func(i int) bool { return w.entries[i].at.sequence() >= sequence })
}

// oldest is the sequence where the window begins; everything from there on is in it, but for holes. It is last+1 where
// the window is empty.
func (w *window) oldest() uint64 {
	if len(w.entries) == 0 {
		return w.last + 1
	}
	return w.entries[0].at.sequence()
}

// wholeAbove says that the window holds every event after a sequence.
func (w *window) wholeAbove(sequence uint64) bool {
	return w.oldest() <= max(sequence, w.base)+1 && w.hole <= sequence
}

// whole says that the window holds the log from its first event on.
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

// tail is what a checkpoint carries of the window: all uncertified keys and the newest certified ones, without a gap.
func (w *window) tail(certified uint64) (keys connector.Keys, late []int) {
	from := w.from(certified + 1)
	for n := 0; n < w.rules.Tail && from > 0; n++ {
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
