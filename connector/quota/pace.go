package quota

import (
	"math"
	"time"
)

const (
	// spentFactor is how much slower polling is while the budget is used up.
	spentFactor = 10
	// longestPace is the longest interval that a small budget leads to, so that polling never stops.
	longestPace = 6 * time.Hour
	// MaxSweepFactor is the factor by which the interval of sweeps may grow. From an hour it grows to a day, which still
	// finds every late message within sixty hours, several times over.
	MaxSweepFactor = 24
)

// Pace returns the interval between two polls of a stream that the budget allows: with all streams polling that often,
// the rest of the budget lasts until the account's next month. It is never shorter than the wanted interval. If the
// budget is used up it is ten times as long: ten times the wanted interval, or ten times the one that the whole budget
// would allow over the whole month.
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

// pace is the interval in seconds at which the rest of the budget lasts, without bounds.
func (b *Budget) pace(now time.Time, own int64) float64 {
	spendable := b.account.spendable(own)
	if spendable <= 0 {
		return math.Inf(1)
	}
	seconds := b.month.timeLeft(now).Seconds()
	_, others := b.account.rates(measured)
	return float64(b.config.Streams) * seconds / max(spendable-others*seconds, spendable*(1-othersShare))
}

// SweepEvery returns the interval between two sweeps that the budget allows. Sweeps become rarer before polling slows
// down: gradually while the pace approaches the shortest interval, down to half as often when it reaches it.
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
	factor := min(max(2*b.pace(now, own)/b.config.Interval.Seconds(), 1), MaxSweepFactor)
	return time.Duration(float64(base) * factor)
}
