package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

func TestAdmin_OfARunningInstance(t *testing.T) {
	noLeaks(t)
	fake, url := fakeAPI(t, twochattest.Options{Seed: 9, History: 120})
	events := filepath.Join(t.TempDir(), "events.jsonl")
	r := start(t, "run", "--config", configure(t, url, "file: { path: "+events+" }"))
	admin := r.admin()
	until(t, "the history", func() bool {
		status, _ := get(t, admin+"/readyz")
		return status == http.StatusOK && audit(t, fake, events).Clean()
	})
	var current report
	until(t, "the record", func() bool {
		_, body := get(t, admin+"/status")
		current = report{}
		if err := json.Unmarshal([]byte(body), &current); err != nil {
			t.Fatal(err)
		}
		return current.Streams[0].Certified == 120
	})
	if s := current.Streams[0]; s.Stream != "support" || s.State != connector.StateLive || !s.Owned || s.Sequence != 120 || s.Trouble != "" || !current.Ready || !current.Healthy {
		t.Errorf("status is %+v", current)
	}
	if a := current.Account; a == nil || a.CallsAllowed != 500_000 || current.RequestsPerMinute != 600_000 || !current.Sink.Checked || current.Sink.Kind != "file" {
		t.Errorf("status is %+v", current)
	}
	_, metrics := get(t, admin+"/metrics")
	wantText(t, "metrics", metrics, "twochat_connector_build_info{", "go_goroutines ", "process_start_time_seconds ", `twochat_connector_messages_total{result="delivered",stream="support"} 120`,
		`twochat_connector_log_sequence{stream="support"} 120`, `twochat_connector_stream_state{state="live",stream="support"} 1`)
	_, page := get(t, admin+"/")
	wantText(t, "the page", page, "<strong>support</strong>", "All streams are as they should be", "Each message stands in the file once", `http-equiv="refresh"`)
	if strings.Contains(page, "http://") || strings.Contains(page, "https://") {
		t.Error("the page needs something from elsewhere")
	}
	if status, body := get(t, admin+"/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz answers %d %q", status, body)
	}
	code, out, _ := finish(t, "status", "--admin", admin)
	wantCode(t, code, exitFine)
	wantText(t, "status", out, "all is well", "STREAM", "support  live")
	wantCode(t, r.end(), exitFine)
}

func TestAdminHandler_Routes(t *testing.T) {
	current := report{Version: "1", NotReady: []string{"stream a: <late>", "stream b: gone"}, Wedged: []string{"stream c: a call"}, Streams: []streamReport{{Status: connector.Status{Stream: "<b>", Horizon: true}, Trouble: "<late>"}}}
	handler := adminHandler(prometheus.NewRegistry(), func() report { return current })
	for _, c := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/readyz", 503, "stream a: <late>\nstream b: gone\n"},
		{"GET", "/healthz", 503, "stream c: a call\n"},
		{"HEAD", "/healthz", 503, ""},
		{"GET", "/status", 200, `"not_ready": [`},
		{"GET", "/metrics", 200, ""},
		{"GET", "/", 200, "&lt;late&gt;"},
		{"GET", "/", 200, "<strong>&lt;b&gt;</strong>"},
		{"GET", "/", 200, "--accept-history"},
		{"GET", "/other", 404, ""},
		{"GET", "/debug/pprof/", 404, ""},
		{"POST", "/status", 405, ""},
		{"DELETE", "/", 405, ""},
	} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(c.method, c.path, nil))
		if recorder.Code != c.status {
			t.Errorf("%s %s answers %d, want %d", c.method, c.path, recorder.Code, c.status)
		}
		wantText(t, c.path, recorder.Body.String(), c.want)
		if c.status == 200 && c.path != "/metrics" && recorder.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be stored", c.path)
		}
	}
}

func TestListenAdmin_URL(t *testing.T) {
	for listen, want := range map[string]string{"127.0.0.1:0": "http://127.0.0.1:", ":0": "http://127.0.0.1:", "0.0.0.0:0": "http://127.0.0.1:"} {
		a, err := listenAdmin(listen)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(a.URL(), want) || strings.HasSuffix(a.URL(), ":0") {
			t.Errorf("%s is reached at %s", listen, a.URL())
		}
		a.close()
	}
}

// status --wait asks again while nothing answers or something is not as it should be.
func TestStatus_Wait(t *testing.T) {
	noLeaks(t)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		switch asked.Add(1) {
		case 1:
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		case 2:
			_, _ = w.Write([]byte(`{"version":"1","healthy":true,"not_ready":["stream shop: acquiring"]}`))
		default:
			_, _ = w.Write([]byte(`{"version":"1","healthy":true,"ready":true}`))
		}
	}))
	t.Cleanup(server.Close)
	code, out, _ := finish(t, "status", "--admin", server.URL, "--wait", "30s")
	wantCode(t, code, exitFine)
	wantText(t, "status", out, "all is well")
	if asked.Load() != 3 {
		t.Errorf("asked %d times, want 3", asked.Load())
	}
	asked.Store(0)
	code, _, _ = finish(t, "status", "--admin", server.URL)
	wantCode(t, code, exitFailed)
	code, _, _ = finish(t, "status", "--admin", server.URL, "--wait", "-1s")
	wantCode(t, code, exitUsage)
}

// Every metric that alerts and dashboards name is one that there is.
func TestMetrics_OfMonitoringExist(t *testing.T) {
	known := metricNames(t)
	for _, pattern := range []string{"../../deploy/monitoring/*", "../../deploy/*.yaml", "../../deploy/helm/*/*/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				continue // a folder
			}
			for _, named := range regexp.MustCompile(`\btwochat_connector_[a-z_]+[a-z]`).FindAllString(string(content), -1) {
				if !slices.Contains(known, named) && !slices.Contains(known, regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(named, "")) {
					t.Errorf("%s names %s, which there is not", file, named)
				}
			}
		}
	}
}

