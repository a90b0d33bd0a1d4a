package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/backfill"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// historyConfig is a configuration that starts from now, with a server for JetStream.
func historyConfig(t *testing.T, api string) (path, server string) {
	t.Helper()
	server = embeddedServer(t)
	path = configure(t, api, "jetstream: { url: '"+server+"' }")
	replace(t, path, "start: beginning", "start: now")
	return path, server
}

// stored is one event in the sink.
type stored struct {
	ID       string `json:"id"`
	Source   string `json:"source"`
	Subject  string `json:"subject"`
	Sequence string `json:"sequence"`
	Late     bool   `json:"late"`
	raw      []byte
}

var errEnough = errors.New("enough")

// readStream reads all events of a stream from the server.
func readStream(t *testing.T, server, stream string, want int) []stored {
	t.Helper()
	c := *sinks.Defaults().JetStream
	c.URL = server
	sink, err := sinks.Open(sinks.Config{JetStream: &c}, connector.Encoding{
		Mode:       connector.ModeStructured,
		TypePrefix: "co.2chat.whatsapp",
	}, cli.QuietLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	quiet := time.AfterFunc(10*time.Second, cancel)
	defer quiet.Stop()
	var all []stored
	if want == 0 {
		return nil
	}
	err = sink.Follow(ctx, connector.FollowOptions{Stream: stream, Last: 1 << 20}, func(event []byte) error {
		quiet.Reset(10 * time.Second)
		s := stored{raw: append([]byte(nil), event...)}
		if err := json.Unmarshal(event, &s); err != nil {
			return err
		}
		if all = append(all, s); len(all) >= want {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return all
}

// liveStream runs the connector until its stream is live.
func liveStream(t *testing.T, path string) *running {
	t.Helper()
	r := start(t, "run", "--config", path)
	admin := r.admin()
	until(t, "the stream is live", func() bool {
		_, body := get(t, admin+"/status")
		return strings.Contains(body, `"state": "live"`) || strings.Contains(body, `"state":"live"`)
	})
	return r
}

func result(t *testing.T, out string) backfill.Summary {
	t.Helper()
	var s backfill.Summary
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return s
}

// Each message is delivered once, in the live stream or in its history, although the list moves while both are read.
func TestBackfill_BesideALiveRun(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{Seed: 3, History: 3000, Drift: twochattest.Drift{
		Inserts: .2, Bursts: .004,
		BurstMax: 250,
	}})
	path, server := historyConfig(t, api)
	live := liveStream(t, path)

	code, out, errOut := finish(t, "backfill", "--config", path, "--stream", "support", "--all", "--json")
	wantCode(t, code, 0)
	s := result(t, out)
	if !s.Done || s.Delivered != s.Messages || s.Messages < 2900 || s.Calls < 30 || s.Calls > 300 {
		t.Errorf("%+v", s)
	}
	t.Logf("%+v", s)
	clitest.WantText(t, "log", errOut, `"backfill begins"`, "support-history")

	// A second backfill finds nothing more.
	code, out, _ = finish(t, "backfill", "--config", path, "--all", "--json")
	wantCode(t, code, 0)
	if again := result(t, out); !again.Done || again.Delivered != 0 || again.Messages != s.Messages ||
		again.Calls > 20+s.Calls/2 {
		t.Errorf("again: %+v", again)
	}

	fake.Quiet()
	admin := live.admin()
	truth := fake.Truth("")
	want := len(truth) - int(s.Messages)
	until(t, "the live stream has the rest", func() bool {
		_, body := get(t, admin+"/status")
		var report struct {
			Streams []struct{ Sequence uint64 }
		}
		return json.Unmarshal([]byte(body), &report) == nil && len(report.Streams) == 1 &&
			int(report.Streams[0].Sequence) >= want
	})
	wantCode(t, live.end(), 0)
	truth = fake.Truth("") // what was served last is recorded by now
	var check twochattest.Audit
	history, newer := readStream(t, server, "support-history", int(s.Messages)), readStream(t, server, "support", want)
	sequence, tokens := uint64(0), map[string]string{}
	for _, e := range append(history, newer...) {
		var event struct {
			ID, Subject string
			Late        bool
			Data        json.RawMessage
		}
		if err := json.Unmarshal(e.raw, &event); err != nil {
			t.Fatal(err)
		}
		sequence++
		check.See(twochattest.Event{
			ID: event.ID, Sequence: sequence, Late: event.Late, Data: event.Data,
			Chat: event.Subject,
		})
	}
	for _, m := range truth {
		tokens[m.UUID] = m.Chat
	}
	// A chat has one token, in whichever stream its messages are.
	chats := map[string]string{}
	for _, e := range append(history, newer...) {
		if before, ok := chats[tokens[e.ID]]; ok && before != e.Subject && tokens[e.ID] != "" {
			t.Fatalf("a chat has two tokens")
		}
		chats[tokens[e.ID]] = e.Subject
	}
	if report := check.Report(truth); !report.Clean() {
		t.Errorf("%s", report)
	}
	if history[0].Source != "//2chat.co/whatsapp/support-history" {
		t.Errorf("source %s", history[0].Source)
	}
}

// A history that is stopped again and again is complete in the end.
func TestBackfill_GoesOnAfterAStop(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{Seed: 4, History: 20_000})
	path, server := historyConfig(t, api)
	live := liveStream(t, path)
	wantCode(t, live.end(), 0)
	fake.SetLatency(4 * time.Millisecond)
	stops := 0
	for {
		r := start(t, "backfill", "--config", path, "--all", "--json")
		if stops < 3 {
			calls := fake.Requests()
			until(t, "it works", func() bool { return fake.Requests() > calls+150 || isEnded(r) })
		} else {
			<-r.ended
		}
		wantCode(t, r.end(), 0)
		s := result(t, r.out.String())
		if stops++; s.Done {
			t.Logf("%d runs, the last: %+v", stops, s)
			break
		}
		if stops > 5 {
			t.Fatalf("not done: %+v", s)
		}
	}
	if stops < 2 {
		t.Error("it was never stopped")
	}
	var check twochattest.Audit
	for _, e := range readStream(t, server, "support-history", 20_000) {
		if err := check.SeeCloudEvent(e.raw); err != nil {
			t.Fatal(err)
		}
	}
	if report := check.Report(fake.Truth("")); !report.Clean() {
		t.Errorf("%s", report)
	}
}

// If a message comes in late where the walk over the history has already passed, the sweep at the end finds it.
func TestBackfill_LateAmongTheHistory(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{Seed: 6, History: 9000, HistoryStep: 20 * time.Second})
	path, server := historyConfig(t, api)
	wantCode(t, liveStream(t, path).end(), 0)
	fake.SetLatency(5 * time.Millisecond)
	r := start(t, "backfill", "--config", path, "--all", "--json")
	until(t, "its oldest part is delivered", func() bool { return len(readStream(t, server, "support-history", 1)) > 0 })
	late := []string{fake.Late("", 8550), fake.Late("", 8050)}
	wantCode(t, r.wait(), 0)
	if s := result(t, r.out.String()); !s.Done || s.Messages != 9002 {
		t.Errorf("%+v", s)
	}
	for _, e := range readStream(t, server, "support-history", 9002) {
		if i := slices.Index(late, e.ID); i >= 0 && e.Late {
			late = slices.Delete(late, i, i+1)
		}
	}
	if len(late) > 0 {
		t.Errorf("%d of 2 late messages are not in the history, or are not marked late", len(late))
	}
}

func isEnded(r *running) bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

func TestBackfill_Since(t *testing.T) {
	t.Parallel()
	_, api := fakeAPI(t, twochattest.Options{Seed: 5, History: 2000, HistoryStep: time.Minute})
	path, _ := historyConfig(t, api)
	liveStream(t, path).end()

	code, out, _ := finish(t, "backfill", "--config", path, "--since", "10h", "--dry-run", "--json")
	wantCode(t, code, 0)
	dry := result(t, out)
	if !dry.DryRun || dry.Done || dry.About == nil || dry.About.Messages < 550 || dry.About.Messages > 800 {
		t.Errorf("dry: %+v %+v", dry, dry.About)
	}
	code, out, errOut := finish(t, "backfill", "--config", path, "--since", "10h")
	wantCode(t, code, 0)
	clitest.WantText(t, "result", out, "All of the history is in the sink", "support-history", "credits")
	clitest.WantText(t, "log", errOut, "2Chat's answers have a different shape than is known", "wa_serial is new: number")

	code, _, errOut = finish(t, "backfill", "--config", path, "--all")
	wantCode(t, code, 1)
	clitest.WantText(t, "error", errOut, "begun with --since", "continue with --since")
	code, out, _ = finish(t, "backfill", "--config", path, "--since", "10h", "--json")
	wantCode(t, code, 0)
	if s := result(t, out); !s.Done || s.Delivered != 0 || s.Messages < 550 || s.Messages > 640 {
		t.Errorf("again: %+v", s)
	}
}

func TestBackfill_SaysWhatIsMissing(t *testing.T) {
	fake, api := fakeAPI(t, twochattest.Options{History: 300})
	path, _ := historyConfig(t, api)
	for _, row := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"--all", "--since", "1h"}, 2, "either --all or --since, not both"},
		{nil, 2, "expected --all, or --since"},
		{[]string{"--since", "now"}, 2, "flag --since"},
		{[]string{"--all", "--stream", "other"}, 2, "expected the name of a configured stream: support"},
		{[]string{"--all", "--sink", "-"}, 2, "keeps no events"},
	} {
		code, _, errOut := finish(t, append([]string{"backfill", "--config", path}, row.args...)...)
		wantCode(t, code, row.code)
		clitest.WantText(t, "error", errOut, row.text)
	}
	// A server without the connector's stream, then a stream that never ran.
	code, _, errOut := finish(t, "backfill", "--config", path, "--all")
	wantCode(t, code, 1)
	clitest.WantText(t, "error", errOut, "support")
	live := liveStream(t, path)
	live.end()
	for range 300 {
		fake.Delete("", 0)
	}
	fake.Insert("", 250)
	code, _, errOut = finish(t, "backfill", "--config", path, "--all")
	wantCode(t, code, 1)
	clitest.WantText(t, "error", errOut, "it is not known where the history begins", "start: beginning")
}

