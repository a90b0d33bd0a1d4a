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

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

func TestAdmin_OfARunningInstance(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 9, History: 120})
	events := filepath.Join(t.TempDir(), "events.jsonl")
	r := start(t, "run", "--config", configure(t, url, "file: { path: "+events+" }"))
	admin := r.admin()
	until(t, "the history", func() bool {
		status, _ := get(t, admin+"/readyz")
		return status == http.StatusOK && auditFile(t, fake, events).Clean()
	})
	var current pipeline.Report
	until(t, "the record", func() bool {
		_, body := get(t, admin+"/status")
		current = pipeline.Report{}
		if err := json.Unmarshal([]byte(body), &current); err != nil {
			t.Fatal(err)
		}
		return current.Streams[0].Certified == 120
	})
	if s := current.Streams[0]; s.Stream != "support" || s.State != poller.StateLive || !s.Owned || s.Sequence != 120 ||
		s.Trouble != "" || !current.Ready || !current.Healthy {
		t.Errorf("status is %+v", current)
	}
	if a := current.Account; a == nil || a.CallsAllowed != 500_000 || current.RequestsPerMinute != 600_000 ||
		!current.Sink.Checked || current.Sink.Kind != "file" {
		t.Errorf("status is %+v", current)
	}
	_, metrics := get(t, admin+"/metrics")
	clitest.WantText(t, "metrics", metrics, "twochat_connector_build_info{", "go_goroutines ",
		"process_start_time_seconds ", `twochat_connector_messages_total{result="delivered",stream="support"} 120`,
		`twochat_connector_log_sequence{stream="support"} 120`,
		`twochat_connector_stream_state{state="live",stream="support"} 1`)
	_, page := get(t, admin+"/")
	clitest.WantText(t, "the page", page, `<span class="name">support</span>`, "All is well",
		"Each message is in the file exactly once", `http-equiv="refresh"`)
	if regexp.MustCompile(`(?i)(src|<link[^>]*href|url\()\s*=?\s*["']?https?:`).MatchString(page) {
		t.Error("the page needs something from elsewhere")
	}
	if status, body := get(t, admin+"/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz answers %d %q", status, body)
	}
	code, out, _ := finish(t, "status", "--admin", admin)
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "status", out, "all is well", "STREAM", "support  live")
	wantCode(t, r.end(), cli.ExitFine)
}

// status --wait asks again while nothing answers or something is wrong.
func TestStatus_Wait(t *testing.T) {
	t.Parallel()
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
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "status", out, "all is well")
	if asked.Load() != 3 {
		t.Errorf("asked %d times, want 3", asked.Load())
	}
	asked.Store(0)
	code, _, _ = finish(t, "status", "--admin", server.URL)
	wantCode(t, code, cli.ExitFailed)
	code, _, _ = finish(t, "status", "--admin", server.URL, "--wait", "-1s")
	wantCode(t, code, cli.ExitUsage)
}

// A configuration file that is wrong does not keep status from the instance that runs with the one before.
func TestStatus_WrongFile(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a token is sent although the settings of the admin server are wrong")
		}
		_, _ = w.Write([]byte(`{"version":"1","healthy":true,"ready":true}`))
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "config.yaml")
	write := func(content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listen := strings.TrimPrefix(server.URL, "http://")
	write("twochat: { strems: [] }\nadmin: { listen: '" + listen + "' }\n")
	code, out, errOut := finish(t, "status", "--config", path)
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "status", out, "all is well")
	clitest.WantText(t, "stderr", errOut, path+":1: twochat.strems", "runs with the one before", server.URL)
	write("admin: { listen: '" + listen + "', token_file: /nowhere/token, tls: { cert: x } }\n")
	code, out, _ = finish(t, "status", "--config", path, "--json")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "status", out, `{"version":"1"`)

	write("twochat: { strems: [] }\nadmin: { listen: '" + clitest.ClosedPort(t) + "' }\n")
	code, _, errOut = finish(t, "status", "--config", path)
	wantCode(t, code, cli.ExitUsage)
	clitest.WantText(t, "stderr", errOut, path+":1: twochat.strems", "connection refused",
		"`twochat-connector status --admin http://ADDRESS`")
	code, _, errOut = finish(t, "status", "--config", path+"x")
	wantCode(t, code, cli.ExitUsage)
	clitest.WantText(t, "stderr", errOut, "no such file", "`twochat-connector status --admin http://ADDRESS`")
}

// Every metric that alerts and dashboards name exists.
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
				if !slices.Contains(known, named) &&
					!slices.Contains(known, regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(named, "")) {
					t.Errorf("%s names %s, which there is not", file, named)
				}
			}
		}
	}
}
