package poller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// openMetrics is the part of a scrape with exemplars that shows a metric.
func openMetrics(t *testing.T, registry *prometheus.Registry, name string) string {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, "/?name[]="+name, nil)
	request.Header.Set("Accept", "application/openmetrics-text")
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(answer, request)
	var text strings.Builder
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, name) {
			text.WriteString(line)
		}
	}
	if text.Len() == 0 {
		t.Fatalf("there is no %s", name)
	}
	return text.String()
}

// The newest trace of each bucket is its exemplar, also above all bounds; untraced durations have none.
func TestMetrics_Exemplars(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := NewMetrics(registry).of("a")
	s.step(reader.Outcome{}, time.Second, "")
	before, _, _ := s.now()
	if text := openMetrics(t, registry, "twochat_connector_walk_duration_seconds"); strings.Contains(text, "trace_id") {
		t.Errorf("without a trace there is an exemplar:\n%s", text)
	}
	s.step(reader.Outcome{}, 900*time.Millisecond, "first")
	s.step(reader.Outcome{}, 800*time.Millisecond, "second")
	s.step(reader.Outcome{}, time.Hour, "long")
	s.step(reader.Outcome{}, 700*time.Millisecond, "")
	text := openMetrics(t, registry, "twochat_connector_walk_duration_seconds")
	for _, want := range []string{
		`le="1.0"} 4 # {trace_id="second"} 0.8`, `le="+Inf"} 5 # {trace_id="long"} 3600`, "_count{stream=\"a\"} 5\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing:\n%s", want, text)
		}
	}
	if strings.Count(text, "trace_id") != 2 {
		t.Errorf("there are other exemplars than two:\n%s", text)
	}
	if before.walked.exemplars != nil {
		t.Error("what a scrape holds changed under it")
	}
	held := s.counts.walked.exemplars
	s.step(reader.Outcome{}, 600*time.Millisecond, "third")
	if held[5].trace != "second" {
		t.Errorf("what a scrape holds changed under it: %v", held[5])
	}
}

type tracedStep struct{}

// recordingTracer numbers the steps.
type recordingTracer struct {
	mu    sync.Mutex
	steps int
	ended []string
}

func (r *recordingTracer) Step(ctx context.Context, stream string, sweep bool) (context.Context, string,
	func(reader.Outcome, error),
) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps++
	number := r.steps
	return context.WithValue(ctx, tracedStep{}, number), fmt.Sprint("trace", number), func(out reader.Outcome, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ended = append(r.ended, fmt.Sprintf("%d %s sweep:%t delivered:%d failed:%t", number, stream, sweep, out.Delivered,
			err != nil))
	}
}

// contextPages records the step to which a request belongs.
type contextPages struct {
	connector.Pages
	steps *[]any
}

func (p contextPages) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (
	connector.Page, error,
) {
	*p.steps = append(*p.steps, ctx.Value(tracedStep{}))
	return p.Pages.Page(ctx, s, number, held)
}

// A tracer gets each step once, its context reaches requests and commits, and its trace is the exemplar.
func TestPoller_Tracer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracer := &recordingTracer{}
		var pages, commits []any
		s := newPollerFixture(t, func(s *pollerFixture, c *Config) {
			c.Tracer = tracer
			c.Pages = contextPages{s.list, &pages}
			s.log.Answer = func(ctx context.Context, _ []connector.Event) (bool, error) {
				commits = append(commits, ctx.Value(tracedStep{}))
				if len(commits) == 1 {
					return false, connector.ErrNotNow
				}
				return true, nil
			}
		}, connectortest.Newest(2, 1)...)
		pass(2 * shortest)
		s.stop()
		tracer.mu.Lock()
		defer tracer.mu.Unlock()
		if len(tracer.ended) != tracer.steps || tracer.steps < 2 {
			t.Errorf("%d steps began, these ended: %v", tracer.steps, tracer.ended)
		}
		all := strings.Join(tracer.ended, "\n")
		if !strings.Contains(all, " a sweep:false delivered:2 failed:false") {
			t.Errorf("the steps were:\n%s", all)
		}
		for _, of := range append(pages, commits...) {
			if of == nil {
				t.Errorf("the requests belong to the steps %v, the commits to %v", pages, commits)
			}
		}
		if text := openMetrics(t, s.registry, "twochat_connector_commit_duration_seconds"); !strings.Contains(text,
			`{trace_id="trace`) {
			t.Errorf("the commits have no exemplar:\n%s", text)
		}
	})
}

// A step that fails ends its trace with the error.
func TestPoller_TracerOfAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tracer := &recordingTracer{}
		s := newPollerFixture(t, func(s *pollerFixture, c *Config) {
			c.Tracer = tracer
			s.log.Answer = func(context.Context, []connector.Event) (bool, error) { return false, errors.New("unclear") }
		}, connectortest.Newest(2, 1)...)
		pass(shortest)
		s.stop()
		tracer.mu.Lock()
		defer tracer.mu.Unlock()
		if len(tracer.ended) != tracer.steps || !strings.Contains(strings.Join(tracer.ended, " "), "failed:true") {
			t.Errorf("%d steps began, these ended: %v", tracer.steps, tracer.ended)
		}
	})
}