// A file belongs to the one process that writes it, so the history has a file of its own. A second backfill cannot
// write it at the same time.
func TestBackfill_FileBeside(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{History: 2000})
	folder := t.TempDir()
	path := configure(t, api, "file: { path: "+filepath.Join(folder, "events.jsonl")+" }")
	replace(t, path, "start: beginning", "start: now")
	liveStream(t, path)
	fake.SetLatency(150 * time.Millisecond)
	first := start(t, "backfill", "--config", path, "--all", "--json")
	own := filepath.Join(folder, "events.support-history.jsonl")
	until(t, "the history's file is made", func() bool {
		_, err := os.Stat(own)
		return err == nil
	})
	code, _, errOut := finish(t, "backfill", "--config", path, "--all")
	wantCode(t, code, 1)
	clitest.WantText(t, "error", errOut, "events.support-history.jsonl", "another process is writing here")
	fake.SetLatency(0)
	wantCode(t, first.wait(), 0)
	if s := result(t, first.out.String()); !s.Done || s.Messages != 2000 || s.File != own {
		t.Errorf("%+v", s)
	}
	if report := auditFile(t, fake, own); !report.Clean() || report.Events != 2000 {
		t.Errorf("%s", report)
	}
}

// The estimate's bounds hold: a list that stands still costs at least the fewest calls, one that always moves at most
// the most.
func TestBackfill_EstimateHolds(t *testing.T) {
	t.Parallel()
	for name, drift := range map[string]twochattest.Drift{
		"still":  {},
		"moving": {Inserts: 1, Bursts: .05, BurstMax: 120, BurstPages: 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, api := fakeAPI(t, twochattest.Options{Seed: 8, History: 4000, Drift: drift})
			path, _ := historyConfig(t, api)
			wantCode(t, liveStream(t, path).end(), 0)
			code, out, _ := finish(t, "backfill", "--config", path, "--all", "--dry-run", "--json")
			wantCode(t, code, 0)
			about := result(t, out).About
			code, out, _ = finish(t, "backfill", "--config", path, "--all", "--json")
			wantCode(t, code, 0)
			s := result(t, out)
			t.Logf("%d calls, estimated %d to %d", s.Calls, about.Calls, about.CallsMost)
			if s.Calls < about.Calls || s.Calls > about.CallsMost {
				t.Errorf("%d calls, estimated %d to %d", s.Calls, about.Calls, about.CallsMost)
			}
		})
	}
}

