package quota

import (
	"math"
	"time"
)

const (
	// spentFactor is how much slower polling is while the budget is used up.
	spentFactor = 10
	// longestPace bounds what a small budget makes of the interval: polling never stops.
	longestPace = 6 * time.Hour
	// LongestSweep is how many times rarer sweeps may become. At an hour each that is one a day, which still looks several
	// times at whatever is listed late within sixty hours.
	LongestSweep = 24
)

// Pace turns an interval between two polls of a stream into the one that the budget allows: with all streams polling
// that often, what is left lasts until the account's month starts again. It is never shorter than what is wanted. Where
// the budget is used up it is ten times as long as it would be otherwise: ten times what is wanted, or ten times what
// the whole budget would allow over the whole month.
func (b *Budget) Pace(now time.Time, wanted time.Duration) time.Duration {
	own := b.config.Own()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.account.known() {
		return wanted
	}
	even := float64(b.config.Streams) * longestMonth.Seconds() / float64(b.account.total())
	slow := spentFactor * max(wanted.Seconds(), even)
	slow = min(slow, max(longestPace.Seconds(), spentFactor*wanted.Seconds()))
	pace := min(b.pace(now, own), slow)
	return max(wanted, time.Duration(pace*float64(time.Second)))
}

// pace is the interval in seconds at which what is left lasts, without bounds.
func (b *Budget) pace(now time.Time, own int64) float64 {
	spendable := b.account.spendable(own)
	if spendable <= 0 {
		return math.Inf(1)
	}
	seconds := b.month.timeLeft(now).Seconds()
	_, others := b.account.rates(measured)
	return float64(b.config.Streams) * seconds / max(spendable-others*seconds, spendable*(1-othersShare))
}

// SweepEvery turns the time between two sweeps into the one that the budget allows. Sweeps give way before polling
// does: they become rarer once the pace comes near the shortest interval, and are twice as rare when it gets there.
func (b *Budget) SweepEvery(now time.Time, base time.Duration) time.Duration {
	if base <= 0 {
		return 0
	}
	own := b.config.Own()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.account.known() {
		return base
	}
	factor := min(max(2*b.pace(now, own)/b.config.Interval.Seconds(), 1), LongestSweep)
	return time.Duration(float64(base) * factor)
}
