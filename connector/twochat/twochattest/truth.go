package twochattest

import (
	"bytes"
	"encoding/json"
	"time"
)

// Message is what the Fake knows about one message that was ever listed. Its bytes are made on request.
type Message struct {
	// Index is its place in the order of insertion, from 0.
	Index int
	UUID  string
	// Chat is its session_key, else its remote number, else empty: what its item shows.
	Chat string
	// Remote is the other side, as in the filter of a list.
	Remote string
	// Time is its time, to the second; zero if its item shows none that can be read.
	Time time.Time
	// Late means that it was inserted below others; Backdated that it has the time of an older one; Old that it came with
	// a replaced list and is not newer than what was listed before.
	Late, Backdated, Old bool
	// Deleted means that it is no longer listed; Twice that it is listed in two places.
	Deleted, Twice bool
	// Edits is how often its content changed.
	Edits int
	// Served means that it was on at least one page that was served completely.
	Served bool
	// Poison is what is wrong with the item; empty for a good message. Not every poison has a UUID in its item.
	Poison Poison

	list   *list
	row    row
	shapes []Reshape
}

// Data is the item as the list shows it now, or last showed it, byte for byte.
func (m Message) Data() []byte {
	return m.list.appendItem(nil, uint32(m.Index), m.row, m.row.version, lastShape(m.shapes))
}

// Versions are the different items that were served for this message, oldest first, followed by the same in each shape
// that SetShape gave the list. A good event carries one of them.
func (m Message) Versions() [][]byte {
	var out [][]byte
	for version := range m.row.version + 1 {
		if m.row.served&(1<<version) != 0 {
			out = append(out, m.list.appendItem(nil, uint32(m.Index), m.row, version, nil))
		}
	}
	plain := out
	for i := range m.shapes {
		for _, item := range plain {
			out = append(out, m.shapes[i].item(item))
		}
	}
	return out
}

// compact removes the white space between tokens.
func compact(data []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, data) != nil {
		return data
	}
	return out.Bytes()
}

// Truth lists every message of a number that was ever listed, in list order, oldest first, in the current state.
func (f *lists) Truth(number string) []Message {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.number(number)
	out := make([]Message, 0, len(n.all))
	for _, index := range n.all {
		r := n.rows[index]
		if r.flags&flagHidden != 0 {
			continue
		}
		out = append(out, n.message(index, r))
	}
	return out
}

func (n *list) message(index uint32, r row) Message {
	c, l := n.chats[r.chat], n.look(index)
	m := Message{
		Index: int(index), UUID: l.uuid(), Chat: c.sessionKey, Remote: c.remote, Time: time.Unix(r.at, 0).UTC(),
		Late: r.flags&flagLate != 0, Backdated: r.flags&flagBackdated != 0, Old: r.flags&flagOld != 0,
		Deleted: r.flags&flagDeleted != 0, Twice: r.flags&flagTwice != 0,
		Edits: int(r.version), Served: r.served != 0, Poison: poisons[r.poison], list: n, row: r, shapes: n.reshaped,
	}
	if l.odd == oddNoSession {
		m.Chat = c.remote
		if c.kind == chatLID && l.salt%2 == 0 {
			m.Chat = ""
		}
	}
	if !l.time.readable() {
		m.Time = time.Time{}
	}
	return m
}

// FirstRead is the value of Audit.From for a reader that began with `start: now`: how many messages the number had when
// page 0 of its list, or of the list of one remote number, was first served completely. Before that read it is the
// number of messages so far.
func (f *lists) FirstRead(number, remote string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.number(number)
	if start, read := n.firstRead[remote]; read {
		return start
	}
	return len(n.rows)
}
