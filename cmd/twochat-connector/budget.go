package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

// newBudget makes the month's budget of a configuration. own is how many calls this process has made so far.
func newBudget(c *config.Config, own func() int64, logger *slog.Logger) *connector.Budget {
	return connector.NewBudget(connector.BudgetConfig{
		Monthly: int64(c.Poll.MonthlyCredits), Streams: len(c.TwoChat.Streams), Interval: c.Poll.MinInterval, Own: own, Logger: logger,
	})
}

// readingsEvery is how often the account's usage is read. Each reading costs a call.
const readingsEvery = time.Hour

// watchAccount reads the account hourly, or sooner where that did not work, until the context ends. read says whether it
// was read just now. What was read last stays in force until something newer is.
func (l *pipeline) watchAccount(ctx context.Context, read bool) {
	policy := backoff.NewExponentialBackOff(backoff.WithInitialInterval(30*time.Second), backoff.WithMaxInterval(30*time.Minute), backoff.WithMaxElapsedTime(0))
	for {
		wait := readingsEvery - time.Duration(rand.Int64N(int64(readingsEvery/20))) // instances should not ask in step
		if read {
			policy.Reset()
		} else {
			wait = policy.NextBackOff()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if l.limiter.Wait(ctx, connector.Live) != nil {
			return
		}
		read = l.readAccount(ctx)
	}
}

// readAccount asks the account once for its limit and usage, and says whether it got an answer.
func (l *pipeline) readAccount(ctx context.Context) bool {
	l.calls.Add(1)
	info, err := l.client.Info(ctx)
	l.mu.Lock()
	was, failing := l.account, l.accountCause
	l.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil && failing != err.Error() {
			l.noteAccount(was, err.Error())
			l.logger.Warn("the account's limits and usage cannot be read; what is known of them stays in force until they can", "requests_per_minute", l.rate.Load(), "cause", err)
		}
		return false
	}
	if info.RequestsPerMinute > 0 && l.config.Poll.RequestsPerMinute == 0 {
		l.rate.Store(int64(info.RequestsPerMinute))
		l.limiter.SetRate(float64(info.RequestsPerMinute))
	}
	now := time.Now()
	l.noteAccount(&accountReport{Asked: now.UTC(), CallsUsed: info.Usage, CallsAllowed: info.MaxUsage, Blocked: info.Blocked, OnTrial: info.OnTrial}, "")
	if was == nil || failing != "" || was.CallsAllowed != info.MaxUsage || was.Blocked != info.Blocked {
		l.logger.Info("account's limits read", "requests_per_minute", l.rate.Load(), "calls_used", info.Usage, "calls_allowed", info.MaxUsage, "blocked", info.Blocked)
	}
	l.budget.Read(connector.AccountUsage{At: now, Used: info.Usage, Max: info.MaxUsage})
	return true
}

// noteAccount records what the account said, and why it could not be read since.
func (l *pipeline) noteAccount(said *accountReport, cause string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.account, l.accountCause = said, cause
}
