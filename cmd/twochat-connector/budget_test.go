package main

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// While one number catches up on 50,000 messages, the other numbers keep their interval, at the rate of the documented
// account.
func TestPipeline_CatchUpLeavesLiveStreamsTheirInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		numbers := []string{"+15550100100", "+15550100101", "+15550100102", "+15550100103", "+15550100104"}
		fake := twochattest.New(twochattest.Options{
			Numbers: numbers, RequestsPerMinute: 80, EnforceRate: true,
			Latency: 200 * time.Millisecond, History: 300,
		})
		const interval = 10 * time.Second
		e := newEconomy(t, fake, numbers, func(c *config.Config) {
			c.Poll.MinInterval, c.Poll.MaxInterval, c.Poll.MonthlyCredits = interval, interval, 1_000_000_000
			c.Poll.Sweep.Every = 0 // a sweep is a step of its stream, so live polls of that stream come after it
		})
		defer e.end()
		time.Sleep(5 * time.Minute)
		began := time.Now()
		fake.Insert(numbers[0], 50_000)
		sent := make(map[string]time.Time)
		streams := make(map[string]string)
		for e.sink.Count("0") < 50_300 || e.pipe.Statuses()[0].State != poller.StateLive {
			if time.Since(began) > time.Hour {
				t.Fatalf("after an hour %d messages of the backlog are delivered", e.sink.Count("0"))
			}
			time.Sleep(7 * time.Second)
			for _, number := range numbers[1:] {
				uuid := fake.Insert(number, 1)[0]
				sent[uuid], streams[uuid] = time.Now(), number[len(number)-1:]
			}
		}
		took := time.Since(began)
		time.Sleep(30 * time.Second)

		const slack = 5 * time.Second // jitter, one turn for each stream, the request itself
		worst := time.Duration(0)
		for uuid, at := range sent {
			arrived, ok := e.sink.Delivered(streams[uuid], uuid)
			if !ok {
				t.Errorf("a message of stream %s did not arrive", streams[uuid])
				continue
			}
			worst = max(worst, arrived.Sub(at))
		}
		if worst > interval+slack {
			t.Errorf("a live message took %v", worst)
		}
		for _, number := range numbers[1:] {
			last := began
			for _, c := range e.wire.since(began, func(c call) bool { return c.number == number }) {
				if gap := c.at.Sub(last); gap > interval+slack {
					t.Errorf("%v between two polls of a live stream, after %v", gap, c.at.Sub(began))
				}
				last = c.at
			}
		}
		for _, c := range e.wire.since(time.Time{}, func(c call) bool { return c.status != http.StatusOK }) {
			t.Errorf("%v after the burst an answer of %d: the limit was not kept", c.at.Sub(began), c.status)
		}
		calls := len(e.wire.since(began, func(call) bool { return true }))
		t.Logf("50,000 messages in %v of a clock that waits for nobody, %d calls, live messages within %v", took, calls,
			worst)
		// Two walks of 500 pages, while the four live streams leave 56 calls a minute.
		if took > 25*time.Minute {
			t.Errorf("the backlog took %v", took)
		}
	})
}

// If the credits are used up, a stream pauses for long. It recovers by itself when there are credits again.
func TestPipeline_OutOfCredits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := twochattest.New(twochattest.Options{History: 10, Credits: 100})
		e := newEconomy(t, fake, []string{twochattest.DefaultNumber}, func(c *config.Config) {
			c.Poll.MonthlyCredits = 1_000_000_000
		})
		defer e.end()
		time.Sleep(3 * time.Hour)
		status := e.pipe.Statuses()[0]
		if status.State != poller.StateNoSource || !strings.Contains(status.Cause, "credit") {
			t.Fatalf("without credits: %s, %q", status.State, status.Cause)
		}
		from := time.Now()
		uuid := fake.Insert("", 1)[0]
		time.Sleep(5 * time.Hour)
		asked := e.wire.since(from, asksList)
		if len(asked) < 6 || len(asked) > 15 {
			t.Errorf("%d polls in five hours without credits, expected one in half an hour, give or take a half", len(asked))
		}
		if n := len(e.wire.since(from, asksAccount)); n < 5 || n > 6 {
			t.Errorf("the account was asked %d times in five hours", n)
		}
		fake.SetCredits(1_000_000)
		time.Sleep(50 * time.Minute)
		if _, ok := e.sink.Delivered("0", uuid); !ok {
			t.Error("the message did not arrive though there are credits again")
		}
		if status := e.pipe.Statuses()[0]; status.State != poller.StateLive {
			t.Errorf("with credits: %s, %q", status.State, status.Cause)
		}
		if n := strings.Count(e.log.String(), "state=no_source"); n != 1 {
			t.Errorf("%d lines in the log for one change:\n%s", n, e.log.String())
		}
	})
}

