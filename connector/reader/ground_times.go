package reader

import (
	"slices"
	"time"
)

// medianOf is the number of the newest ground messages whose median time is taken: a single message's time may be wrong
// by days.
const medianOf = 21

// groundTimes estimates the time of the newest ground. base represents everything that was ground before this reader
// was made.
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

// cut drops times above a sequence.
func (g *groundTimes) cut(sequence uint64) { g.at = g.at[:g.ground(sequence)] }

// forget drops all but the uncertified times and the newest certified ones.
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

// median is the median time of the newest ground messages, or zero if none has a time.
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
