package reader

import (
	"hash/maphash"

	"github.com/twochat-connector/twochat-connector/connector"
)

// windowIndex finds a window's entries by their keys: an open hash table of places in the entries. A map would hold
// each key a second time, and thrice as many bytes. A slot is 0 where it is free, else one more than the number of an
// entry; the entries are numbered in the order in which they came. What the window forgot keeps its slot, which counts
// for nothing, until the table is made anew.
type windowIndex struct {
	seed  maphash.Seed
	slots []uint32 // a power of two of them, at most half of them taken; nil where there is none yet
	taken int      // slots that are not free
	gone  uint32   // the number of the oldest entry held
}

// find returns where in entries a key is and the slot that says so, or false and the free slot that would be its own.
func (x *windowIndex) find(entries []entry, key connector.Key) (at, slot int, found bool) {
	if x.slots == nil {
		return 0, 0, false
	}
	mask := uint64(len(x.slots) - 1)
	for i := maphash.Bytes(x.seed, key[:]) & mask; ; i = (i + 1) & mask {
		number := x.slots[i]
		if number == 0 {
			return 0, int(i), false
		}
		// what is gone lies beyond all entries
		if at := number - 1 - x.gone; at < uint32(len(entries)) && entries[at].key == key {
			return int(at), int(i), true
		}
	}
}

// add puts a key into the index that is about to become the next entry; slot is its own, as find said.
func (x *windowIndex) add(entries []entry, key connector.Key, slot int) {
	if 2*(x.taken+1) > len(x.slots) {
		x.reset(entries, len(entries)+1)
		_, slot, _ = x.find(entries, key)
	}
	x.slots[slot] = x.gone + uint32(len(entries)) + 1
	x.taken++
}

// move lets a slot name the entry that comes next: the one that it named has the same key.
func (x *windowIndex) move(entries []entry, slot int) {
	x.slots[slot] = x.gone + uint32(len(entries)) + 1
}

// reset makes the table anew, with room for some entries and a quarter more.
func (x *windowIndex) reset(entries []entry, room int) {
	size := 8
	for size < 2*(room+room/4) {
		size *= 2
	}
	if x.slots == nil {
		x.seed = maphash.MakeSeed()
	}
	x.slots, x.taken, x.gone = make([]uint32, size), len(entries), 0
	for i := range entries {
		_, slot, _ := x.find(entries[:i], entries[i].key)
		x.slots[slot] = uint32(i) + 1
	}
}
