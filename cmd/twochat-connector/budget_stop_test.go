package main

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// poll.when_spent: stop makes the budget hard: no call is made beyond it, of any kind, live or in a backlog, whether
// others use the account or not. Every report says so, and polling goes on when the account's month starts again.
func TestPipeline_StopsWhenTheBudgetIsSpent(t *testing.T) {
	t.Parallel()
	const budget = 3000
	for name, backlog := range map[string]int{"live": 10, "backlog": 60_000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := twochattest.New(twochattest.Options{
					History: backlog, Credits: 500_000, RequestsPerMinute: 80,
					Latency: 300 * time.Millisecond,
				})
				began := time.Now()
				e := newEconomy(t, fake, []string{twochattest.DefaultNumber}, func(c *config.Config) {
					c.Poll.MonthlyCredits, c.Poll.WhenSpent, c.Poll.MinInterval, c.Poll.MaxInterval = budget, config.SpentStop,
						10*time.Second, 10*time.Second
				})
				defer e.end()
				time.Sleep(2 * time.Hour)
				if name == "backlog" {
					fake.Consume(budget - 300 - fake.Requests())
				} else {
					fake.Consume(budget - 20 - fake.Requests())
				}
				used := func() int { return len(e.wire.since(began, func(call) bool { return true })) }
				made := used()
				time.Sleep(30 * 24 * time.Hour)
				if more := used() - made; more > 320 { // until the next reading, the calls of others are not known
					t.Errorf("%d calls after others had used up the budget but for 300 at most", more)
				}
				quiet := used()
				r := e.wantTrouble(t, "used up", "no more are made until the account")
				if s := r.Streams[0]; s.State != poller.StateSpent || s.NextAttempt.IsZero() || s.Hint == "" {
					t.Errorf("%+v", s)
				}
				if r.Budget.State != quota.BudgetSpent || !r.Budget.Stopped || r.Budget.Used > budget {
					t.Errorf("%+v", r.Budget)
				}
				uuid := fake.Insert("", 1)[0]
				time.Sleep(20 * time.Hour)
				if n := used(); n != quiet {
					t.Errorf("%d calls in twenty hours of a spent budget", n-quiet)
				}
				fake.Consume(-fake.Requests())
				time.Sleep(6 * time.Hour)
				if _, ok := e.sink.Delivered("0", uuid); name == "live" && !ok {
					t.Error("it does not go on in the new month")
				}
				if r := e.pipe.Report(time.Now()); !r.Ready || r.Budget.Stopped || r.Streams[0].State == poller.StateSpent {
					t.Errorf("in the new month: %q, %+v", r.NotReady, r.Budget)
				}
				for text, want := range map[string]int{"no more are made": 1, "calls are made again": 1, "state=spent": 1} {
					if n := strings.Count(e.log.String(), text); n != want {
						t.Errorf("%q stands %d times in the log, expected %d:\n%s", text, n, want, e.log.String())
					}
				}
			})
		})
	}
}

// The last call of the budget is really the last, however many streams ask at once.
func TestPipeline_AHardBudgetIsKeptToTheLastCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const budget = 500
		numbers := []string{"+15550100100", "+15550100101", "+15550100102", "+15550100103"}
		fake := twochattest.New(twochattest.Options{
			Numbers: numbers, History: 30_000, Credits: 500_000,
			RequestsPerMinute: 6000, Latency: 900 * time.Millisecond,
		})
		began := time.Now()
		e := newEconomy(t, fake, numbers, func(c *config.Config) {
			c.Poll.MonthlyCredits, c.Poll.WhenSpent, c.Poll.Concurrency = budget, config.SpentStop, 16
		})
		defer e.end()
		time.Sleep(20 * 24 * time.Hour)
		calls := e.wire.since(began, func(call) bool { return true })
		if len(calls) != budget {
			t.Errorf("%d calls on a budget of %d", len(calls), budget)
		}
		if slices.ContainsFunc(calls, func(c call) bool { return c.at.Sub(began) > time.Hour }) {
			t.Error("a call after the budget was used up")
		}
	})
}
