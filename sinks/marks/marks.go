// Package marks keeps a few places in a sink from which a log's newest events can be read back. They are coarse because
// they are in each checkpoint.
package marks

// Mark says that the event with a sequence, and all after it, are at a place of the sink or above it.
type Mark interface{ First() uint64 }

// Add appends a mark to a list, unless the newest one is nearer than step.
func Add[M Mark](list []M, next M, step uint64) []M {
	if n := len(list); n > 0 && next.First() < list[n-1].First()+step {
		return list
	}
	return append(list, next)
}

// Trim drops the oldest marks that a window of so many events needs no more, before the event with the sequence next
// is written.
func Trim[M Mark](list []M, next uint64, window int) []M {
	for len(list) > 1 && list[1].First()+uint64(window) <= next {
		list = list[1:]
	}
	return list
}

// Step is how far apart marks are where a window has so many parts: reading back reads at most one part in vain.
func Step(window, parts int) uint64 { return uint64(max(1, window/parts)) }
