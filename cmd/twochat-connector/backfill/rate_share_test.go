package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

func TestRestOf(t *testing.T) {
	for _, row := range []struct{ limit, live, want float64 }{
		{80, 1, 60},  // never more than three quarters
		{80, 20, 52}, // what is left, less a tenth
		{80, 72, 1},  // nothing is left
		{80, 200, 1}, // a limit that is wrong
		{10, 6, 3},   //
		{1200, 0, 900},
	} {
		if got := restOf(row.limit, row.live); got != row.want {
			t.Errorf("of %v a minute live polling uses %v: %v are left, want %v", row.limit, row.live, got, row.want)
		}
	}
}

// throttled answers with 429 until it is told to stop, and records when it was asked.
type throttled struct {
	when   []time.Time
	served bool
}

func (p *throttled) Page(context.Context, connector.Stream, int, connector.Fingerprint) (connector.Page, error) {
	p.when = append(p.when, time.Now())
	if p.served {
		return connector.Page{}, nil
	}
	return connector.Page{}, &connector.PageError{
		Fault: connector.FaultRateLimited, Status: 429,
		RetryAfter: 10 * time.Second, Err: errors.New("too many"),
	}
}

// After it has hit the limit, a backfill waits longer than live polling does, goes on at half the rate, and gets
// faster again in time.
func TestPaidPages_BackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &throttled{}
		pages := newPaidPages(api)
		pages.setRate(60)
		read := func() time.Duration {
			_, _ = pages.Page(t.Context(), connector.Stream{}, 0, "")
			if n := len(api.when); n > 1 {
				return api.when[n-1].Sub(api.when[n-2])
			}
			return 0
		}
		read()
		if gap := read(); gap < time.Minute {
			t.Errorf("%v after a 429, want a minute", gap)
		}
		api.served = true
		read()
		if gap := read(); gap != 4*time.Second {
			t.Errorf("%v between two requests after the limit was hit twice, want 4s instead of 1s", gap)
		}
		for range 2 {
			time.Sleep(forgiven)
			pages.setRate(60)
		}
		read()
		if gap := read(); gap != time.Second {
			t.Errorf("%v between two requests in the end, want 1s", gap)
		}
	})
}

// The running instance's report about its streams decides how much of the rate is left for the backfill.
func TestShare_Beneath(t *testing.T) {
	stream := func(name string, requests uint64, cause string) pipeline.StreamReport {
		s := poller.Status{
			Stream: name, State: poller.StateLive, Requests: requests, Interval: 30 * time.Second,
			Cause: cause,
		}
		if cause != "" {
			s.State = poller.StateNoSource
		}
		return pipeline.StreamReport{Status: s}
	}
	for name, row := range map[string]struct {
		streams     []pipeline.StreamReport
		answered    bool
		kept        connector.PageFault
		least, most float64
	}{
		"quiet":       {[]pipeline.StreamReport{stream("a", 5, ""), stream("b", 5, "")}, true, "", 4, 4},
		"catching up": {[]pipeline.StreamReport{stream("a", 5, ""), stream("b", 500, "")}, true, "", 100, 1e9},
		"throttled": {
			[]pipeline.StreamReport{stream("a", 5, "rate_limited (HTTP 429): too many"), stream("b", 5, "")},
			true, connector.FaultRateLimited, 4, 4,
		},
		"no credits": {
			[]pipeline.StreamReport{stream("a", 5, "credits (HTTP 402): spent"), stream("b", 5, "")},
			true,
			connector.FaultCredits, 4, 4,
		},
		"someone else": {[]pipeline.StreamReport{stream("c", 5, "")}, false, "", 7, 7},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(pipeline.Report{Streams: row.streams})
			}))
			defer server.Close()
			s := &rateShare{
				stream: "a", admin: &admin.Target{URL: server.URL}, blind: 7, before: map[string]uint64{"a": 5, "b": 5},
				asked: time.Now().Add(-5 * time.Second),
			}
			live, kept, answered := s.beneath(t.Context())
			if answered != row.answered || kept != row.kept || live < row.least || live > row.most {
				t.Errorf("answered %t, kept back by %q, %v a minute", answered, kept, live)
			}
		})
	}
	s := &rateShare{stream: "a", admin: &admin.Target{URL: "http://" + clitest.ClosedPort(t)}, blind: 7}
	if live, _, answered := s.beneath(t.Context()); answered || live != 7 {
		t.Errorf("nobody answers: %t, %v", answered, live)
	}
}

// If the account could not be read, it is read again soon, because until then its limit and the budget are not known.
func TestShare_ReadsTheAccountAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := twochattest.New(twochattest.Options{RequestsPerMinute: 80})
		fake.NextInfo(twochattest.Status(503, ""), twochattest.Status(503, ""))
		client, err := twochat.New(twochat.Config{
			BaseURL: "http://127.0.0.1:1", Key: func() (string, error) {
				return "key", nil
			}, Privacy: twochat.Privacy{Identifiers: twochat.Identifiers(config.Hashed)},
			Transport: fake.Transport(),
		})
		if err != nil {
			t.Fatal(err)
		}
		b, log := backfillOf(&troubled{pages: 1})
		b.config.Admin.Listen = "127.0.0.1:0"
		b.spare.pages.budget = pipeline.IdleBudget(b.config)
		s := newRateShare(b.config, b.spare.pages, client, b.live.Name, b.logger)
		s.start(t.Context())
		if s.limit() != quota.DefaultRequestsPerMinute {
			t.Errorf("limit %v before anything is known", s.limit())
		}
		stop := s.watchBeside(t.Context())
		time.Sleep(5 * time.Minute)
		stop()
		if status := b.spare.pages.budget.Status(time.Now()); s.limit() != 80 || status.State == quota.BudgetUnknown {
			t.Errorf("limit %v, budget %s after five minutes", s.limit(), status.State)
		}
		if lines := strings.Count(log.String(), "cannot be read"); lines != 1 {
			t.Errorf("%d lines of the log say that the account cannot be read, want 1", lines)
		}
	})
}
