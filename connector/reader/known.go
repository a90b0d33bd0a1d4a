package reader

import (
	"math"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// known is what a Reader knows of messages: which are in the log and where, which are not wanted, rejected or held, and
// how far the log is ground. It is what the newest checkpoint says, and what was met since.
type known struct {
	rules   Rules
	window  *window
	exempt  map[connector.Key]uint64 // floor and horizon: known without a place in the log
	rejects *recentKeys
	// quarantined is when the nameless rows of the last hour were read that polls at rest put into the quarantine.
	quarantined []time.Time
	held        *recentKeys // counted as held already
	times       groundTimes
	recorded    connector.Checkpoint // the newest committed, without what the window and rejects hold
	// groundless: a careful search proved that the list shows no ground and nothing as old as it; all that it lists is
	// new.
	groundless bool
	repeat     connector.Key // the message that stood out of place in the last walks
	repeats    int
	ignored    map[connector.Key]struct{} // listed twice for good
}

// rebuildExempt recomputes what is known without a place in the log: by key, the sequence up to which the log had no
// event that could be listed above it.
func (k *known) rebuildExempt() {
	k.exempt = make(map[connector.Key]uint64, len(k.recorded.Floor)+len(k.recorded.Horizon))
	for _, key := range k.recorded.Floor {
		k.exempt[key] = 0
	}
	for _, key := range k.recorded.Horizon {
		k.exempt[key] = k.recorded.HorizonAt
	}
}

// has says whether a message is in the seen window, the floor or the horizon.
func (k *known) has(key connector.Key) bool {
	if _, ok := k.window.place(key); ok {
		return true
	}
	_, ok := k.exempt[key]
	return ok
}

// ground says whether a message is known at or below the certified sequence. Floor and horizon count as long as the
// window holds all that came after: later, forgotten messages may stand above it.
func (k *known) ground(key connector.Key) bool {
	if at, ok := k.window.place(key); ok {
		return at.sequence() <= k.window.certified
	}
	return k.exemptHolds(key)
}

func (k *known) exemptHolds(key connector.Key) bool {
	at, ok := k.exempt[key]
	return ok && k.window.wholeAbove(at)
}

// inOrder says whether a known message was delivered in list order: what lies above it was never forgotten.
func (k *known) inOrder(key connector.Key) bool {
	if at, ok := k.window.place(key); ok && !at.late() {
		return true
	}
	return k.exemptHolds(key)
}

// wholeAbove says whether the window holds every event newer than this known one: none was erased from the sink.
func (k *known) wholeAbove(key connector.Key) bool {
	if at, ok := k.window.place(key); ok && !at.late() {
		return k.window.hole <= at.sequence()
	}
	return k.exemptHolds(key)
}

// anchors says which of some rows, newest first, show where the log was: events delivered in order, each older in the
// log than all such above it. One that is not is listed a second time, further down than its place.
func (k *known) anchors(rows int, key func(int) connector.Key) []bool {
	anchors := make([]bool, rows)
	lowest := uint64(math.MaxUint64)
	for i := range rows {
		at, known := k.window.place(key(i))
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

// forgetful says whether the list may show messages that were delivered, or were not wanted, and are not known any
// more.
func (k *known) forgetful() bool {
	return !k.groundless && (!k.window.whole() || len(k.exempt) > 0)
}

// record takes over the newest checkpoint. Its keys of events and rejects would be in memory twice.
func (k *known) record(c connector.Checkpoint) {
	c.Tail, c.TailLate, c.Rejects = nil, nil, nil
	k.recorded = c
}

// countHeld counts a message as held, once.
func (k *known) countHeld(key connector.Key) int {
	if !k.held.add(key) {
		return 0
	}
	k.recorded.Counters.Held++
	return 1
}

// newerThanMet is what was delivered in order after all such that a walk met.
func (k *known) newerThanMet(order []found) map[connector.Key]struct{} {
	met := uint64(0)
	for i := range order {
		if at, ok := k.window.place(order[i].Key); ok && !at.late() {
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

// shows says whether some rows show ground; where there is none yet, whether they show anything known.
func (k *known) shows(rows []connector.Message) bool {
	ground := k.hasGround()
	return slices.ContainsFunc(rows, func(m connector.Message) bool { return k.ground(m.Key) || !ground && k.has(m.Key) })
}

// hasGround says whether there is anything that a list should show.
func (k *known) hasGround() bool {
	return k.window.certified > k.window.base || len(k.exempt) > 0
}

// missing says whether a walk that went to the end of the list should have met something of the log, and did not.
func (k *known) missing(order []found) bool {
	ground := k.hasGround()
	if k.groundless || !ground && k.window.last <= k.window.base {
		return false
	}
	return !slices.ContainsFunc(order, func(f found) bool { return k.ground(f.Key) || !ground && k.has(f.Key) })
}

// moved notes which message stood out of place. The same one in several walks running is listed twice for good.
func (k *known) moved(key connector.Key) error {
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

// empty says whether there is no ground at all: a stream that begins at the beginning of its list. Its first walk would
// read a slice for nothing.
func (k *known) empty() bool {
	return k.window.last == k.window.base && len(k.exempt) == 0
}

// remembered is the oldest sequence that may be trusted: nothing after it was erased, and it lies a page above where
// the window begins, or the window begins with the log. A row that is listed twice, up to a page apart, may be
// forgotten at the one place and stand above the window's edge at the other.
func (k *known) remembered() uint64 {
	w := k.window
	if w.oldest() <= w.base+1 {
		return w.hole
	}
	return max(w.hole, w.oldest()+uint64(k.rules.Page))
}
