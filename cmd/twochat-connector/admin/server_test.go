package admin

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

func TestAdminHandler_Routes(t *testing.T) {
	current := pipeline.Report{
		Version: "1", NotReady: []string{"stream a: <late>", "stream b: gone"},
		Wedged:  []string{"stream c: a call"},
		Streams: []pipeline.StreamReport{{Status: poller.Status{Stream: "<b>", Horizon: true}, Trouble: "<late>"}},
	}
	handler := Handler(prometheus.NewRegistry(), false, func() pipeline.Report { return current })
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
		{"GET", "/", 200, `<span class="name">&lt;b&gt;</span>`},
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
		clitest.WantText(t, c.path, recorder.Body.String(), c.want)
		if c.status == 200 && c.path != "/metrics" && recorder.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be stored", c.path)
		}
	}
}

func TestListenAdmin_URL(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:0": "http://127.0.0.1:", ":0": "http://127.0.0.1:",
		"0.0.0.0:0": "http://127.0.0.1:",
	} {
		a, err := Listen(listen)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(a.URL(), want) || strings.HasSuffix(a.URL(), ":0") {
			t.Errorf("%s is reached at %s", listen, a.URL())
		}
		a.Close()
	}
}