// The account is read every hour, and calls of others count. A spent budget slows polling tenfold and is shown
// everywhere, until a new month starts.
func TestPipeline_KeepsTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := twochattest.New(twochattest.Options{History: 10, Credits: 500_000})
		began := time.Now()
		e := newEconomy(t, fake, []string{twochattest.DefaultNumber}, func(c *config.Config) {
			c.Poll.MinInterval, c.Poll.MaxInterval = time.Minute, time.Minute
		})
		defer e.end()
		polls := func(d time.Duration) int {
			from := time.Now()
			time.Sleep(d)
			return len(e.wire.since(from, asksList))
		}
		if n := polls(10 * time.Hour); n < 620 || n > 680 {
			t.Errorf("%d polls in ten hours, expected 600, the twentieth by which they come early, the sweeps, and three looks at the list's end", n)
		}
		if n := len(e.wire.since(began, asksAccount)); n != 11 {
			t.Errorf("the account was asked %d times in ten hours, expected 11", n)
		}
		// Half an hour after a reading, the connector's own calls since then are counted too.
		time.Sleep(30 * time.Minute)
		if s := e.pipe.Report(time.Now()).Budget; s.Used != int64(fake.Requests()) {
			t.Errorf("%d calls used, made %d", s.Used, fake.Requests())
		}
		fake.Consume(300_000)
		time.Sleep(time.Hour + 10*time.Minute)
		if n := polls(10 * time.Hour); n < 60 || n > 67 {
			t.Errorf("%d polls in ten hours on a spent budget, expected 63 and a sweep at most", n)
		}
		r := e.pipe.Report(time.Now())
		if r.Budget.State != quota.BudgetSpent || r.Streams[0].Interval != 10*time.Minute || r.SweepEvery != 24*time.Hour ||
			!r.Ready {
			t.Errorf("spent: %+v, every %v, sweeps %v, not ready: %q", r.Budget, r.Streams[0].Interval, r.SweepEvery, r.NotReady)
		}
		var page bytes.Buffer
		if err := admin.WritePage(&page, r, ""); err != nil || !strings.Contains(page.String(), "used up: 30") {
			t.Errorf("the page does not show it: %v", err)
		}
		page.Reset()
		if err := printReport(&page, r, false); err != nil ||
			!strings.Contains(unfolded(page.String()), "budget used up: 30") {
			t.Errorf("status does not show it: %v", err)
		}
		// If the account cannot be read, nothing changes.
		fake.NextInfo(slices.Repeat([]twochattest.Fault{twochattest.Status(500, twochattest.BodyError)}, 6)...)
		time.Sleep(4 * time.Hour)
		if s := e.pipe.Report(time.Now()).Budget; s.State != quota.BudgetSpent {
			t.Errorf("while the account cannot be read: %+v", s)
		}
		fake.Consume(-300_500)
		time.Sleep(3 * time.Hour)
		if n := polls(10 * time.Hour); n < 620 || n > 670 {
			t.Errorf("%d polls in ten hours of a new month, expected as many as at first", n)
		}
		if s := e.pipe.Report(time.Now()).Budget; !s.ResetLearned || s.State != quota.BudgetLasts {
			t.Errorf("in a new month: %+v", s)
		}
		for text, want := range map[string]int{
			"budget of calls is used up": 1, "lasts again": 1, "new month of the account began": 1,
			"limits and usage cannot be read": 1, "account's limits read": 2,
		} {
			if n := strings.Count(e.log.String(), text); n != want {
				t.Errorf("%q stands %d times in the log, expected %d", text, n, want)
			}
		}
	})
}

