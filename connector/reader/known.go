package reader

import (
	"math"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// known is what a Reader knows about messages: which are in the log and where, which are not wanted, rejected or held,
// and how far the log is ground. It comes from the newest checkpoint and from what was read since.
type known struct {
	rules   Rules
	window  *window
	exempt  map[connector.Key]uint64 // floor and horizon: known without a place in the log
	rejects *recentKeys
	erased  erasedKeys
	// erasedRejects is how many messages that were erased on request lay in the quarantine.
	erasedRejects uint64
	// quarantined holds the times of the nameless rows that polls at rest quarantined within the last hour.
	quarantined []time.Time
	held        *recentKeys // already counted as held
	times       groundTimes
	recorded    connector.Checkpoint // the newest committed, without what the window and rejects hold
	// groundless: a careful search proved that the list shows no ground and nothing as old as ground, so that all of it is
	// new. since is the log's last sequence then, and lowest the list's lowest row.
	groundless bool
	since      uint64
	lowest     connector.Key
	repeat     connector.Key // the message that was out of place in the last walks
	repeats    int
	ignored    map[connector.Key]struct{} // listed twice permanently
}

// rebuildExempt recomputes exempt from the recorded floor and horizon. The value of a key is the sequence up to which
// no event of the log can be listed above it.
func (k *known) rebuildExempt() {
	k.exempt = make(map[connector.Key]uint64, len(k.recorded.Floor)+len(k.recorded.Horizon))
	for _, key := range k.recorded.Floor {
		k.exempt[key] = 0
	}
	for _, key := range k.recorded.Horizon {
		k.exempt[key] = k.recorded.HorizonAt
	}
}

// has reports whether a message is in the seen window, the floor or the horizon.
func (k *known) has(key connector.Key) bool {
	if _, ok := k.window.position(key); ok {
		return true
	}
	_, ok := k.exempt[key]
	return ok
}

// ground reports whether a message is known at or below the certified sequence. Floor and horizon count only while the
// window holds everything that came after them, as forgotten messages may stand above them (rule 2).
func (k *known) ground(key connector.Key) bool {
	if at, ok := k.window.position(key); ok {
		return at.sequence() <= k.window.certified
	}
	return k.exemptHolds(key)
}

func (k *known) exemptHolds(key connector.Key) bool {
	at, ok := k.exempt[key]
	return ok && k.window.wholeAbove(at)
}

// inOrder reports whether a known message was delivered in list order.
func (k *known) inOrder(key connector.Key) bool {
	if at, ok := k.window.position(key); ok && !at.late() {
		return true
	}
	return k.exemptHolds(key)
}

// wholeAbove reports whether the window holds every event that is newer than this known one.
func (k *known) wholeAbove(key connector.Key) bool {
	if at, ok := k.window.position(key); ok && !at.late() {
		return k.window.hole <= at.sequence()
	}
	return k.exemptHolds(key)
}

// anchors reports which rows of a page, newest first, are in the order of the log: events that were delivered in order,
// each older in the log than all such events above it. Any other event is listed a second time, below its own place.
func (k *known) anchors(rows int, key func(int) connector.Key) []bool {
	anchors := make([]bool, rows)
	lowest := uint64(math.MaxUint64)
	for i := range rows {
		at, known := k.window.position(key(i))
		sequence := at.sequence()
		if !known || at.late() {
			sequence = k.exempt[key(i)]
		}
		if !k.inOrder(key(i)) || k.ignoring(key(i)) || sequence > lowest {
			continue
		}
		anchors[i], lowest = true, sequence
	}
	return anchors
}

// forgetful reports whether the list may show messages that were delivered or not wanted once and are no longer known.
func (k *known) forgetful() bool {
	return !k.groundless && (!k.window.whole() || len(k.exempt) > 0)
}

// record takes over the newest checkpoint, without the keys of events and rejects, which would otherwise be in memory
// twice.
func (k *known) record(c connector.Checkpoint) {
	c.Tail, c.TailLate, c.Rejects = nil, nil, nil
	k.recorded = c
}

// countHeld counts a message as held, and returns 0 if it was counted before.
func (k *known) countHeld(key connector.Key) int {
	if !k.held.add(key) {
		return 0
	}
	k.recorded.Counters.Held++
	return 1
}

// newerThanMet returns the events that were delivered in order after all those that a walk met.
func (k *known) newerThanMet(order []found) map[connector.Key]struct{} {
	met := uint64(0)
	for i := range order {
		if at, ok := k.window.position(order[i].Key); ok && !at.late() {
			met = max(met, at.sequence())
		}
	}
	newer := make(map[connector.Key]struct{})
	for i := k.window.from(met + 1); i < len(k.window.entries); i++ {
		if e := k.window.entries[i]; !e.at.late() {
			newer[e.key] = struct{}{}
		}
	}
	return newer
}

// shows reports whether some rows show ground, or anything known while there is no ground yet.
func (k *known) shows(rows []connector.Message) bool {
	ground := k.hasGround()
	return slices.ContainsFunc(rows, func(m connector.Message) bool { return k.ground(m.Key) || !ground && k.has(m.Key) })
}

// hasGround reports whether there is ground that the list should show.
func (k *known) hasGround() bool {
	return k.window.certified > k.window.base || len(k.exempt) > 0
}

// missing reports whether a walk to the end of the list met nothing of the log, though it should have. If all of the
// list is new, it should meet what was delivered of it, or the lowest row that it was seen to have.
func (k *known) missing(order []found) bool {
	ground := k.hasGround()
	switch {
	case k.groundless && k.window.last > k.since:
		return !slices.ContainsFunc(order, func(f found) bool {
			at, ok := k.window.position(f.Key)
			return ok && at.sequence() > k.since
		})
	case k.groundless:
		return !slices.ContainsFunc(order, func(f found) bool { return f.Key == k.lowest })
	case !ground && k.window.last <= k.window.base:
		return false
	}
	return !slices.ContainsFunc(order, func(f found) bool { return k.ground(f.Key) || !ground && k.has(f.Key) })
}

// outOfPlace records which message was out of place, and returns ErrMoved. If it is the same in several walks in a row,
// the list has not moved: the message is listed twice permanently, and is ignored from then on.
func (k *known) outOfPlace(key connector.Key) error {
	if key == k.repeat {
		k.repeats++
	} else {
		k.repeat, k.repeats = key, 1
	}
	if k.repeats >= k.rules.Repeats {
		if k.ignored == nil {
			k.ignored = make(map[connector.Key]struct{})
		}
		k.ignored[key] = struct{}{}
	}
	return ErrMoved
}

func (k *known) ignoring(key connector.Key) bool {
	_, ok := k.ignored[key]
	return ok
}

// empty reports whether nothing is known at all: a stream that starts at the beginning of its list.
func (k *known) empty() bool {
	return k.window.last == k.window.base && len(k.exempt) == 0
}

// remembered is the oldest sequence that a sweep may trust: nothing after it was erased, and it is a page above the
// start of the window, unless the window begins with the log. The margin is for rows that are listed twice, up to a
// page apart: the window may have forgotten one of the places and hold the other.
func (k *known) remembered() uint64 {
	w := k.window
	if w.oldest() <= w.base+1 {
		return w.hole
	}
	return max(w.hole, w.oldest()+uint64(k.rules.Page))
}
