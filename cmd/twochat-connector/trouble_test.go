package main

import (
	"bytes"
	"errors"
	"net/http"
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
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// wantTrouble checks everything that is shown: readiness, status, page, log.
func (e *economy) wantTrouble(t *testing.T, parts ...string) pipeline.Report {
	t.Helper()
	r := e.pipe.Report(time.Now())
	if r.Ready || len(r.NotReady) == 0 || !r.Healthy {
		t.Fatalf("ready %t, healthy %t: %+v", r.Ready, r.Healthy, r.Streams)
	}
	var page, text bytes.Buffer
	if err := errors.Join(admin.WritePage(&page, r, ""), printReport(&text, r, false)); err != nil {
		t.Fatal(err)
	}
	clitest.WantText(t, "readyz", strings.Join(r.NotReady, "\n"), parts...)
	clitest.WantText(t, "status", unfolded(text.String()), parts...)
	clitest.WantText(t, "status", text.String(), "not as it should be")
	clitest.WantText(t, "the page", page.String(), parts...)
	return r
}

// What only a person can fix is shown everywhere at the first answer that says so, with a hint and the time of the
// next attempt.
func TestReport_APersonIsNeeded(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		words  []string
	}{
		"wrong key":  {http.StatusUnauthorized, []string{"wrong key", "twochat.api_key_file", "next attempt in"}},
		"no credits": {http.StatusPaymentRequired, []string{"no credits", "top up", "next attempt in"}},
		"no number":  {http.StatusNotFound, []string{"number disconnected", "connect the number", "next attempt in"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := twochattest.New(twochattest.Options{History: 10})
				e := newEconomy(t, fake, []string{twochattest.DefaultNumber}, func(c *config.Config) {
					c.Poll.MinInterval, c.Poll.MaxInterval, c.Poll.MonthlyCredits = time.Hour, time.Hour, 1_000_000_000
				})
				defer e.end()
				time.Sleep(30 * time.Minute)
				if r := e.pipe.Report(time.Now()); !r.Ready {
					t.Fatalf("at first: %q", r.NotReady)
				}
				fake.Next(twochattest.Status(c.status, twochattest.BodyError))
				before := len(e.wire.since(time.Time{}, asksList))
				for len(e.wire.since(time.Time{}, asksList)) == before {
					time.Sleep(time.Second)
				}
				time.Sleep(time.Second)
				r := e.wantTrouble(t, c.words...)
				if s := r.Streams[0]; s.Hint == "" || s.NextAttempt.IsZero() || s.Fault == "" {
					t.Errorf("%+v", s)
				}
				clitest.WantText(t, "the log", e.log.String(), "state=no_source", "hint=", "next_attempt=")
			})
		})
	}
}

// If a stream is refused, at the start or later, the process keeps running and the stream recovers.
func TestPipeline_ARefusedStreamStaysInTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := func(stream string) error {
			if stream == "1" {
				return &connector.Refusal{Thing: "stream 1", Cause: "its log went back from 10 to 0", Hint: "bring it back"}
			}
			return nil
		}
		numbers := []string{"+15550100100", "+15550100101"}
		fake := twochattest.New(twochattest.Options{Numbers: numbers, RequestsPerMinute: 600, History: 10})
		e := newEconomy(t, fake, numbers, func(c *config.Config) { c.Poll.MonthlyCredits = 1_000_000_000 })
		defer e.end()
		time.Sleep(10 * time.Minute)
		e.sink.Answers(refused, func(stream string) error {
			if stream == "1" {
				return errors.New("no answer")
			}
			return nil
		})
		uuid := fake.Insert(numbers[1], 1)[0]
		time.Sleep(24 * time.Hour)
		r := e.wantTrouble(t, "refused", "its log went back from 10 to 0", "bring it back", "next attempt in")
		if len(r.NotReady) != 1 || !strings.HasPrefix(r.NotReady[0],
			"stream 1: refused: stream 1: its log went back from 10 to 0; bring it back; next attempt in") || r.Streams[0].State != poller.StateLive {
			t.Errorf("not ready: %q; the other is %s", r.NotReady, r.Streams[0].State)
		}
		e.sink.Answers(nil, nil)
		time.Sleep(10 * time.Minute)
		if _, ok := e.sink.Delivered("1", uuid); !ok || !e.pipe.Report(time.Now()).Ready {
			t.Error("it does not heal")
		}
	})
}

// A hanging commit is not hidden behind the last successful poll, and does not count as a wedged process.
func TestReport_AHangingCommitIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := twochattest.New(twochattest.Options{History: 10})
		e := newEconomy(t, fake, []string{twochattest.DefaultNumber}, func(c *config.Config) {
			c.Poll.MinInterval, c.Poll.MaxInterval, c.Poll.MonthlyCredits = time.Hour, time.Hour, 1_000_000_000
		})
		defer e.end()
		time.Sleep(30 * time.Minute)
		hung := make(chan struct{})
		e.sink.Answers(nil, func(string) error {
			close(hung)
			time.Sleep(10 * time.Minute)
			return nil
		})
		fake.Insert("", 1)
		<-hung
		time.Sleep(3 * time.Second)
		if s := e.pipe.Report(time.Now()).Streams[0]; s.State != poller.StateCommitting {
			t.Errorf("after three seconds it is %s", s.State)
		}
		time.Sleep(time.Minute)
		e.wantTrouble(t, "committing")
		if got := e.pipe.Unfinished(time.Now()); !strings.Contains(got, "stream 0 has waited for a commit to the sink for 63 s") {
			t.Errorf("a stop says: %s", got)
		}
		e.sink.Answers(nil, nil)
		time.Sleep(10 * time.Minute)
	})
}
