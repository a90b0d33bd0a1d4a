package twochat

import (
	"bytes"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ShapeChange is a difference between 2Chat's answers and what is known about them. It contains no values, and the name
// of a member only if it looks chosen by a programmer.
type ShapeChange struct {
	// Member is the path of the member: messages[].message.text; a name that is not shown is an asterisk.
	Member string     `json:"member"`
	Change ChangeKind `json:"change"`
	// Found are the types of its values, and Known its known types; empty if there are none.
	Found string `json:"found,omitempty"`
	Known string `json:"known,omitempty"`
	// Since is when the change was first seen.
	Since time.Time `json:"since"`
}

// ChangeKind is how a member differs from what is known.
type ChangeKind string

// The kinds of changes.
const (
	MemberAppeared ChangeKind = "appeared" // it is unknown
	MemberVanished ChangeKind = "vanished" // no item of a page has it
	MemberRetyped  ChangeKind = "retyped"  // its values have another type
)

// ChangeKinds returns all kinds.
func ChangeKinds() []ChangeKind { return []ChangeKind{MemberAppeared, MemberVanished, MemberRetyped} }

func (c ShapeChange) String() string {
	switch c.Change {
	case MemberVanished:
		return c.Member + " is gone"
	case MemberRetyped:
		return c.Member + " is of another type: " + c.Found + ", known as " + c.Known
	}
	return c.Member + " is new: " + c.Found
}

const (
	// maxShapeChanges is how many changes are kept by name.
	maxShapeChanges = 32
	// provenItems and provenPages are how many items or pages in a row need to have a member before its absence counts as
	// a change.
	provenItems, provenPages = 100, 20
	// hiddenName stands for the name of a member that is not shown.
	hiddenName = "*"
)

// shapeWatch compares the members of answers with the known ones. Its memory is bounded. It is safe for concurrent use.
type shapeWatch struct {
	now   func() time.Time
	count atomic.Int64 // of the changes

	mu      sync.Mutex
	changes []ShapeChange
	lists   map[list]*carried
	echoes  int  // pages that had page_number
	silent  bool // a page had none
}

// carried are the members that every item of a list has had so far.
type carried struct {
	always memberSet
	items  int
}

// The members whose absence from all items of a page is a change (connector/README.md, Members).
var (
	alwaysListed = setOf(memberUUID, memberTimestamp, memberSessionKey, memberMessage, memberSentBy)
	onceListed   = setOf(memberRemote, memberChannelNumber)
)

// missedAs are the names of these members in a change.
var missedAs = map[member]string{
	memberUUID: "uuid or id", memberTimestamp: "timestamp or created_at", memberSessionKey: "session_key",
	memberMessage: "message", memberSentBy: "sent_by", memberRemote: "remote_phone_number",
	memberChannelNumber: "channel_phone_number",
}

func newShapeWatch(now func() time.Time) *shapeWatch {
	return &shapeWatch{now: now, lists: make(map[list]*carried)}
}

// page adds the members of a page of a list.
func (w *shapeWatch) page(of list, body []byte, seen *membersSeen) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range seen.sightings[:seen.count] {
		s := &seen.sightings[i]
		change := ShapeChange{
			Member: s.in.path() + shownName(unquote(s.name.of(body)), s.known != 0), Change: MemberAppeared,
			Found: s.found.String(),
		}
		if s.known != 0 {
			change.Change, change.Known = MemberRetyped, (s.known &^ typeNull).String()
			change.Found = (s.found &^ s.known).String()
		}
		w.add(change)
	}
	if seen.crowded {
		w.add(ShapeChange{Member: hiddenName, Change: MemberAppeared, Found: "many"})
	}
	if seen.items > 0 {
		w.echo(seen.echo)
		w.items(of, seen)
	}
}

// items checks which members are missing from the items of a page.
func (w *shapeWatch) items(of list, seen *membersSeen) {
	had := w.lists[of]
	if had == nil {
		had = &carried{always: onceListed}
		w.lists[of] = had
	}
	if seen.items >= manyItems {
		missed := alwaysListed
		if had.items >= provenItems {
			missed |= had.always
		}
		for missed &^= seen.any; missed != 0; missed &= missed - 1 {
			name := missedAs[member(bits.TrailingZeros32(uint32(missed)))]
			w.add(ShapeChange{Member: inItem.path() + name, Change: MemberVanished})
		}
	}
	had.always &= seen.all
	had.items += seen.items
}

// echo checks whether the page number is missing although earlier answers had it.
func (w *shapeWatch) echo(there bool) {
	if there {
		w.echoes++
		return
	}
	if w.echoes >= provenPages && !w.silent {
		w.add(ShapeChange{Member: inEnvelope.path() + "page_number", Change: MemberVanished})
	}
	w.silent = true
}

// add records a change once.
func (w *shapeWatch) add(change ShapeChange) {
	same := func(c ShapeChange) bool { return c.Member == change.Member && c.Change == change.Change }
	if len(w.changes) >= maxShapeChanges && !slices.ContainsFunc(w.changes, same) {
		change = ShapeChange{Member: hiddenName, Change: change.Change, Found: "many"}
	}
	if slices.ContainsFunc(w.changes, same) {
		return
	}
	change.Since = w.now().UTC()
	w.changes = append(w.changes, change)
	w.count.Add(1)
}

// all returns the changes so far, oldest first.
func (w *shapeWatch) all() []ShapeChange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changes)
}

// shownName returns a member's name if it is known or looks chosen by a programmer: up to 40 letters and underscores,
// the first not a capital. In some objects the names are data, such as numbers or people's names.
func shownName(name []byte, known bool) string {
	if known {
		return string(name)
	}
	if len(name) == 0 || len(name) > longestName || name[0] >= 'A' && name[0] <= 'Z' {
		return hiddenName
	}
	if bytes.ContainsFunc(name, func(r rune) bool { return (r|0x20 < 'a' || r|0x20 > 'z') && r != '_' }) {
		return hiddenName
	}
	return string(name)
}

// ShapeChanges returns how the answers so far differ from what is known about them, oldest first: a few dozen changes
// at most.
func (c *Client) ShapeChanges() []ShapeChange { return c.shapes.all() }

// ShapeChangeCount is the number of ShapeChanges. It never falls.
func (c *Client) ShapeChangeCount() int { return int(c.shapes.count.Load()) }
