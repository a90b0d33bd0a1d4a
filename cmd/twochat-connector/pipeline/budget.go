package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

// NewBudget makes the month's budget of a configuration. own is how many calls this process has made so far, inFlight
// how many of them have no answer yet; nil: none.
func NewBudget(c *config.Config, own, inFlight func() int64, logger *slog.Logger) *quota.Budget {
	return quota.NewBudget(quota.BudgetConfig{
		Monthly: int64(c.Poll.MonthlyCredits), Streams: len(c.TwoChat.Streams), Interval: c.Poll.MinInterval,
		Stop: c.Poll.WhenSpent == config.SpentStop,
		Own:  own, InFlight: inFlight, Logger: logger,
	})
}

// AccountEvery is how often the account's usage is read. Each reading costs a call.
const AccountEvery = time.Hour

// watchAccount reads the account hourly, or sooner where that did not work, until the context ends. read says whether
// it was read just now. What was read last stays in force until something newer is.
func (l *Pipeline) watchAccount(ctx context.Context, read bool) {
	policy := connector.NewBackoff(30*time.Second, 30*time.Minute)
	for {
		wait := AccountEvery - time.Duration(rand.Int64N(int64(AccountEvery/20))) // instances should not ask in step
		if read {
			policy.Reset()
		} else {
			wait = policy.Next()
		}
		if due, open := l.budget.Open(time.Now()); !open && read {
			wait = max(0, time.Until(due))
		}
		l.recorded.mu.Lock()
		l.recorded.accountDue = time.Now().Add(wait)
		l.recorded.mu.Unlock()
		if l.recorded.untilAccountDue(ctx, wait) != nil || l.whilePaid(ctx) != nil || l.limiter.Wait(ctx, quota.Live) != nil {
			return
		}
		read = l.readAccount(ctx)
	}
}

// whilePaid waits while the budget pays for nothing, until the account's month should have begun anew: reading it is a
// call too.
func (l *Pipeline) whilePaid(ctx context.Context) error {
	for {
		due, open := l.budget.Open(time.Now())
		if open || !due.After(time.Now()) {
			return ctx.Err()
		}
		l.recorded.mu.Lock()
		l.recorded.accountDue = due
		l.recorded.mu.Unlock()
		if err := connector.Sleep(ctx, time.Until(due)); err != nil {
			return err
		}
	}
}

// callBudget pays for the calls of the streams out of the budget.
type callBudget struct{ pipeline *Pipeline }

// Open implements poller.CallBudget.
func (p callBudget) Open() (until time.Time, spent error) {
	until, open := p.pipeline.budget.Open(time.Now())
	if open {
		return until, nil
	}
	return until, p.pipeline.budget.Spent()
}

// Take implements poller.CallBudget.
func (p callBudget) Take() bool {
	if !p.pipeline.budget.Pays(p.pipeline.calls.Add(1)) {
		p.pipeline.calls.Add(-1)
		return false
	}
	p.pipeline.inFlight.Add(1)
	return true
}

// readAccount asks the account once for its limit and usage, and says whether it got an answer.
func (l *Pipeline) readAccount(ctx context.Context) bool {
	if l.Client.Ready() != nil { // which every stream says; without a key nothing is sent, and nothing is paid
		return false
	}
	l.calls.Add(1)
	info, err := l.Client.Info(ctx)
	l.recorded.mu.Lock()
	was, failing := l.recorded.account, l.recorded.accountCause
	l.recorded.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil && failing != err.Error() {
			l.recorded.noteAccount(was, err.Error())
			l.Logger.Warn("the account's limits and usage cannot be read; what is known of them stays in force until they can",
				"requests_per_minute", l.rate.Load(), "cause", err)
		}
		return false
	}
	if info.RequestsPerMinute > 0 && l.Config.Poll.RequestsPerMinute == 0 {
		l.rate.Store(int64(info.RequestsPerMinute))
		l.limiter.SetRate(float64(info.RequestsPerMinute))
	}
	now := time.Now()
	said := &accountReport{
		Asked: now.UTC(), CallsUsed: info.Usage, CallsAllowed: info.MaxUsage, Blocked: info.Blocked,
		OnTrial: info.OnTrial,
	}
	if info.Blocked {
		said.Hint = BlockedHint
	}
	l.recorded.noteAccount(said, "")
	if info.Blocked && (was == nil || !was.Blocked) {
		l.Logger.Warn("the account is blocked at 2Chat", "hint", BlockedHint, "next_attempt",
			now.Add(AccountEvery).UTC().Truncate(time.Minute))
	}
	if was == nil || failing != "" || was.CallsAllowed != info.MaxUsage || was.Blocked != info.Blocked {
		l.Logger.Info("account's limits read", "requests_per_minute", l.rate.Load(), "calls_used", info.Usage,
			"calls_allowed", info.MaxUsage, "blocked", info.Blocked)
	}
	l.budget.Read(quota.AccountUsage{At: now, Used: info.Usage, Max: info.MaxUsage})
	return true
}