// The reserve of the month's budget belongs to the live stream.
func TestBackfill_LeavesTheReserve(t *testing.T) {
	t.Parallel()
	fake, api := fakeAPI(t, twochattest.Options{History: 3000})
	path, _ := historyConfig(t, api)
	wantCode(t, liveStream(t, path).end(), 0)
	budget := fake.Requests() + 40
	replace(t, path, "monthly_credits: 1000000000", fmt.Sprint("monthly_credits: ", budget))
	code, _, errOut := finish(t, "backfill", "--config", path, "--all")
	wantCode(t, code, 1)
	clitest.WantText(t, "error", errOut, "calls only the reserve of 2", "raise poll.monthly_credits",
		"may not be enough for all of the history")
	if left := budget - fake.Requests(); left < 2 || left > 4 {
		t.Errorf("%d calls are left of the budget, want the reserve of 2", left)
	}
	replace(t, path, fmt.Sprint("monthly_credits: ", budget), "monthly_credits: 1000000000")
	code, out, _ := finish(t, "backfill", "--config", path, "--all", "--json")
	wantCode(t, code, 0)
	if s := result(t, out); !s.Done || s.Messages != 3000 {
		t.Errorf("%+v", s)
	}
}

func TestBackfill_NothingLeftOut(t *testing.T) {
	_, api := fakeAPI(t, twochattest.Options{History: 150})
	path, _ := historyConfig(t, api)
	replace(t, path, "start: now", "start: beginning")
	liveStream(t, path).end()
	code, out, _ := finish(t, "backfill", "--config", path, "--all")
	wantCode(t, code, 0)
	clitest.WantText(t, "result", out, "no history to deliver")
}
