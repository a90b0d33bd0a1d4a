package reader

import (
	"bytes"
	"math"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// erasedKeys are the messages that were erased from the log or the quarantine on request, sorted by their bytes. All of
// them are remembered, at 16 bytes each.
type erasedKeys connector.Keys

func newErasedKeys(erased []connector.Seen) erasedKeys {
	keys := make(erasedKeys, 0, len(erased))
	for _, e := range erased {
		keys = append(keys, e.Key)
	}
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys)
}

// erasedRejects counts those among them that lay in the quarantine, and were not delivered from there before.
func erasedRejects(erased []connector.Seen) uint64 {
	all := connector.Counters{Rejected: math.MaxUint64}
	return all.Rejected - all.InQuarantine(erased)
}

// inQuarantine is how many messages still lie in the quarantine.
func inQuarantine(k *known) uint64 {
	undelivered := k.recorded.Counters.InQuarantine(nil)
	return undelivered - min(undelivered, k.erasedRejects)
}

func (e erasedKeys) has(key connector.Key) bool {
	_, found := slices.BinarySearchFunc(e, key, compareKeys)
	return found
}

func compareKeys(a, b connector.Key) int { return bytes.Compare(a[:], b[:]) }

// setAside reports whether a message is known but not in the log: it is in the quarantine, or it was erased and is
// older than the window. It neither counts in a run of ground nor interrupts it.
func setAside(k *known, key connector.Key) bool {
	if k.rejects.has(key) {
		return true
	}
	if !k.erased.has(key) {
		return false
	}
	_, placed := k.window.position(key)
	return !placed
}
