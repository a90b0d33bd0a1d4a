package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

// update is set to write what commands print into testdata.
var update = flag.Bool("update", false, "write what commands print into testdata")

// unfolded joins the lines of a text.
func unfolded(text string) string { return strings.Join(strings.Fields(text), " ") }

// nightly is a report of three streams in the middle of the night.
func nightly(change func(*pipeline.Report)) pipeline.Report {
	now := time.Date(2026, 1, 31, 3, 12, 7, 0, time.UTC)
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	r := pipeline.Report{
		Version: "1.2.3", Now: now, Started: before(75 * time.Hour), Ready: true, Healthy: true,
	}
	r.RequestsPerMinute, r.SweepEvery = 80, time.Hour
	r.Budget = quota.BudgetStatus{
		State: quota.BudgetLasts, Used: 1_234, Budget: 250_000,
		Text: "1234 calls of 250000 used; the rest lasts until the account's next month begins, on the 24th of February",
	}
	r.Sink.Kind, r.Sink.Address, r.Sink.Checked = "jetstream", "nats://nats.nats:4222, stream WHATSAPP", true
	r.Sink.State, r.Sink.LastCommit, r.Sink.Took = pipeline.SinkWell, before(12*time.Second), 3*time.Millisecond
	for i, name := range []string{"shop", "support", "595981048477"} {
		r.Streams = append(r.Streams, pipeline.StreamReport{Status: poller.Status{
			Stream: name, State: poller.StateLive, Owned: true, Since: before(time.Duration(i+1) * time.Hour),
			NewestMessage: before(time.Duration(i+1) * 12 * time.Second), LastSuccessfulPoll: before(time.Second),
			NextPoll: now.Add(3 * time.Second), Sequence: 104_234 >> (4 * i), LastCommit: before(12 * time.Second),
			Interval: 10 * time.Second,
		}})
	}
	r.MessagesPerHour = make([]uint32, poller.HoursKept)
	for i := range r.MessagesPerHour {
		r.MessagesPerHour[i] = uint32(i * (i - 2) * 7)
		r.MessagesPerHour[0], r.MessagesPerHour[1] = 0, 0
	}
	r.Changes = []poller.Change{{
		At: before(time.Hour), Stream: "shop", Times: 1, Was: poller.StateNoSource, State: poller.StateLive,
	}, {
		At: before(61 * time.Minute), Stream: "shop", Times: 3, Was: poller.StateLive, State: poller.StateNoSource,
		Fault: connector.FaultTransient, Cause: "transient: status 503",
	}}
	if change != nil {
		change(&r)
	}
	return r
}

