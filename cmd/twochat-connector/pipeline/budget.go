package pipeline

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

// AccountOf is the account that the streams of a configuration share.
func AccountOf(c *config.Config, client quota.AccountClient, logger *slog.Logger) *quota.Account {
	return quota.NewAccount(accountConfig(c, client, logger))
}

func accountConfig(c *config.Config, client quota.AccountClient, logger *slog.Logger) quota.AccountConfig {
	return quota.AccountConfig{
		Client: client, RequestsPerMinute: c.Poll.RequestsPerMinute, Streams: len(c.TwoChat.Streams),
		MinInterval: c.Poll.MinInterval, SweepEvery: c.Poll.Sweep.Every, MonthlyCredits: int64(c.Poll.MonthlyCredits),
		StopWhenSpent: c.Poll.WhenSpent == config.SpentStop, Logger: logger,
	}
}

// NewBudget makes the month's budget of a configuration. own returns how many calls this process has made so far.
func NewBudget(c *config.Config, own func() int64, logger *slog.Logger) *quota.Budget {
	return quota.NewBudget(quota.BudgetConfig{
		Monthly: int64(c.Poll.MonthlyCredits), Streams: len(c.TwoChat.Streams), Interval: c.Poll.MinInterval,
		Stop: c.Poll.WhenSpent == config.SpentStop, Own: own, Logger: logger,
	})
}

// budgetCost is the effect of the month's budget on a configuration's cost.
type budgetCost struct {
	quota.BudgetStatus
	// Slows is true if the budget makes the interval longer while messages come in.
	Slows bool `json:"slows"`
	// UsedUpQuiet and UsedUpBusy are when the budget would be used up if polling were not slowed down: if no stream gets a
	// message, and if all streams always do. They are zero if it lasts.
	UsedUpQuiet time.Time `json:"used_up_quiet,omitzero"`
	UsedUpBusy  time.Time `json:"used_up_busy,omitzero"`
	// Text describes all of it in a sentence or two. It replaces the text of the status.
	Text string `json:"text"`
}

// IdleBudget is a configuration's budget in a process that makes no calls.
func IdleBudget(c *config.Config) *quota.Budget {
	return NewBudget(c, func() int64 { return 0 }, cli.QuietLogger())
}

// FreshBudget is a configuration's budget at the beginning of a month. If it depends on the account's plan, it is not
// known.
func FreshBudget(c *config.Config, now time.Time) *quota.Budget {
	b := IdleBudget(c)
	b.Read(quota.AccountUsage{At: now, Used: 1})
	return b
}

// Within returns the cost under a budget.
func (k Cost) Within(c *config.Config, b *quota.Budget, now time.Time) Cost {
	of := &budgetCost{
		BudgetStatus: b.Status(now), UsedUpQuiet: b.UsedUp(now, perDay(k.CallsQuiet)),
		UsedUpBusy: b.UsedUp(now, perDay(k.CallsBusy)),
	}
	busy := b.Pace(now, k.Busy)
	of.Slows, k.Slowed = busy > k.Busy, k.Slowed && busy == k.Busy
	k.Busy, k.Quiet, k.Budget = busy, b.Pace(now, k.Quiet), of
	k.reckon(b.SweepEvery(now, c.Poll.Sweep.Every))
	of.Text = of.words(now)
	return k
}

func perDay(callsAMonth int64) float64 { return float64(callsAMonth) / (month.Hours() / 24) }

// words describes the budget and how long it lasts.
func (of *budgetCost) words(now time.Time) string {
	switch {
	case of.Budget == 0:
		return "The month's budget is half of the calls in the account's plan (poll.monthly_credits: 0), which leaves the rest to other integrations; polling slows down so that it lasts" + of.end()
	case of.State == quota.BudgetUnknown:
		return fmt.Sprintf("The month's budget is %s calls; the account was not asked how many are used.",
			text.Thousands(of.Budget))
	case of.State == quota.BudgetSpent && of.Stops:
		return fmt.Sprintf("Of the month's budget of %s calls the account has used %s: nothing more is read once all are used, until the account's next month begins (poll.when_spent: stop). A larger poll.monthly_credits allows more.", text.Thousands(of.Budget), text.Thousands(of.Used))
	case of.State == quota.BudgetSpent:
		return fmt.Sprintf("The month's budget of %s calls is used up, as the account has used %s: each stream is read ten times less often until the account's next month begins. A larger poll.monthly_credits allows more.", text.Thousands(of.Budget), text.Thousands(of.Used))
	}
	begin := fmt.Sprintf("Of the month's budget of %s calls the account has used %s", text.Thousands(of.Budget),
		text.Thousands(of.Used))
	day := func(t time.Time) string { return "in " + text.Span(t.Sub(now)) + ", on " + t.UTC().Format("2 January") }
	if of.Used <= 1 { // nothing is known of this month yet
		begin = fmt.Sprintf("The month's budget is %s calls", text.Thousands(of.Budget))
		day = func(t time.Time) string { return "in " + text.Span(t.Sub(now)) }
	}
	lasts := "it lasts for a month even if messages never cease."
	switch {
	case !of.UsedUpQuiet.IsZero():
		lasts = fmt.Sprintf("at full speed it would be used up %s, and even while it is quiet %s; polling slows down so that it lasts%s", day(of.UsedUpBusy), day(of.UsedUpQuiet), of.end())
	case !of.UsedUpBusy.IsZero():
		lasts = fmt.Sprintf("it lasts for a month while it is quiet; if messages never cease it would be used up %s, so polling slows down%s", day(of.UsedUpBusy), of.end())
	}
	return begin + ": " + lasts
}

// end describes what happens if it is used up all the same.
func (of *budgetCost) end() string {
	if of.Stops {
		return ", and stops after the last call of the budget until the account's next month begins (poll.when_spent: stop)."
	}
	return ", and never stops."
}
