package pipeline

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// stuckSink is a sink whose calls do what the test decides.
type stuckSink struct {
	sinks.Sink
	acquire func(context.Context) (connector.State, error)
	check   func(context.Context) ([]connector.Finding, error)
	closed  int
}

func (s *stuckSink) Log(connector.Claim) connector.Log { return &stuckLog{sink: s} }
func (*stuckSink) Promise() connector.Promise          { return connector.Promise{} }
func (*stuckSink) Create(context.Context) error        { return nil }
func (s *stuckSink) Check(ctx context.Context, _ []connector.Claim) ([]connector.Finding, error) {
	if s.check == nil {
		return nil, nil
	}
	return s.check(ctx)
}

type stuckLog struct {
	connector.Log
	sink *stuckSink
}

func (l *stuckLog) Acquire(ctx context.Context) (connector.State, error) { return l.sink.acquire(ctx) }

func (l *stuckLog) Close() error { l.sink.closed++; return nil }

// pipelineOf makes a pipeline of two streams, without an API.
func pipelineOf(t *testing.T, sink sinks.Sink) *Pipeline {
	t.Helper()
	c := config.Default()
	c.Poll.RequestsPerMinute = 60
	c.TwoChat.Streams = []config.StreamConfig{{Number: "+15550100100", Name: "a"}, {Number: "+15550100200", Name: "b"}}
	c.Sink.File = sinks.Defaults().File
	client, err := twochat.New(twochat.Config{BaseURL: "http://127.0.0.1:1", Key: func() (string, error) {
		return "", errors.New("no key")
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return New(Parts{
		Config: &c, Sink: sink, Sources: []Source{{Config: &c, Client: client}}, Registry: prometheus.NewRegistry(),
		Logger: cli.QuietLogger(),
	})
}

// A call that never returns makes the process wedged, and nothing else does.
func TestWedged_ByACallThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		release := make(chan struct{})
		sink := &stuckSink{acquire: func(context.Context) (connector.State, error) {
			<-release // it ignores its context
			return connector.State{}, connector.ErrNotNow
		}}
		l := pipelineOf(t, sink)
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		time.Sleep(29 * time.Minute)
		if got := l.Report(time.Now()); !got.Healthy || got.Ready {
			t.Errorf("after 29 minutes: %+v", got)
		}
		time.Sleep(2 * time.Minute)
		if got := l.Report(time.Now()); got.Healthy || len(got.Wedged) != 2 ||
			!strings.HasPrefix(got.Wedged[0], "stream a: a call has not returned for 3") {
			t.Errorf("after 31 minutes: %+v", got.Wedged)
		}
		close(release)
		stop()
		if err := <-done; err != nil || sink.closed != 2 {
			t.Errorf("Run: %v; %d logs closed", err, sink.closed)
		}
	})
}

func TestWedged_NotByASinkThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var up atomic.Bool
		l := pipelineOf(t, &stuckSink{
			acquire: func(context.Context) (connector.State, error) { return connector.State{}, connector.ErrNotNow },
			check: func(context.Context) ([]connector.Finding, error) {
				if !up.Load() {
					return nil, errors.New("down")
				}
				return nil, nil
			},
		})
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		time.Sleep(24 * time.Hour)
		if got := l.Report(time.Now()); !got.Healthy || got.Ready || got.Sink.Checked || got.Sink.Waiting != "down" {
			t.Errorf("while the sink is down: %+v", got)
		}
		up.Store(true)
		time.Sleep(24 * time.Hour)
		if got := l.Report(time.Now()); !got.Healthy || got.Ready || !got.Sink.Checked || len(got.NotReady) != 2 {
			t.Errorf("while it takes nothing: %+v", got)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A process that makes no calls any more is wedged.
func TestWedged_BySilence(t *testing.T) {
	l := pipelineOf(t, &stuckSink{})
	for after, want := range map[time.Duration]int{time.Hour: 0, 2 * time.Hour: 0, 2*time.Hour + 4*time.Minute: 1} {
		if got := l.wedged(l.started.Add(after)); len(got) != want {
			t.Errorf("after %v: %q", after, got)
		}
	}
}

// Of parallel calls, the oldest one counts.
func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newWatchdog(time.Now())
		began := time.Now()
		first := p.begin("a page")
		time.Sleep(time.Second)
		second := p.begin("a page")
		second()
		if busy, last := p.read(); !busy.Equal(began) || !last.Equal(began.Add(time.Second)) {
			t.Errorf("busy since %v, last %v", busy, last)
		}
		time.Sleep(time.Second)
		first()
		if busy, last := p.read(); !busy.IsZero() || !last.Equal(began.Add(2*time.Second)) {
			t.Errorf("busy since %v, last %v", busy, last)
		}
	})
}

func TestPrepare_Refused(t *testing.T) {
	findings := []connector.Finding{
		{Level: connector.FindingOK, Thing: "a", Text: "fine"},
		{Level: connector.FindingWarning, Thing: "b", Text: "weak"},
		{Level: connector.FindingRefused, Thing: "c", Text: "bad", Hint: "mend it"},
	}
	l := pipelineOf(t, &stuckSink{check: func(context.Context) ([]connector.Finding, error) { return findings, nil }})
	err := l.Run(t.Context())
	var refused cli.RefusedError
	if !errors.As(err, &refused) || len(refused) != 1 || cli.ExitCode(err) != cli.ExitFailed {
		t.Fatalf("Run: %v", err)
	}
	if got := cli.Problems(err); len(got) != 1 || got[0] != (cli.Problem{Text: "c: bad", Hint: "mend it"}) {
		t.Errorf("%+v", got)
	}
}

func TestPipeline_AllStreamsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := pipelineOf(t, &stuckSink{acquire: func(context.Context) (connector.State, error) {
			return connector.State{}, &connector.Refusal{Thing: "stream", Cause: "name taken", Hint: "rename it"}
		}})
		err := l.Run(t.Context())
		var all cli.Refusals
		if !errors.As(err, &all) || len(all) != 2 {
			t.Errorf("Run: %v", err)
		}
		if got := l.Report(time.Now()); got.Ready || !got.Healthy ||
			got.Streams[0].Trouble != "refused: stream: name taken; rename it" {
			t.Errorf("%+v", got)
		}
	})
}

// One stream begins at once. Several are spread over at most an interval.
func TestStartWithin(t *testing.T) {
	for _, test := range []struct {
		streams  int
		interval time.Duration
		want     time.Duration
	}{{1, time.Minute, 0}, {2, time.Minute, time.Second}, {2, 100 * time.Millisecond, 100 * time.Millisecond}} {
		c := config.Default()
		c.Poll.MinInterval, c.TwoChat.Streams = test.interval, make([]config.StreamConfig, test.streams)
		if got := startWithin(&c); got != test.want {
			t.Errorf("%d streams, every %v: within %v, want %v", test.streams, test.interval, got, test.want)
		}
	}
}
