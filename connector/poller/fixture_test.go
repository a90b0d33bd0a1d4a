package poller

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// lines captures a log.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, strings.TrimSpace(string(line)))
	return len(line), nil
}

// states returns the changes of state that were logged since its last call, and their levels.
func (l *lines) states() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var states []string
	for _, line := range l.text {
		var level, state string
		if _, rest, ok := strings.Cut(line, `msg="stream state"`); ok {
			_, _ = fmt.Sscanf(line, "level=%s", &level)
			_, rest, _ = strings.Cut(rest, " state=")
			_, _ = fmt.Sscan(rest, &state)
			states = append(states, strings.ToLower(level)+":"+state)
		}
	}
	l.text = nil
	return strings.Join(states, " ")
}

// small are rules under which small lists behave like large ones.
var small = func() reader.Rules {
	r := reader.DefaultRules()
	r.Page, r.Run, r.SlicePages, r.SliceBytes, r.MinWindow, r.Capacity, r.Tail, r.Floor, r.Rejects = 4, 2, 4, 1<<20, 12,
		36, 4, 4, 8
	r.EmptyPolls, r.Repeats, r.SweepPages, r.SweepDepth = 3, 3, 20, 60*time.Hour
	return r
}()

// pollerFixture is a running poller, in a bubble of testing/synctest.
type pollerFixture struct {
	t        *testing.T
	list     *connectortest.List
	log      *connectortest.Log
	lines    *lines
	registry *prometheus.Registry
	limiter  *quota.Limiter
	poller   *Poller
	new      Status // before it ran
	began    time.Time
	cancel   context.CancelFunc
	done     chan error
}

const shortest, longest = 10 * time.Second, time.Minute

func newPollerFixture(t *testing.T, change func(*pollerFixture, *Config), rows ...connector.Message) *pollerFixture {
	t.Helper()
	s := &pollerFixture{
		t: t, list: &connectortest.List{PageSize: small.Page, Rows: rows}, log: &connectortest.Log{T: t}, lines: &lines{},
		registry: prometheus.NewRegistry(), limiter: quota.NewLimiter(0),
		began: time.Now(), done: make(chan error, 1),
	}
	withoutTime := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	config := Config{
		Pages: s.list, Log: s.log, Reading: reader.Reading{
			Stream: connector.Stream{Name: "a", SourceKey: "k"}, Rules: small,
			Events: connector.EventSettings{TypePrefix: "p"},
		},
		Start: connectortest.StartBeginning, MinInterval: shortest, MaxInterval: longest, Limiter: s.limiter,
		Metrics: NewMetrics(s.registry),
		Logger:  slog.New(slog.NewTextHandler(s.lines, withoutTime)),
	}
	if change != nil {
		change(s, &config)
	}
	s.poller = New(config)
	s.new = s.poller.Status()
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(t.Context())
	go func() { s.done <- s.poller.Run(ctx) }()
	t.Cleanup(s.cancel)
	return s
}

// fromNow makes a stream begin with what is listed as its floor: it rests after its first request.
func fromNow(_ *pollerFixture, c *Config) { c.Start = connectortest.StartNow }

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// stop ends the poller and returns how long that took.
func (s *pollerFixture) stop() time.Duration {
	s.t.Helper()
	began := time.Now()
	s.cancel()
	if err := <-s.done; err != nil {
		s.t.Errorf("run: %v", err)
	}
	if got := s.poller.Status().State; got != StateStopped {
		s.t.Errorf("stopped, its state is %s", got)
	}
	return time.Since(began)
}

func (s *pollerFixture) wantState(want StreamState) {
	s.t.Helper()
	if got := s.poller.Status(); got.State != want {
		s.t.Errorf("the state is %s (%s), want %s", got.State, got.Cause, want)
	}
}

func (s *pollerFixture) wantLog(want string) {
	s.t.Helper()
	if got := s.log.Text(); got != want {
		s.t.Errorf("the log has %s\nwant        %s", got, want)
	}
}

// fail makes every page fail until the test changes that.
func (s *pollerFixture) fail(fault *connector.PageError) {
	s.list.Change(func() {
		s.list.Before = func(int, int) error {
			if fault == nil {
				return nil
			}
			return fault
		}
	})
}

// add puts the messages low to high on top of the list.
func (s *pollerFixture) add(high, low int) {
	s.list.Change(func() { s.list.Add(connectortest.Newest(high, low)...) })
}

func (s *pollerFixture) answer(f func(context.Context, []connector.Event) (bool, error)) {
	s.log.Mu.Lock()
	defer s.log.Mu.Unlock()
	s.log.Answer = f
}

// gaps returns the times between requests.
func gaps(times []time.Time) []time.Duration {
	var gaps []time.Duration
	for i := 1; i < len(times); i++ {
		gaps = append(gaps, times[i].Sub(times[i-1]))
	}
	return gaps
}

// about reports whether a jittered wait is as expected.
func about(got, want time.Duration) bool { return got >= want-want/10 && got <= want+want/10 }
