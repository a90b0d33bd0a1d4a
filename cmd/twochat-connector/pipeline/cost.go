package pipeline

import (
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// Cost is what a configuration spends at a rate limit.
type Cost struct {
	Streams           int `json:"streams"`
	RequestsPerMinute int `json:"requests_per_minute"`
	// Busy and Quiet are the intervals in force between two polls of a stream, while messages flow and when none come.
	Busy  time.Duration `json:"interval_busy_ns"`
	Quiet time.Duration `json:"interval_quiet_ns"`
	// Sweep is the time in force between two searches for late messages; 0 if there are none. Wanted is the configured
	// one.
	Sweep  time.Duration `json:"sweep_every_ns"`
	Wanted time.Duration `json:"sweep_wanted_ns"`
	// Slowed says that the rate limit, not the configuration, makes Busy as long as it is.
	Slowed bool `json:"slowed_by_rate"`
	// CallsQuiet and CallsBusy are calls a month of 30 days, if no stream ever gets a message, and if all always get more
	// than any sweep looks through. A burst of more than a page between two polls costs further ones.
	CallsQuiet int64 `json:"calls_a_month_quiet"`
	CallsBusy  int64 `json:"calls_a_month_busy"`
	// Budget is what the month's budget makes of it; nil until within.
	Budget *budgetCost `json:"budget,omitempty"`
}

const (
	month = 30 * 24 * time.Hour
	// earlier is what share of its interval a poll waits on the average: it may come up to a tenth sooner.
	earlier = 0.95
)

// CostOf reckons with one call a poll, whether or not it brings something; with one a sweep when it is quiet, as many
// as it has pages when it is busy; and with the hourly reading of the account.
func CostOf(c *config.Config, requestsPerMinute int) Cost {
	streams := len(c.TwoChat.Streams)
	pace := quota.ShortestInterval(streams, requestsPerMinute)
	k := Cost{
		Streams: streams, RequestsPerMinute: requestsPerMinute,
		Busy: max(c.Poll.MinInterval, pace), Quiet: max(c.Poll.MaxInterval, pace), Slowed: pace > c.Poll.MinInterval,
	}
	k.Wanted = c.Poll.Sweep.Every
	k.reckon(c.Poll.Sweep.Every)
	return k
}

// reckon sets the calls of the intervals and of a sweep every so often.
func (k *Cost) reckon(sweepEvery time.Duration) {
	k.Sweep = sweepEvery
	sweeps := int64(0)
	if sweepEvery > 0 {
		sweeps = int64(month / sweepEvery)
	}
	most := int64(k.RequestsPerMinute) * int64(month/time.Minute)
	calls := func(interval time.Duration, sweepPages int) int64 {
		polls := int64(float64(month) / float64(interval) / earlier)
		return min(most, int64(month/quota.AccountReadInterval)+int64(k.Streams)*(polls+sweeps*int64(sweepPages)))
	}
	k.CallsQuiet, k.CallsBusy = calls(k.Quiet, 1), calls(k.Busy, reader.DefaultRules().SweepPages)
}

// Interval says in words how often a stream is read.
func (k Cost) Interval() string {
	said := fmt.Sprintf("every %s while messages flow, every %s when it is quiet", text.Interval(k.Busy),
		text.Interval(k.Quiet))
	if k.Busy == k.Quiet {
		said = "every " + text.Interval(k.Busy)
	}
	if k.Slowed {
		said += fmt.Sprintf(", slowed down by the rate limit (%d requests a minute, streams: %d)", k.RequestsPerMinute,
			k.Streams)
	}
	if k.Budget != nil && k.Budget.Slows {
		said += ", slowed down by the month's budget of calls"
	}
	return said
}

// Calls says in words what that costs.
func (k Cost) Calls() string {
	return fmt.Sprintf("about %s calls a month while it is quiet, up to %s if messages never cease; each call is a credit",
		text.Thousands(k.CallsQuiet), text.Thousands(k.CallsBusy))
}

// Sweeps says in words how often late messages are searched for, or on what that depends.
func (k Cost) Sweeps() string {
	rarest := text.Interval(time.Duration(quota.MaxSweepFactor) * k.Wanted)
	switch {
	case k.Sweep == 0:
		return "never"
	case k.Sweep > k.Wanted:
		return fmt.Sprintf("every %s, as the month's budget of calls allows no more (poll.sweep.every: %s)",
			text.Interval(k.Sweep), text.Interval(k.Wanted))
	case k.Budget == nil || k.Budget.State == quota.BudgetUnknown:
		return fmt.Sprintf("every %s, or as rarely as every %s where the month's budget of calls is short: `twochat-connector check` asks the account for it", text.Interval(k.Sweep), rarest)
	}
	return fmt.Sprintf("every %s, and rarer, down to every %s, when the month's budget of calls becomes short",
		text.Interval(k.Sweep), rarest)
}
