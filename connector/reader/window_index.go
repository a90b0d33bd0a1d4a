package reader

import (
	"hash/maphash"

	"github.com/twochat-connector/twochat-connector/connector"
)

// windowIndex finds a window's entries by key. It is a hash table with open addressing whose slots hold entry numbers;
// a map would hold each key a second time and need three times the memory. A slot is 0 if it is free, else one more
// than the number of an entry; entries are numbered in the order of their arrival. A forgotten entry keeps its slot,
// which is skipped, until the table is rebuilt.
type windowIndex struct {
	seed  maphash.Seed
	slots []uint32 // a power of two of them, at most half of them taken; nil if there is none yet
	taken int      // slots that are not free
	gone  uint32   // the number of the oldest entry held
}

// find returns the index of a key in entries and its slot, or false and the free slot for it.
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
		// the subtraction wraps for forgotten entries, beyond the length of entries
		if at := number - 1 - x.gone; at < uint32(len(entries)) && entries[at].key == key {
			return int(at), int(i), true
		}
	}
}

// add puts the key of the next entry into the slot that find returned for it.
func (x *windowIndex) add(entries []entry, key connector.Key, slot int) {
	if 2*(x.taken+1) > len(x.slots) {
		x.reset(entries, len(entries)+1)
		_, slot, _ = x.find(entries, key)
	}
	x.slots[slot] = x.gone + uint32(len(entries)) + 1
	x.taken++
}

// move points a slot to the next entry, which has the same key as the entry that it pointed to.
func (x *windowIndex) move(entries []entry, slot int) {
	x.slots[slot] = x.gone + uint32(len(entries)) + 1
}

// reset rebuilds the table with room for that many entries and a quarter more.
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
