package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// otlpReceiver takes traces over HTTP, as a collector does.
type otlpReceiver struct {
	mu       sync.Mutex
	bytes    []byte
	headers  http.Header
	spans    []*tracepb.Span
	resource string
}

// otlpServer starts a receiver and returns its URL.
func otlpServer(t *testing.T) (*otlpReceiver, string) {
	t.Helper()
	r := &otlpReceiver{}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return r, server.URL
}

func (o *otlpReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var batch tracepb.TracesData
	if err != nil || r.URL.Path != "/v1/traces" || proto.Unmarshal(body, &batch) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes, o.headers = append(o.bytes, body...), r.Header
	for _, of := range batch.ResourceSpans {
		o.resource = of.Resource.String()
		for _, scope := range of.ScopeSpans {
			o.spans = append(o.spans, scope.Spans...)
		}
	}
}

// sent returns everything that was received, byte by byte.
func (o *otlpReceiver) sent() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

// named returns the spans with a name.
func (o *otlpReceiver) named(name string) []*tracepb.Span {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []*tracepb.Span
	for _, span := range o.spans {
		if span.Name == name {
			list = append(list, span)
		}
	}
	return list
}

func number(span *tracepb.Span, key string) int64 {
	for _, a := range span.Attributes {
		if a.Key == key {
			return a.Value.GetIntValue()
		}
	}
	return -1
}

// With an endpoint, a poll, its pages and its commit are one trace, each event names the commit that wrote it, and the
// histograms have exemplars of these traces. Without an endpoint, events have no traceparent.
func TestTraces_OfARun(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 12, History: 250})
	otlp, endpoint := otlpServer(t)
	events := filepath.Join(t.TempDir(), "events.jsonl")
	path := configure(t, url, "file: { path: "+events+" }", "traces: { endpoint: '"+endpoint+"' }")
	code, out, _ := finish(t, "check", "--config", path)
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "check", out, "ok       traces: sent over OTLP/HTTP")
	r := startWith(t, []string{"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20otel-canary"}, "run", "--config", path)
	admin := r.admin()
	until(t, "the history", func() bool {
		status, _ := get(t, admin+"/readyz")
		return status == http.StatusOK && auditFile(t, fake, events).Clean()
	})
	metrics := scrape(t, admin, "application/openmetrics-text")
	wantCode(t, r.end(), cli.ExitFine) // flushes what is left

	polls, pages, commits := otlp.named("poll"), otlp.named("page"), otlp.named("commit")
	roots, parents := map[string]bool{}, map[string]bool{}
	for _, poll := range polls {
		roots[string(poll.SpanId)] = true
		if len(poll.ParentSpanId) > 0 {
			t.Error("a poll is below another span")
		}
	}
	for _, span := range append(pages, commits...) {
		if !roots[string(span.ParentSpanId)] {
			t.Errorf("the %s belongs to no poll", span.Name)
		}
	}
	if len(pages) < 3 || len(commits) == 0 || len(otlp.named("acquire")) != 1 {
		t.Errorf("%d polls, %d pages, %d commits", len(polls), len(pages), len(commits))
	}
	for _, commit := range commits {
		last := number(commit, "twochat_connector.sequence.last")
		for n := number(commit, "twochat_connector.sequence.first"); n > 0 && n <= last; n++ {
			parents[fmt.Sprintf("%d 00-%x-%x-01", n, commit.TraceId, commit.SpanId)] = true
		}
	}
	content, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var event struct {
			Sequence    string `json:"sequence"`
			Traceparent string `json:"traceparent"`
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			t.Fatal(err)
		}
		if !parents[strings.TrimLeft(event.Sequence, "0")+" "+event.Traceparent] {
			t.Fatalf("event %s has the traceparent %q, which is of no commit that wrote it", event.Sequence, event.Traceparent)
		}
	}
	for _, histogram := range []string{"walk", "commit"} {
		found := false
		for _, poll := range polls {
			found = found || strings.Contains(metrics, fmt.Sprintf("# {trace_id=\"%x\"}", poll.TraceId))
		}
		if !found || !strings.Contains(metrics, "twochat_connector_"+histogram+"_duration_seconds_bucket") {
			t.Errorf("the histogram of each %s has no exemplar of a poll", histogram)
		}
	}
	otlp.mu.Lock()
	defer otlp.mu.Unlock()
	if otlp.headers.Get("Authorization") != "Bearer otel-canary" || !strings.Contains(otlp.resource, "twochat-connector") {
		t.Errorf("sent with %v, of %s", otlp.headers, otlp.resource)
	}
	if strings.Contains(r.err.String(), "otel-canary") {
		t.Error("the log shows a header's value")
	}

	// Without traces the log goes on from where it was, and its next events have no traceparent.
	replace(t, path, endpoint, "")
	for range 3 {
		fake.Arrive("")
	}
	r = start(t, "run", "--config", path)
	admin = r.admin()
	until(t, "new messages", func() bool { return auditFile(t, fake, events).Clean() })
	if metrics := scrape(t, admin, "application/openmetrics-text"); strings.Contains(metrics, "# EOF") {
		t.Error("without traces there is OpenMetrics, which names buckets in another way")
	}
	wantCode(t, r.end(), cli.ExitFine)
	after, err := os.ReadFile(events)
	if err != nil || len(after) <= len(content) || string(after[:len(content)]) != string(content) ||
		strings.Contains(string(after[len(content):]), "traceparent") {
		t.Errorf("without traces it wrote %q, %v", after[min(len(content), len(after)):], err)
	}
}

// scrape requests the metrics in a format.
func scrape(t *testing.T, admin, format string) string {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", format)
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A missing receiver or wrong variables do not stop delivery. One line reports them.
func TestTraces_WithoutAReceiver(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 13, History: 50})
	for name, test := range map[string]struct {
		endpoint, line string
		env            []string
	}{
		"nobody there": {
			"http://" + clitest.ClosedPort(t), "traces cannot be sent",
			[]string{"OTEL_EXPORTER_OTLP_TIMEOUT=200"},
		},
		"wrong variable": {
			"http://" + clitest.ClosedPort(t), "no traces are sent",
			[]string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc-canary"},
		},
	} {
		events := filepath.Join(t.TempDir(), "events.jsonl")
		path := configure(t, url, "file: { path: "+events+" }", "traces: { endpoint: '"+test.endpoint+"' }")
		r := startWith(t, test.env, "run", "--config", path)
		r.admin()
		until(t, "the history", func() bool { return auditFile(t, fake, events).Clean() })
		began := time.Now()
		wantCode(t, r.end(), cli.ExitFine)
		if took := time.Since(began); took > flushTime+2*time.Second {
			t.Errorf("%s: it stops after %s", name, took)
		}
		if n := strings.Count(r.err.String(), test.line); n != 1 || strings.Contains(r.err.String(), "canary") {
			t.Errorf("%s: %q is logged %d times: %s", name, test.line, n, r.err.String())
		}
	}
}

func TestFlushWithin(t *testing.T) {
	for took, want := range map[time.Duration]time.Duration{
		0: flushTime, 10 * time.Second: flushTime, 24 * time.Second: 500 * time.Millisecond, time.Minute: 0,
	} {
		if got := flushWithin(took); got != want || took+got > 25*time.Second && got > 0 {
			t.Errorf("after %s the last traces may take %s, want %s", took, got, want)
		}
	}
}