// budgetCost is what the month's budget makes of a configuration's cost.
type budgetCost struct {
	quota.BudgetStatus
	// Slows says that the budget makes the interval while messages flow as long as it is.
	Slows bool `json:"slows"`
	// UsedUpQuiet and UsedUpBusy are when the budget would be used up if it slowed nothing, while no stream gets a
	// message, and if all always do; zero where it lasts.
	UsedUpQuiet time.Time `json:"used_up_quiet,omitzero"`
	UsedUpBusy  time.Time `json:"used_up_busy,omitzero"`
	// Text is all of it in a sentence or two; it stands for that of the status.
	Text string `json:"text"`
}

// IdleBudget is a configuration's budget in a process that spends nothing of it.
func IdleBudget(c *config.Config) *quota.Budget {
	return NewBudget(c, func() int64 { return 0 }, nil, cli.QuietLogger())
}

// FreshBudget is a configuration's budget at the beginning of a month; nothing is known of it where it depends on the
// plan.
func FreshBudget(c *config.Config, now time.Time) *quota.Budget {
	b := IdleBudget(c)
	b.Read(quota.AccountUsage{At: now, Used: 1})
	return b
}

// Within is the cost under a budget.
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

// words says what the budget is and how long it lasts.
func (of *budgetCost) words(now time.Time) string {
	switch {
	case of.Budget == 0:
		return "The month's budget is half of the calls that the account's plan has (poll.monthly_credits: 0), so that other integrations can live on it too; polling slows down so that it lasts" + of.end()
	case of.State == quota.BudgetUnknown:
		return fmt.Sprintf("The month's budget is %s calls; the account was not asked how many are used.",
			text.Thousands(of.Budget))
	case of.State == quota.BudgetSpent && of.Stops:
		return fmt.Sprintf("Of the month's budget of %s calls the account has used %s: nothing more is read once all are used, until the account's month begins anew (poll.when_spent: stop). A larger poll.monthly_credits allows more.", text.Thousands(of.Budget), text.Thousands(of.Used))
	case of.State == quota.BudgetSpent:
		return fmt.Sprintf("The month's budget of %s calls is used up, as the account has used %s: each stream is read ten times less often until the account's month begins anew. A larger poll.monthly_credits allows more.", text.Thousands(of.Budget), text.Thousands(of.Used))
	}
	begin := fmt.Sprintf("Of the month's budget of %s calls the account has used %s", text.Thousands(of.Budget),
		text.Thousands(of.Used))
	day := func(t time.Time) string { return "in " + text.Span(t.Sub(now)) + ", on " + t.UTC().Format("2 January") }
	if of.Used <= 1 { // nothing is known of this month
		begin = fmt.Sprintf("The month's budget is %s calls", text.Thousands(of.Budget))
		day = func(t time.Time) string { return "in " + text.Span(t.Sub(now)) }
	}
	lasts := "it lasts for a month even if messages never cease."
	switch {
	case !of.UsedUpQuiet.IsZero():
		lasts = fmt.Sprintf("at full speed it would be used up %s, and %s even while it is quiet; polling slows down so that it lasts%s", day(of.UsedUpBusy), day(of.UsedUpQuiet), of.end())
	case !of.UsedUpBusy.IsZero():
		lasts = fmt.Sprintf("it lasts for a month while it is quiet; if messages never cease it would be used up %s, so polling slows down%s", day(of.UsedUpBusy), of.end())
	}
	return begin + ": " + lasts
}

// end says what comes where it is used up all the same.
func (of *budgetCost) end() string {
	if of.Stops {
		return ", and ends with the last call of the budget until the account's month begins anew (poll.when_spent: stop)."
	}
	return ", and never stops."
}
