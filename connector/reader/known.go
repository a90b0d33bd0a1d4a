package reader

import (
	"math"

	"github.com/twochat-connector/twochat-connector/connector"
)

// rebuildExempt recomputes what is known without a place in the log: by key, the sequence up to which the log had no event
// that could be listed above it.
func (r *Reader) rebuildExempt() {
	r.exempt = make(map[connector.Key]uint64, len(r.recorded.Floor)+len(r.recorded.Horizon))
	for _, key := range r.recorded.Floor {
		r.exempt[key] = 0
	}
	for _, key := range r.recorded.Horizon {
		r.exempt[key] = r.recorded.HorizonAt
	}
}

// known says whether a message is in the seen window or given.
func (r *Reader) known(key connector.Key) bool {
	if _, ok := r.window.place(key); ok {
		return true
	}
	_, ok := r.exempt[key]
	return ok
}

// ground says whether a message is known at or below the certified sequence. What was given counts as long as the window
// holds all that came after: later, forgotten messages may stand above it.
func (r *Reader) ground(key connector.Key) bool {
	if at, ok := r.window.place(key); ok {
		return at.sequence() <= r.window.certified
	}
	return r.exemptHolds(key)
}

func (r *Reader) exemptHolds(key connector.Key) bool {
	at, ok := r.exempt[key]
	return ok && r.window.wholeAbove(at)
}

// inOrder says whether a known message was delivered in list order: what lies above it was never forgotten.
func (r *Reader) inOrder(key connector.Key) bool {
	if at, ok := r.window.place(key); ok && !at.late() {
		return true
	}
	return r.exemptHolds(key)
}

// wholeAbove says whether the window holds every event newer than this known one: none was erased from the sink.
func (r *Reader) wholeAbove(key connector.Key) bool {
	if at, ok := r.window.place(key); ok && !at.late() {
		return r.window.hole <= at.sequence()
	}
	return r.exemptHolds(key)
}

// anchors says which of some rows, newest first, show where the log was: events delivered in order, each older in the log
// than all such above it. One that is not is listed a second time, further down than its place.
func (r *Reader) anchors(rows int, key func(int) connector.Key) []bool {
	anchors := make([]bool, rows)
	lowest := uint64(math.MaxUint64)
	for i := range rows {
		at, known := r.window.place(key(i))
		sequence := at.sequence()
		if !known || at.late() {
			sequence = r.exempt[key(i)]
		}
		if !r.inOrder(key(i)) || r.ignoring(key(i)) || sequence > lowest {
			continue
		}
		anchors[i], lowest = true, sequence
	}
	return anchors
}

// forgetful says whether the list may show messages that were delivered, or were not wanted, and are not known any more.
func (r *Reader) forgetful() bool {
	return !r.groundless && (!r.window.whole() || len(r.exempt) > 0)
}
