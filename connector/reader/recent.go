package reader

import (
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// recentKeys is a bounded set of keys that forgets the oldest first.
type recentKeys struct {
	capacity int
	order    connector.Keys
	set      map[connector.Key]struct{}
}

func newRecentKeys(capacity int, keys connector.Keys) *recentKeys {
	k := &recentKeys{capacity: capacity, set: make(map[connector.Key]struct{}, len(keys))}
	for _, key := range keys {
		k.add(key)
	}
	return k
}

func (k *recentKeys) has(key connector.Key) bool {
	_, ok := k.set[key]
	return ok
}

// add reports whether the key is new.
func (k *recentKeys) add(key connector.Key) bool {
	if k.has(key) {
		return false
	}
	k.set[key] = struct{}{}
	k.order = append(k.order, key)
	if len(k.order) > k.capacity {
		delete(k.set, k.order[0])
		k.order = k.order[1:]
	}
	return true
}

// with lists the keys, oldest first, as they would be after more were added.
func (k *recentKeys) with(more []connector.Reject) connector.Keys {
	all := slices.Clone(k.order)
	for i := range more {
		if !k.has(more[i].Key) {
			all = append(all, more[i].Key)
		}
		if place := more[i].Place; place != (connector.Key{}) && !k.has(place) {
			all = append(all, place)
		}
	}
	return all[max(0, len(all)-k.capacity):]
}

// medianOf is how many of the newest ground messages say where ground lies in time: one message's time may be wrong by
// days.
const medianOf = 21

// groundTimes says where ground lies in time, roughly. base stands for all that was ground before this reader began.
type groundTimes struct {
	base time.Time
	at   []timed // log order
}

type timed struct {
	sequence uint64
	time     time.Time
}

func (g *groundTimes) add(sequence uint64, t time.Time) {
	if !t.IsZero() {
		g.at = append(g.at, timed{sequence, t})
	}
}

// learn adds the time of an event that an earlier reader delivered.
func (g *groundTimes) learn(sequence uint64, t time.Time) {
	i := g.ground(sequence)
	if t.IsZero() || i > 0 && g.at[i-1].sequence == sequence {
		return
	}
	g.at = slices.Insert(g.at, i, timed{sequence, t})
}

// cut drops what lies above a sequence.
func (g *groundTimes) cut(sequence uint64) { g.at = g.at[:g.ground(sequence)] }

// forget keeps what is not certified and the newest certified.
func (g *groundTimes) forget(certified uint64) {
	if n := g.ground(certified) - medianOf; n > 1024 {
		g.at = slices.Clone(g.at[n:])
	}
}

func (g *groundTimes) ground(certified uint64) int {
	n, _ := slices.BinarySearchFunc(g.at, certified+1, func(t timed, sequence uint64) int {
		switch {
		case t.sequence < sequence:
			return -1
		case t.sequence > sequence:
			return 1
		}
		return 0
	})
	return n
}

// median is the median time of the newest ground messages; zero where none has a time.
func (g *groundTimes) median(certified uint64) time.Time {
	n := g.ground(certified)
	newest := make([]time.Time, 0, medianOf)
	for _, t := range g.at[max(0, n-medianOf):n] {
		newest = append(newest, t.time)
	}
	for len(newest) < medianOf && !g.base.IsZero() {
		newest = append(newest, g.base)
	}
	return medianTime(newest)
}

// medianTime sorts its argument.
func medianTime(times []time.Time) time.Time {
	if len(times) == 0 {
		return time.Time{}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times[len(times)/2]
}
