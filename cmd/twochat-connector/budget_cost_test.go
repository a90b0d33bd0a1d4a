package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

func TestCost_WithinTheBudget(t *testing.T) {
	now := time.Date(2026, time.November, 3, 9, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		streams, monthly int
		used, plan       int64 // 0, 0: as explain, which asks no account
		interval, words  string
	}{
		"plenty": {
			1, 1_000_000, 40_000, 500_000, "every 10s while messages flow, every 1m when it is quiet",
			"Of the month's budget of 1,000,000 calls the account has used 40,000: it lasts for a month even if messages never cease.",
		},
		"documented": {
			1, 0, 77_112, 500_000,
			"every 16.7s while messages flow, every 1m when it is quiet, slowed down by the month's budget of calls",
			"Of the month's budget of 250,000 calls the account has used 77,112: it lasts for a month while it is quiet; if messages never cease it would be used up in 12 days, on 15 November, so polling slows down, and never stops.",
		},
		"too many": {
			20, 0, 77_112, 500_000, "every 5m34s, slowed down by the month's budget",
			"at full speed it would be used up in 14 h, on 3 November, and even while it is quiet in 5 days, on 8 November; polling slows down so that it lasts, and never stops.",
		},
		"spent": {
			1, 0, 260_000, 500_000,
			"every 1m47s while messages flow, every 10m when it is quiet, slowed down by the month's budget",
			"The month's budget of 250,000 calls is used up, as the account has used 260,000: each stream is read ten times less often until",
		},
		"asks none": {
			1, 0, 0, 0, "every 10s while messages flow, every 1m when it is quiet",
			"The month's budget is half of the calls in the account's plan (poll.monthly_credits: 0)",
		},
		"own word": {2, 100_000, 0, 0, "every 56.4s while messages flow, every 1m when it is quiet, slowed down by the month's budget", "The month's budget is 100,000 calls: it lasts for a month while it is quiet; if messages never cease it would be used up in 3 days, so"},
	} {
		t.Run(name, func(t *testing.T) {
			c := config.Default()
			c.Poll.MonthlyCredits = test.monthly
			c.TwoChat.Streams = make([]config.StreamConfig, test.streams)
			budget := pipeline.FreshBudget(&c, now)
			if test.plan > 0 {
				budget = pipeline.IdleBudget(&c)
				budget.Read(quota.AccountUsage{At: now, Used: test.used, Max: test.plan})
			}
			in := pipeline.CostOf(&c, 500).Within(&c, budget, now)
			if got := in.Interval(); !strings.HasPrefix(got, test.interval) {
				t.Errorf("interval\n got %q\nwant %q", got, test.interval)
			}
			if got := in.Budget.Text; !strings.Contains(got, test.words) {
				t.Errorf("words\n got %q\nwant %q", got, test.words)
			}
			if slow := in.Busy > c.Poll.MinInterval; slow != in.Budget.Slows {
				t.Errorf("slows is %v at %v", in.Budget.Slows, in.Busy)
			}
			if without := pipeline.CostOf(&c, 500); in.CallsBusy > without.CallsBusy || in.CallsQuiet > without.CallsQuiet {
				t.Errorf("calls %d and %d, without a budget %d and %d", in.CallsQuiet, in.CallsBusy, without.CallsQuiet,
					without.CallsBusy)
			}
		})
	}
}

// The monthly cost that check and explain print is what run spends, also if a sweep reads many pages and the account
// is asked.
func TestCost_IsWhatRunSpends(t *testing.T) {
	t.Parallel()
	hours := 12
	if testing.Short() {
		hours = 2
	}
	for name, test := range map[string]struct {
		history int
		every   time.Duration // between two messages
		said    func(pipeline.Cost) int64
	}{
		"quiet": {50, time.Hour * 1000, func(k pipeline.Cost) int64 { return k.CallsQuiet }},
		"busy":  {25_000, 9 * time.Second, func(k pipeline.Cost) int64 { return k.CallsBusy }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := twochattest.New(twochattest.Options{History: test.history, RequestsPerMinute: 600, Credits: 1_000_000_000})
				e := newEconomy(t, fake, []string{twochattest.DefaultNumber}, func(c *config.Config) {
					c.Poll.MonthlyCredits = 1_000_000_000
				})
				defer e.end()
				live := func(d time.Duration) {
					for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(min(test.every, time.Until(end))) {
						fake.Insert("", 1)
					}
				}
				live(2 * time.Hour) // the history has been read
				before := fake.Requests()
				live(time.Duration(hours) * time.Hour)
				spent, said := 720/int64(hours)*int64(fake.Requests()-before), test.said(pipeline.CostOf(e.pipe.Config, 600))
				if spent < said*95/100 || spent > said*105/100 {
					t.Errorf("a month costs %d calls, said were %d", spent, said)
				}
			})
		})
	}
}

func TestCheck_SaysHowLongTheBudgetLasts(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{History: 5, Credits: 20_000})
	fake.Consume(4_000)
	config := configure(t, url, "file: { path: "+t.TempDir()+"/events.jsonl }")
	code, out, errOut := finish(t, "check", "--config", config, "--json")
	if code != cli.ExitFine || !strings.Contains(out, `"budget": 1000000000`) || !strings.Contains(out, `"used": 4001`) {
		t.Errorf("check ends with %d:\n%s%s", code, out, errOut)
	}
	code, out, errOut = finish(t, "check", "--config", config)
	if code != cli.ExitFine || !strings.Contains(out,
		"Of the month's budget of 1,000,000,000 calls the account has used 4,003: it lasts for a month even if messages never cease.") {
		t.Errorf("check ends with %d:\n%s%s", code, out, errOut)
	}
}
