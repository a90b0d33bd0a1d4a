package twochattest

import (
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"
)

// row is one message of a number. Its bytes are not kept: they follow from the seed and the row's index. A history of
// 200,000 messages takes about 6 MB.
type row struct {
	at      int64 // the message's time, in seconds
	born    uint32
	chat    uint16
	line    uint16 // its line number in its chat's conversation
	flags   flags
	version uint8 // how often it was edited
	served  uint8 // bit i: version i was on a page that was served completely
	poison  uint8
}

type flags uint8

const (
	flagLate flags = 1 << iota
	flagBackdated
	flagDeleted
	flagSkeleton // its content is complete only from version 1 on
	flagOld      // came with a replaced list and is not newer than what was listed before
	flagTwice    // is listed twice
	flagHidden   // takes a place in the list and is never shown: it makes its page short
)

// maxVersion bounds the edits of one message, as served has a bit for each.
const maxVersion = 7

// list is a connected number: its conversations and the list of its messages.
type list struct {
	name   string
	seed   uint64
	shapes Shapes
	chats  []chat
	rng    *rand.Rand // drift and faults

	rows   []row    // by index: the order of insertion
	listed []uint32 // indexes of the rows in the list, oldest first
	all    []uint32 // every row that was ever listed, in list order, oldest first
	lines  []uint16 // by chat: lines spoken so far

	requests  int
	newest    int64
	replaced  bool
	firstRead map[string]int // by remote: how many rows there were when page 0 was first served whole
	speaker   uint16         // the chat of the last message, as people write several lines in a row
	lie       lying
	reshaped  []Reshape // the newest one is in force
}

func newList(name string, o Options) *list {
	sum := fnv.New64a()
	sum.Write([]byte(name))
	n := &list{
		name: name, seed: o.Seed ^ sum.Sum64(), shapes: o.Shapes, rng: rand.New(rand.NewPCG(o.Seed, sum.Sum64())),
		firstRead: map[string]int{},
	}
	n.chats = newChats(n.seed, o.Chats)
	n.lines = make([]uint16, len(n.chats))
	return n
}

// add makes a row and puts it into the list at a position from the top (0 is the top).
func (n *list) add(position int, at int64, with flags, poison uint8) uint32 {
	index := uint32(len(n.rows))
	if n.rng.IntN(3) == 0 || index == 0 {
		n.speaker = uint16(n.rng.IntN(len(n.chats)))
	}
	r := row{at: at, born: uint32(n.requests), chat: n.speaker, line: n.lines[n.speaker], flags: with, poison: poison}
	n.lines[n.speaker]++
	n.rows = append(n.rows, r)
	if position = min(position, len(n.listed)); position == 0 {
		n.listed = append(n.listed, index)
		n.all = append(n.all, index)
		n.newest = max(n.newest, at)
		return index
	}
	place := len(n.listed) - position
	above := n.listed[place]
	n.listed = slices.Insert(n.listed, place, index)
	for i := len(n.all) - 1; i >= 0; i-- {
		if n.all[i] == above {
			n.all = slices.Insert(n.all, i, index)
			break
		}
	}
	return index
}

// history lists count messages, the newest of them a step before now; each second with messages has three.
func (n *list) history(count int, now time.Time, step time.Duration) {
	n.rows, n.listed, n.all = slices.Grow(n.rows, count), slices.Grow(n.listed, count), slices.Grow(n.all, count)
	for i := range count {
		back := count - i
		at := now.Add(-time.Duration(back-back%3+1) * step).Unix()
		n.add(0, at, 0, 0)
	}
}

// late puts a message below the top, with the time of the message there.
func (n *list) late(depth int) uint32 {
	depth = min(depth, len(n.listed)-1)
	if depth <= 0 {
		return n.add(0, n.newest, 0, 0)
	}
	return n.add(depth, n.rows[n.at(depth)].at, flagLate, 0)
}

// at is the index of the row at a position from the top.
func (n *list) at(position int) uint32 { return n.listed[len(n.listed)-1-position] }

// remove deletes the row at a position from the top.
func (n *list) remove(position int) uint32 {
	index := n.at(position)
	n.rows[index].flags |= flagDeleted
	if n.rows[index].flags&flagTwice != 0 {
		n.listed = slices.DeleteFunc(n.listed, func(i uint32) bool { return i == index })
		return index
	}
	place := len(n.listed) - 1 - position
	n.listed = slices.Delete(n.listed, place, place+1)
	return index
}

func (n *list) clear() {
	for _, index := range n.listed {
		n.rows[index].flags |= flagDeleted
	}
	n.listed, n.replaced = nil, true
}

// replace replaces the whole list by another one of count messages, the first hundred of them older than the former
// list.
func (n *list) replace(count int, now int64) {
	before := n.newest
	n.clear()
	for i := range count {
		at := min(now, before+int64(i-100)*20)
		var with flags
		if at <= before {
			with = flagOld
		}
		n.add(0, at, with, 0)
	}
}

// edit changes the content of the message at a position, if it is of a kind that can be changed.
func (n *list) edit(position int) (uint32, bool) {
	index := n.at(position)
	r := &n.rows[index]
	if r.poison != 0 || r.version == maxVersion || r.flags&flagSkeleton == 0 && !n.look(index).kind.editable() {
		return index, false
	}
	r.version++
	return index, true
}

// twice lists the row at a position a second time, gap places further down.
func (n *list) twice(position, gap int) uint32 {
	index := n.at(position)
	n.rows[index].flags |= flagTwice
	place := max(0, len(n.listed)-1-position-gap)
	n.listed = slices.Insert(n.listed, place, index)
	return index
}

// slice is a page: the indexes of the rows in its places, newest first, including the hidden ones.
func (n *list) slice(remote string, page, size int) []uint32 {
	if page > len(n.rows)/size {
		return nil
	}
	from := page * size
	out := make([]uint32, 0, size)
	if remote == "" {
		for position := from; position < min(from+size, len(n.listed)); position++ {
			out = append(out, n.at(position))
		}
		return out
	}
	for position, met := 0, 0; position < len(n.listed) && len(out) < size; position++ {
		if index := n.at(position); n.chats[n.rows[index].chat].remote == remote {
			if met++; met > from {
				out = append(out, index)
			}
		}
	}
	return out
}

// uuid is the id of a row: MSG and a version 4 UUID.
func (n *list) uuid(index uint32) string { return n.look(index).uuid() }

func formatUUID(prefix string, high, low uint64) string {
	var sum [16]byte
	binary.BigEndian.PutUint64(sum[:], high&^0xf000|0x4000)
	binary.BigEndian.PutUint64(sum[8:], low&^(3<<62)|2<<62)
	out := make([]byte, 0, 40)
	out = append(out, prefix...)
	for i, end := range [...]int{4, 6, 8, 10, 16} {
		if i > 0 {
			out = append(out, '-')
		}
		out = hex.AppendEncode(out, sum[[...]int{0, 4, 6, 8, 10}[i]:end])
	}
	return string(out)
}