func TestTrouble(t *testing.T) {
	now := time.Now()
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		status connector.Status
		want   string
	}{
		"live":             {connector.Status{State: connector.StateLive, Owned: true, LastSuccessfulPoll: before(time.Second), Interval: time.Second}, ""},
		"slow":             {connector.Status{State: connector.StateLive, Owned: true, LastSuccessfulPoll: before(170 * time.Second), Interval: time.Minute}, ""},
		"too slow":         {connector.Status{State: connector.StateLive, Owned: true, LastSuccessfulPoll: before(190 * time.Second), Interval: time.Minute}, "the last successful poll was 3 min ago (live)"},
		"standby":          {connector.Status{State: connector.StateStandby, Cause: "fenced"}, ""},
		"acquiring":        {connector.Status{State: connector.StateAcquiring, Cause: "down"}, "its place in the sink is not acquired (acquiring): down"},
		"catching up":      {connector.Status{State: connector.StateCatchingUp, Owned: true, BacklogPage: 50, LastRequest: before(time.Second)}, ""},
		"first started":    {connector.Status{State: connector.StateLive, Owned: true, Since: before(20 * time.Second), Interval: time.Second}, ""},
		"never walked":     {connector.Status{State: connector.StateLive, Owned: true, Since: before(40 * time.Second), Interval: time.Second}, "no successful poll yet (live)"},
		"stuck in backlog": {connector.Status{State: connector.StateCatchingUp, Owned: true, BacklogPage: 50, LastRequest: before(time.Minute)}, "no successful poll yet (catching up from page 50)"},
		"no source":        {connector.Status{State: connector.StateNoSource, Owned: true, Cause: "down"}, "no successful poll yet (no source): down"},
		"a fault in pass":  {connector.Status{State: connector.StateNoSource, Owned: true, Cause: "down", LastSuccessfulPoll: before(20 * time.Second)}, ""},
		"refused":          {connector.Status{State: connector.StateRefused, Cause: "name taken", Hint: "rename it"}, "refused: name taken; rename it"},
		"wrong key": {
			connector.Status{
				State: connector.StateNoSource, Owned: true, Cause: "key (HTTP 401): wrong", Fault: connector.FaultKey, Hint: "mend it",
				Since: before(time.Second), LastSuccessfulPoll: before(2 * time.Second), Interval: time.Minute,
			}, "the last successful poll was 2 s ago (wrong key): key (HTTP 401): wrong; mend it",
		},
		"a long wait": {
			connector.Status{
				State: connector.StateNoSource, Owned: true, Cause: "down", Fault: connector.FaultTransient, Since: before(time.Second),
				NextAttempt: now.Add(time.Hour), LastSuccessfulPoll: before(2 * time.Second), Interval: time.Minute,
			}, "the last successful poll was 2 s ago (no answer from 2Chat): down",
		},
		"a short wait": {
			connector.Status{
				State: connector.StateNoSource, Owned: true, Cause: "down", Fault: connector.FaultTransient, Since: before(time.Second),
				NextAttempt: now.Add(58 * time.Second), LastSuccessfulPoll: before(2 * time.Second), Interval: time.Minute,
			}, "",
		},
		"no sink": {
			connector.Status{State: connector.StateNoSink, Owned: true, Cause: "full", Since: before(31 * time.Second), LastSuccessfulPoll: before(32 * time.Second), Interval: time.Minute},
			"the last successful poll was 32 s ago (no sink): full",
		},
		"no sink in passing": {
			connector.Status{State: connector.StateNoSink, Owned: true, Cause: "full", Since: before(29 * time.Second), LastSuccessfulPoll: before(32 * time.Second), Interval: time.Minute}, "",
		},
		"a commit that hangs": {
			connector.Status{State: connector.StateCommitting, Owned: true, Since: before(time.Minute), LastSuccessfulPoll: before(time.Minute), Interval: time.Minute},
			"the last successful poll was 60 s ago (committing)",
		},
		"spent":   {connector.Status{State: connector.StateSpent, Owned: true, Cause: "used up"}, "the month's budget is spent: used up"},
		"stopped": {connector.Status{State: connector.StateStopped}, "stopped"},
	} {
		if got := trouble(c.status, now); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestSpan(t *testing.T) {
	now := time.Now()
	for d, want := range map[time.Duration]string{
		0: "less than 1 s", 90 * time.Second: "90 s", 2 * time.Minute: "2 min", 119 * time.Minute: "119 min", 2 * time.Hour: "2 h", 72 * time.Hour: "3 days",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
	if got := []string{ago(time.Time{}, now), ago(now.Add(-time.Hour), now), ago(now.Add(time.Hour), now)}; !slices.Equal(got, []string{"-", "60 min ago", "in 60 min"}) {
		t.Errorf("ago: %q", got)
	}
	for d, want := range map[time.Duration]string{
		1500 * time.Millisecond: "1.5s", 11333 * time.Millisecond: "11.3s", 90 * time.Second: "1m30s", time.Hour: "1h", 81233400 * time.Millisecond: "22h34m", 0: "0s",
	} {
		if got := intervalText(d); got != want {
			t.Errorf("intervalText(%v) = %q, want %q", d, got, want)
		}
	}
	if got := []string{groups(7), groups(1234), groups(1234567)}; !slices.Equal(got, []string{"7", "1,234", "1,234,567"}) {
		t.Errorf("groups: %q", got)
	}
}