// One stream's 429 holds all streams back, and each says why.
func TestPipeline_RateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		numbers := []string{"+15550100100", "+15550100101", "+15550100102"}
		fake := twochattest.New(twochattest.Options{Numbers: numbers, RequestsPerMinute: 600, History: 10})
		e := newEconomy(t, fake, numbers, func(c *config.Config) { c.Poll.MonthlyCredits = 1_000_000_000 })
		defer e.end()
		time.Sleep(10 * time.Minute)
		fake.Next(twochattest.RateLimited(20 * time.Minute))
		time.Sleep(10 * time.Minute)
		limited := e.wire.since(time.Time{}, func(c call) bool { return c.status == http.StatusTooManyRequests })
		if len(limited) != 1 {
			t.Fatalf("%d answers of 429", len(limited))
		}
		if after := e.wire.since(limited[0].at, asksList); len(after) != 1 {
			t.Errorf("%d requests in the time that the server asked to wait", len(after)-1)
		}
		r := e.pipe.Report(time.Now())
		if len(r.NotReady) != len(numbers) {
			t.Fatalf("not ready: %q", r.NotReady)
		}
		for _, text := range r.NotReady {
			clitest.WantText(t, "not ready", text, "the last successful poll was",
				"; the rate limit allows no request for another 1")
		}
		time.Sleep(12 * time.Minute)
		if r := e.pipe.Report(time.Now()); !r.Ready {
			t.Errorf("afterwards: %q", r.NotReady)
		}
	})
}

// The first reading of the account counts against the requests a minute too.
func TestPipeline_FirstReadingTakesATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		numbers := []string{"+15550100100", "+15550100101", "+15550100102"}
		fake := twochattest.New(twochattest.Options{Numbers: numbers, RequestsPerMinute: 12, EnforceRate: true, History: 900})
		began := time.Now()
		e := newEconomy(t, fake, numbers, func(c *config.Config) {
			c.Start = config.Start{Mode: config.StartNow}
			c.Poll.MonthlyCredits = 1_000_000_000
		})
		defer e.end()
		time.Sleep(3 * time.Minute)
		calls := e.wire.since(began, func(call) bool { return true })
		if len(calls) < 9 {
			t.Fatalf("%d calls in three minutes", len(calls))
		}
		if gap := calls[1].at.Sub(calls[0].at); gap < 5*time.Second || gap > 7*time.Second {
			t.Errorf("the first page was asked for %v after the account, expected one turn", gap)
		}
		for _, c := range calls {
			if c.status != http.StatusOK {
				t.Errorf("after %v an answer of %d", c.at.Sub(began), c.status)
			}
		}
	})
}

// The day on which the account's month starts again is learned once. The next process reads it from the streams'
// checkpoints.
func TestPipeline_RemembersTheReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, sink := twochattest.New(twochattest.Options{History: 10, Credits: 500_000}), &clitest.MemorySink{}
		run := func(d time.Duration, do func()) quota.BudgetStatus {
			e := newEconomyOn(t, sink, fake, []string{twochattest.DefaultNumber}, func(*config.Config) {})
			defer e.end()
			do()
			time.Sleep(d)
			return e.pipe.Report(time.Now()).Budget
		}
		fake.Consume(10_000)
		if before := run(3*time.Hour, func() {}); before.ResetLearned {
			t.Errorf("before the first reset: %+v", before)
		}
		learned := run(4*time.Hour, func() {
			time.Sleep(90 * time.Minute)
			fake.Consume(-10_000)
			time.Sleep(3 * time.Hour)
			fake.Insert(twochattest.DefaultNumber, 1) // the next commit stores what was learned
		})
		if !learned.ResetLearned {
			t.Fatalf("after the reset: %+v", learned)
		}
		if after := run(10*time.Minute, func() {}); !after.ResetLearned || !after.Reset.Equal(learned.Reset) {
			t.Errorf("another process expects the reset on %v (learned: %t), want %v", after.Reset, after.ResetLearned,
				learned.Reset)
		}
	})
}

// A budget that is above the account's plan is said with the account, before what else there is to say.
func TestBudget_AboveThePlan(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 99, History: 5, Credits: 500_000})
	path := configure(t, url, "stdout: {}")
	for monthly, above := range map[string]bool{"1000000000": true, "500000": false} {
		replace(t, path, "monthly_credits: 1000000000", "monthly_credits: "+monthly)
		code, out, _ := finish(t, "check", "--config", path)
		wantCode(t, code, cli.ExitFine)
		at := strings.Index(out, "calls are above the account's plan of 500,000")
		stream := strings.Index(out, "stream support")
		if (at >= 0) != above || at > stream {
			t.Errorf("with %s calls a month: %s", monthly, out)
		}
		r := start(t, "run", "--config", path)
		until(t, "the account", func() bool { return r.logged("account's limits read", "calls_allowed") != "" })
		wantCode(t, r.end(), cli.ExitFine)
		if strings.Contains(r.err.String(), "above the account's plan") != above {
			t.Errorf("run with %s calls a month: %s", monthly, r.err.String())
		}
		replace(t, path, "monthly_credits: "+monthly, "monthly_credits: 1000000000")
	}
}