// nightlyReports are situations that a person on call may find at night.
func nightlyReports() map[string]pipeline.Report {
	trouble := func(change func(s *pipeline.StreamReport)) func(*pipeline.Report) {
		return func(r *pipeline.Report) {
			s := &r.Streams[1]
			s.Since = r.Now.Add(-4 * time.Minute)
			change(s)
			if s.Trouble != "" {
				r.Ready, r.NotReady = false, []string{s.Trouble}
			}
		}
	}
	return map[string]pipeline.Report{
		"well": nightly(nil),
		"wrong_key": nightly(trouble(func(s *pipeline.StreamReport) {
			s.State, s.Fault, s.Cause = poller.StateNoSource, connector.FaultKey, "key: 2Chat answers 401"
			s.Hint = "put a key that may read this number into the file that twochat.api_key_file names"
			s.Trouble = "wrong key"
			s.NextAttempt = s.Since.Add(4*time.Minute + 24*time.Second)
			s.FailedCalls = map[connector.PageFault]uint64{connector.FaultKey: 12, connector.FaultTransient: 2}
		})),
		"sink_down": nightly(func(r *pipeline.Report) {
			for i := range r.Streams {
				s := &r.Streams[i]
				s.State, s.Since, s.Trouble = poller.StateNoSink, r.Now.Add(-2*time.Minute), "the sink takes nothing"
				s.Cause = "unclear, asking the sink again: publish: no responders"
				s.Hint = "see whether the sink runs and has room; `twochat-connector check` says what is wrong with it"
				s.NextAttempt = r.Now.Add(time.Duration(20+i) * time.Second)
				s.FailedCommits = map[string]uint64{"not_now": 4}
				r.NotReady = append(r.NotReady, s.Trouble)
			}
			r.Sink.State, r.Sink.Streams, r.Ready = pipeline.SinkDown, 3, false
			r.FailedCommits = map[string]uint64{"not_now": 12}
		}),
		"catching_up": nightly(trouble(func(s *pipeline.StreamReport) {
			s.State, s.BacklogPage = poller.StateCatchingUp, 150
			s.CatchUp = poller.CatchUp{
				Since: s.Since, Page: 170, Delivered: 3_000, Total: 20_000, Measured: s.Since, Before: 0,
			}
			s.Unconfirmed, s.UnconfirmedSince = 2_500, s.Since
		})),
		"explained": nightly(func(r *pipeline.Report) {
			r.Streams[0].Counters = connector.Counters{Late: 3, Rejected: 3, Held: 12_345, Empty: 1, Suppressed: 5}
			r.Streams[0].Quarantined = 2
			r.Streams[0].Horizon, r.Streams[0].Fenced, r.Streams[0].Unclear = true, 1, 2
			r.Streams[1].State, r.Streams[1].Cause = poller.StateSuspect, "nothing that was delivered is listed any more"
			r.Streams[1].Hint = "if its messages were cleared or the number is another one now, wait some minutes"
			r.Streams[1].NextAttempt = r.Now.Add(time.Minute)
			r.Budget.State, r.Budget.Text = quota.BudgetShort, "200000 calls of 250000 used, at this rate used up on the 4th of February"
		}),
		"notices": nightly(func(r *pipeline.Report) {
			r.Streams[1].Quarantined = 12
			r.Configuration.File = "/srv/chats.yaml"
			r.Configuration.Refused, r.Configuration.RefusedAt = "x.yaml:3: pol: unknown key", r.Now.Add(-time.Minute)
			r.Configuration.Hint = "`twochat-connector check --offline` shows what is wrong with the file"
		}),
		"thousand": nightly(func(r *pipeline.Report) {
			one := r.Streams[0]
			for i := range 997 {
				one.Stream = fmt.Sprintf("595981%06d", i)
				r.Streams = append(r.Streams, one)
			}
			for i := 500; i < 530; i++ {
				s := &r.Streams[i]
				s.State, s.Fault, s.Trouble = poller.StateNoSource, connector.FaultNumber, "number disconnected"
				s.Hint = "connect the number in 2Chat again, or remove it from twochat.streams"
				r.NotReady = append(r.NotReady, s.Trouble)
			}
			r.Ready = false
		}),
		"accounts": nightly(func(r *pipeline.Report) {
			north, south := r.AccountReport, r.AccountReport
			north.Name, south.Name = "north", "south"
			south.Budget.Stopped, south.Budget.Text = true, "used up: 250000 calls of 250000"
			r.AccountReport, r.Accounts = pipeline.AccountReport{}, []pipeline.AccountReport{north, south}
			r.Ready, r.NotReady = false, []string{"account south: the month's budget of calls is used up"}
		}),
		"wedged": nightly(func(r *pipeline.Report) {
			r.Healthy, r.Wedged = false, []string{"sink: a call has not come back for 31 min"}
		}),
	}
}

// What status prints in each situation is in testdata, and no line is longer than 80 columns. `go test
// ./cmd/twochat-connector -run TestStatus_Text -update` writes it again.
func TestStatus_Text(t *testing.T) {
	for name, r := range nightlyReports() {
		var out strings.Builder
		if err := printReport(&out, r, false); err != nil {
			t.Fatal(err)
		}
		wantFits(t, name, out.String())
		path := filepath.Join("testdata", "status_"+name+".txt")
		if *update {
			if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if out.String() != string(want) {
			t.Errorf("%s: it prints\n%s\nwant\n%s", name, out.String(), want)
		}
	}
}

// Lines fit a narrow and a wide terminal. On a narrow one the table shortens its names and states.
func TestStatus_Columns(t *testing.T) {
	for name, r := range nightlyReports() {
		for _, columns := range []int{60, 110} {
			var out strings.Builder
			if err := (statusText{to: &out, columns: columns, report: r, now: r.Now}).print(); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out.String()) {
				if width := text.Width(strings.TrimSuffix(line, "\n")); width > columns && !strings.Contains(line, "`") {
					t.Errorf("%s: a line of %d columns of %d: %s", name, width, columns, line)
				}
			}
		}
	}
}

// --all lists every stream, and problems come first in any case.
func TestStatus_WorstFirst(t *testing.T) {
	r := nightlyReports()["thousand"]
	var some, all strings.Builder
	if err := printReport(&some, r, false); err != nil {
		t.Fatal(err)
	}
	if err := printReport(&all, r, true); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(some.String(), "  number disconnected  "); n != rowsShown {
		t.Errorf("%d rows of what is wrong, want %d", n, rowsShown)
	}
	if n := strings.Count(all.String(), "\n595981"); n < 997 {
		t.Errorf("--all lists %d streams", n)
	}
}
