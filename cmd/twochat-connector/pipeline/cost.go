package pipeline

import (
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// Cost is what an account costs at a given rate limit.
type Cost struct {
	// Account is its name, if there are several.
	Account           string `json:"account,omitempty"`
	Streams           int    `json:"streams"`
	RequestsPerMinute int    `json:"requests_per_minute"`
	// Busy and Quiet are the intervals in force between two polls of a stream, while messages come in and while none do.
	Busy  time.Duration `json:"interval_busy_ns"`
	Quiet time.Duration `json:"interval_quiet_ns"`
	// Sweep is the time in force between two searches for late messages; 0 if there are none. Wanted is the configured
	// time.
	Sweep  time.Duration `json:"sweep_every_ns"`
	Wanted time.Duration `json:"sweep_wanted_ns"`
	// Slowed is true if the rate limit makes Busy longer than configured.
	Slowed bool `json:"slowed_by_rate"`
	// CallsQuiet and CallsBusy are the calls in a month of 30 days: if no stream ever gets a message, and if all streams
	// always get more messages than a sweep reads. A burst of more than a page between two polls costs additional calls.
	CallsQuiet int64 `json:"calls_a_month_quiet"`
	CallsBusy  int64 `json:"calls_a_month_busy"`
	// Budget is the effect of the month's budget; nil until Within is called.
	Budget *budgetCost `json:"budget,omitempty"`
}

const (
	month = 30 * 24 * time.Hour
	// earlier is the average part of its interval that a poll waits, as it may come up to a tenth sooner.
	earlier = 0.95
)

// CostOf counts one call for a poll, whether or not it brings messages. It counts one call for a sweep while it is
// quiet, and one for each page of it while messages come in. It includes the hourly reading of the account.
func CostOf(c *config.Config, requestsPerMinute int) Cost {
	streams := len(c.TwoChat.Streams)
	pace := quota.ShortestInterval(streams, requestsPerMinute)
	k := Cost{
		Account: c.Account(), Streams: streams, RequestsPerMinute: requestsPerMinute,
		Busy: max(c.Poll.MinInterval, pace), Quiet: max(c.Poll.MaxInterval, pace), Slowed: pace > c.Poll.MinInterval,
	}
	k.Wanted = c.Poll.Sweep.Every
	k.reckon(c.Poll.Sweep.Every)
	return k
}

// reckon computes the calls for the intervals, with a sweep at every sweepEvery.
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

// ConfiguredRate is the rate limit to use until the account reports its own.
func ConfiguredRate(c *config.Config) int {
	if c.Poll.RequestsPerMinute > 0 {
		return c.Poll.RequestsPerMinute
	}
	return quota.DefaultRequestsPerMinute
}

// FreshCosts are the costs of each account at the beginning of a month, as far as the configuration tells.
func FreshCosts(c *config.Config, now time.Time) []Cost {
	var list []Cost
	for _, one := range c.ByAccount() {
		list = append(list, CostOf(one, ConfiguredRate(one)).Within(one, FreshBudget(one, now), now))
	}
	return list
}

// Each begins a sentence about the streams of the account.
func (k Cost) Each() string {
	if k.Account == "" {
		return "Each stream"
	}
	return "Each stream of account " + k.Account
}

// Interval describes how often a stream is read.
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

// Calls describes what that costs.
func (k Cost) Calls() string {
	return fmt.Sprintf("about %s calls a month while it is quiet, up to %s if messages never cease; each call is a credit",
		text.Thousands(k.CallsQuiet), text.Thousands(k.CallsBusy))
}

// Sweeps describes how often late messages are searched for, or what that depends on.
func (k Cost) Sweeps() string {
	rarest := text.Interval(time.Duration(quota.MaxSweepFactor) * k.Wanted)
	switch {
	case k.Sweep == 0:
		return "never"
	case k.Sweep > k.Wanted:
		return fmt.Sprintf("every %s, as the month's budget of calls does not allow more (poll.sweep.every: %s)",
			text.Interval(k.Sweep), text.Interval(k.Wanted))
	case k.Budget == nil || k.Budget.State == quota.BudgetUnknown:
		return fmt.Sprintf("every %s, or less often, down to every %s, if the month's budget of calls is short: `twochat-connector check` reads the account's usage", text.Interval(k.Sweep), rarest)
	}
	return fmt.Sprintf("every %s, or less often, down to every %s, if the month's budget of calls becomes short",
		text.Interval(k.Sweep), rarest)
}
