package traces

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

var oneSpan = []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{Name: "poll"}}}}}}

// answering is a receiver that answers with these codes in turn, and then with 200.
func answering(t *testing.T, codes ...int) (s Settings, requests *[]*http.Request, bodies *[][]byte) {
	t.Helper()
	requests, bodies = new([]*http.Request), new([][]byte)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*requests, *bodies = append(*requests, r), append(*bodies, body)
		if n := len(*requests); n <= len(codes) {
			w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
			w.WriteHeader(codes[n-1])
			_, _ = w.Write([]byte("canary"))
		}
	}))
	t.Cleanup(server.Close)
	s = Settings{url: server.URL + tracesPath, timeout: 5 * time.Second, headers: map[string]string{"tenant": "7"}}
	return s, requests, bodies
}

func TestClient_Sends(t *testing.T) {
	for _, compress := range []bool{false, true} {
		s, requests, bodies := answering(t)
		s.compress = compress
		if err := newClient(s).UploadTraces(t.Context(), oneSpan); err != nil {
			t.Fatal(err)
		}
		r, body := (*requests)[0], (*bodies)[0]
		if compress {
			reader, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(reader); err != nil {
				t.Fatal(err)
			}
		}
		var got tracepb.TracesData
		if err := proto.Unmarshal(body, &got); err != nil || got.ResourceSpans[0].ScopeSpans[0].Spans[0].Name != "poll" {
			t.Errorf("sent %v, %v", &got, err)
		}
		if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" ||
			r.Header.Get("Content-Type") != "application/x-protobuf" ||
			r.Header.Get("Tenant") != "7" || (r.Header.Get("Content-Encoding") == "gzip") != compress {
			t.Errorf("asked %s %s %v", r.Method, r.URL, r.Header)
		}
	}
}

// Failures that may pass are tried again; all others are given up at once, a redirect too.
func TestClient_TriesAgain(t *testing.T) {
	for _, test := range []struct {
		codes    []int
		requests int
		err      string
	}{
		{[]int{503}, 2, ""},
		{[]int{429}, 2, ""},
		{[]int{400}, 1, "it answered 400 Bad Request"},
		{[]int{401}, 1, "it answered 401 Unauthorized"},
		{[]int{307}, 1, "it answered 307 Temporary Redirect"},
	} {
		s, requests, _ := answering(t, test.codes...)
		err := newClient(s).UploadTraces(t.Context(), oneSpan)
		said := ""
		if err != nil {
			said = err.Error()
		}
		if said != test.err || len(*requests) != test.requests {
			t.Errorf("%v: %d requests, %q", test.codes, len(*requests), said)
		}
	}
}

// A receiver that never answers costs no more than the time-out, and the error quotes no address.
func TestClient_GivesUp(t *testing.T) {
	c := newClient(Settings{url: "http://127.0.0.1:1/v1/traces?key=canary", timeout: 50 * time.Millisecond})
	err := c.UploadTraces(t.Context(), oneSpan)
	if err == nil || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("the error is %v", err)
	}
}

type failingExporter struct {
	sdktrace.SpanExporter
	err error
}

func (f *failingExporter) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return f.err }

// One line is logged when sending begins to fail, and one when it works again.
func TestExporter_LogsChanges(t *testing.T) {
	var logged bytes.Buffer
	inner := &failingExporter{}
	e := &exporter{SpanExporter: inner, logger: slog.New(slog.NewTextHandler(&logged, nil))}
	for _, err := range []error{nil, errors.New("down"), errors.New("down"), errors.New("other"), nil, nil} {
		inner.err = err
		if e.ExportSpans(t.Context(), nil) != nil {
			t.Error("the library is given an error, which it prints")
		}
	}
	if strings.Count(logged.String(), "\n") != 2 || !strings.Contains(logged.String(), "traces are sent again") {
		t.Errorf("logged:\n%s", logged.String())
	}
}
