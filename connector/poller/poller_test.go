package poller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// states takes the changes of state logged since it was called last, and how bad they are.
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

// small are rules by which little lists show what large ones do.
var small = func() reader.Rules {
	r := reader.DefaultRules()
	r.Page, r.Run, r.SlicePages, r.SliceBytes, r.Memory, r.Capacity, r.Tail, r.Floor, r.Rejects = 4, 2, 4, 1<<20, 12, 36,
		4, 4, 8
	r.EmptyPolls, r.Repeats, r.SweepPages, r.SweepDepth = 3, 3, 20, 60*time.Hour
	return r
}()

// pollerFixture is a poller at work, in a bubble of testing/synctest.
type pollerFixture struct {
	t        *testing.T
	list     *connectortest.List
	log      *connectortest.Log
	lines    *lines
	registry *prometheus.Registry
	limiter  *quota.Limiter
	poller   *Poller
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
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(t.Context())
	go func() { s.done <- s.poller.Run(ctx) }()
	t.Cleanup(s.cancel)
	return s
}

// fromNow lets a shift begin with what is listed as its floor: it rests after its first request.
func fromNow(_ *pollerFixture, c *Config) { c.Start = connectortest.StartNow }

// pass lets time go by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// stop ends the poller and says how long that took.
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

// fail makes every page fail until the test says otherwise.
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

// add puts the messages from low to high on top of the list.
func (s *pollerFixture) add(high, low int) {
	s.list.Change(func() { s.list.Add(connectortest.Newest(high, low)...) })
}

func (s *pollerFixture) answer(f func(context.Context, []connector.Event) (bool, error)) {
	s.log.Mu.Lock()
	defer s.log.Mu.Unlock()
	s.log.Answer = f
}

// gaps are the times between requests.
func gaps(times []time.Time) []time.Duration {
	var gaps []time.Duration
	for i := 1; i < len(times); i++ {
		gaps = append(gaps, times[i].Sub(times[i-1]))
	}
	return gaps
}

// about reports whether a jittered wait is what it should be.
func about(got, want time.Duration) bool { return got >= want-want/10 && got <= want+want/10 }

func TestPoller_FirstPollsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first []time.Duration
		var shifts []*pollerFixture
		for range 20 {
			shifts = append(shifts, newPollerFixture(t, fromNow, connectortest.Message(1)))
		}
		pass(5 * time.Second)
		for _, s := range shifts {
			first = append(first, s.list.Times()[0].Sub(s.began))
			s.stop()
		}
		slices.Sort(first)
		if first[19] > time.Second || first[19]-first[0] < 200*time.Millisecond {
			t.Errorf("20 pollers began after %v", first)
		}
	})
}

func TestPoller_TheIntervalAdapts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Second)
		s.list.Times()
		// Between the first polls the end of the list is looked at some times, until it is settled: those requests are no
		// polls.
		pass(time.Hour)
		if s.poller.Status().EndOpen {
			t.Fatal("after an hour it is not settled where the list ends")
		}
		quiet := gaps(s.list.Times())
		if len(quiet) < 5 {
			t.Fatalf("quiet polls came after %v", quiet)
		}
		if last := quiet[len(quiet)-1]; !about(last, longest) {
			t.Errorf("when it is quiet for long, polls come after %v, want %v", last, longest)
		}
		for i, gap := range quiet[:3] {
			if next := quiet[i+1]; next < gap && !about(next, longest) {
				t.Errorf("quiet polls came after %v: intervals should grow", quiet)
			}
		}
		for n := 4; n < 10; n++ {
			s.add(n, n)
			for s.log.Text() != connectortest.IDs(1, n) {
				pass(time.Second)
			}
			s.list.Times()
			pass(shortest + shortest/10)
			if got := s.list.Times(); len(got) != 1 {
				t.Errorf("after a message %d polls came within %v, want 1", len(got), shortest)
			}
			pass(10 * time.Minute)
		}
		s.stop()
	})
}

func TestPoller_PaceHoldsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, func(_ *pollerFixture, c *Config) {
			c.Start, c.Pace = connectortest.StartNow, func(time.Duration) time.Duration { return 5 * time.Minute }
		}, connectortest.Newest(3, 1)...)
		pass(time.Minute)
		s.list.Times()
		pass(time.Hour)
		for _, gap := range gaps(s.list.Times()) {
			if !about(gap, 5*time.Minute) {
				t.Errorf("a poll came after %v", gap)
			}
		}
		if got := s.poller.Status().Interval; got != 5*time.Minute {
			t.Errorf("the status says %v", got)
		}
		s.stop()
	})
}

func TestPoller_MoreToReadIsReadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(300, 1)...)
		pass(20 * time.Minute)
		s.wantLog(connectortest.IDs(1, 300))
		s.wantState(StateLive)
		s.add(320, 301)
		pass(longest + longest/10)
		s.wantLog(connectortest.IDs(1, 320))
		if status := s.poller.Status(); status.Unconfirmed != 0 || status.Certified != 320 {
			t.Errorf("not certified at once: %+v", status)
		}
		s.stop()
	})
}

// Each fault gets the wait that it asks for, and heals alone.
func TestPoller_FaultsHaveTheirWaits(t *testing.T) {
	tests := []struct {
		name           string
		fault          *connector.PageError
		least, most    time.Duration // between two requests, in the first hours
		perDay         int           // at most so many requests in a day
		state, logs    string
		lasting        StreamState
		otherIsHeldFor time.Duration
	}{
		{
			name: "transient", fault: connectortest.Fault(connector.FaultTransient, 0), least: 100 * time.Millisecond,
			most: 90 * time.Second, perDay: 3000, lasting: StateNoSource,
		},
		{
			name: "invalid", fault: connectortest.Fault(connector.FaultInvalid, 0), least: 100 * time.Millisecond,
			most: 90 * time.Second, perDay: 3000, lasting: StateNoSource,
		},
		{
			name: "unavailable, with Retry-After", fault: connectortest.Fault(connector.FaultTransient, 7*time.Minute),
			least: 7 * time.Minute, most: 7 * time.Minute, perDay: 210, lasting: StateNoSource,
		},
		{
			name: "too many requests", fault: connectortest.Fault(connector.FaultRateLimited, 42*time.Second),
			least: 42 * time.Second, most: 90 * time.Second, perDay: 2100, lasting: StateNoSource,
			otherIsHeldFor: 42 * time.Second,
		},
		{
			name: "Retry-After of two days", fault: connectortest.Fault(connector.FaultRateLimited, 48*time.Hour),
			least: time.Hour, most: time.Hour, perDay: 25, lasting: StateNoSource, otherIsHeldFor: time.Hour,
		},
		{
			name: "credits used up", fault: connectortest.Fault(connector.FaultCredits, 0), least: 2 * time.Minute,
			most: 45 * time.Minute, perDay: 120, lasting: StateNoSource,
		},
		{
			name: "wrong key", fault: connectortest.Fault(connector.FaultKey, 0), least: 10 * time.Second,
			most: 15 * time.Minute, perDay: 320, lasting: StateNoSource,
		},
		{
			name: "number gone", fault: connectortest.Fault(connector.FaultNumber, 0), least: 10 * time.Second,
			most: 15 * time.Minute, perDay: 320, lasting: StateNoSource,
		},
		{
			name: "bad request", fault: connectortest.Fault(connector.FaultRequest, 0), least: 10 * time.Second,
			most: 15 * time.Minute, perDay: 320, lasting: StateNoSource,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
				pass(2 * time.Minute)
				s.lines.states()
				s.fail(test.fault)
				s.list.Times()
				pass(70 * time.Second)
				if failed := len(s.list.Times()); failed == 0 {
					t.Fatal("no poll met the fault")
				}
				if test.otherIsHeldFor > 0 {
					for len(s.list.Times()) == 0 { // right after a fault
						pass(100 * time.Millisecond)
					}
					began := time.Now()
					if err := s.limiter.Wait(t.Context(), quota.Live); err != nil {
						t.Error(err)
					}
					if held := time.Since(began); held < test.otherIsHeldFor-time.Second {
						t.Errorf("another stream of the key may ask after %v", held)
					}
				}
				pass(24 * time.Hour)
				s.wantState(test.lasting)
				times := s.list.Times()
				for _, gap := range gaps(times) {
					if gap < test.least || gap > test.most {
						t.Errorf("it asked again after %v, want %v to %v", gap, test.least, test.most)
						break
					}
				}
				if len(times) > test.perDay || len(times) < 10 {
					t.Errorf("%d requests in a day, want at most %d", len(times), test.perDay)
				}
				if got := s.lines.states(); got != "warn:no_source" {
					t.Errorf("a day of faults logged %q, want one line", got)
				}
				s.fail(nil)
				s.add(5, 4)
				pass(time.Hour + test.most)
				s.wantLog(connectortest.IDs(1, 5))
				s.wantState(StateLive)
				if got := s.lines.states(); got != "info:live" {
					t.Errorf("healing logged %q", got)
				}
				if got := s.poller.Status().Cause; got != "" {
					t.Errorf("healed, its cause is still %q", got)
				}
				s.stop()
			})
		})
	}
}

func TestPoller_OneFailureInPassingIsNoChangeOfState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		s.lines.states()
		s.list.Change(func() {
			s.list.Before = func(call, _ int) error {
				if call%2 == 0 {
					return connectortest.Fault(connector.FaultTransient, 0)
				}
				return nil
			}
		})
		pass(time.Hour)
		if got := s.lines.states(); got != "" {
			t.Errorf("it logged %q", got)
		}
		s.stop()
	})
}

// A single answer that asks for a long pause is a state with its end, of its stream and of all that wait with it.
func TestPoller_ALongPauseIsAState(t *testing.T) {
	for kind, all := range map[connector.PageFault]bool{
		connector.FaultTransient:   false,
		connector.FaultRateLimited: true,
	} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
				other := newPollerFixture(t, func(_ *pollerFixture, c *Config) {
					c.Limiter = s.limiter
				}, connectortest.Newest(3, 1)...)
				pass(2 * time.Minute)
				s.list.Times()
				once := true
				s.list.Change(func() {
					s.list.Before = func(int, int) error {
						if once {
							once = false
							return connectortest.Fault(kind, time.Hour)
						}
						return nil
					}
				})
				for len(s.list.Times()) == 0 {
					pass(time.Second)
				}
				until := time.Now().Add(time.Hour)
				pass(2 * longest)
				for _, of := range []*pollerFixture{s, other} {
					status := of.poller.Status()
					if waits := of == s || all; waits != (status.State == StateNoSource) {
						t.Errorf("state %s of the one that met it: %v", status.State, of == s)
					} else if waits && (status.NextAttempt.Sub(until).Abs() > time.Minute || status.Fault != kind) {
						t.Errorf("it waits until %v, want %v: %+v", status.NextAttempt, until, status)
					}
				}
				pass(time.Hour)
				s.wantState(StateLive)
				other.wantState(StateLive)
				s.stop()
				other.stop()
			})
		})
	}
}

// What somebody has to fix is said at once.
func TestPoller_AWrongKeyIsSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		s.list.Times()
		s.fail(connectortest.Fault(connector.FaultKey, 0))
		for len(s.list.Times()) == 0 {
			pass(time.Second)
		}
		s.wantState(StateNoSource)
		s.lines.mu.Lock()
		logged := strings.Join(s.lines.text, "\n")
		s.lines.mu.Unlock()
		if status := s.poller.Status(); status.Hint == "" || status.Fault != connector.FaultKey ||
			!status.NextAttempt.After(time.Now()) || !strings.Contains(logged, status.Hint) {
			t.Errorf("%+v\n%s", status, logged)
		}
		// Another thing to fix is another line, though the state is the same.
		s.lines.states()
		s.fail(connectortest.Fault(connector.FaultCredits, 0))
		pass(time.Hour)
		if got := s.lines.states(); got != "warn:no_source" || s.poller.Status().Fault != connector.FaultCredits {
			t.Errorf("it logged %q: %+v", got, s.poller.Status())
		}
		s.stop()
	})
}

// A sink that is down for an hour costs nothing but delay: no page is asked for meanwhile, and nothing is lost.
func TestPoller_SinkFailureDoesNotPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		s.lines.states()
		var tries atomic.Int64
		s.answer(func(context.Context, []connector.Event) (bool, error) {
			tries.Add(1)
			return false, connector.ErrNotNow
		})
		s.add(5, 4)
		pass(longest + longest/10)
		s.list.Times()
		s.add(9, 6)
		pass(time.Hour)
		if got := s.list.Times(); len(got) > 0 {
			t.Errorf("%d pages were asked for while the sink was down", len(got))
		}
		if n := tries.Load(); n < 60 || n > 500 {
			t.Errorf("%d tries in an hour", n)
		}
		s.wantState(StateNoSink)
		s.answer(nil)
		pass(3 * time.Minute)
		s.wantLog(connectortest.IDs(1, 9))
		if got := s.lines.states(); strings.Count(got, "no_sink") != 1 || !strings.HasSuffix(got, "info:live") {
			t.Errorf("it logged %q", got)
		}
		s.stop()
	})
}

// The same where the sink is down when the stream is taken over.
func TestPoller_ASinkThatIsDownAtStartIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		s := newPollerFixture(t, func(s *pollerFixture, _ *Config) {
			s.log.Refuse = func() error {
				if down {
					return connector.ErrNotNow
				}
				return nil
			}
		}, connectortest.Newest(3, 1)...)
		pass(time.Hour)
		if got := s.list.Times(); len(got) > 0 {
			t.Errorf("%d pages were asked for", len(got))
		}
		s.wantState(StateNoSink)
		if got := s.lines.states(); got != "warn:no_sink" {
			t.Errorf("an hour without a sink logged %d lines: %.120s…", len(strings.Fields(got)), got)
		}
		s.log.Mu.Lock()
		down = false
		s.log.Mu.Unlock()
		pass(3 * time.Minute)
		s.wantLog(connectortest.IDs(1, 3))
		s.wantState(StateLive)
		s.stop()
	})
}

// Who was fenced leaves the stream alone for five polls after the other's last commit, and then takes it over. Those
// are the polls of a stream that goes quiet, at the intervals in force: not five of the longest that there is.
func TestPoller_WhoWasFencedStandsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		s.lines.states()
		s.log.Mu.Lock()
		last, alive := time.Now(), true
		s.log.Twin = func() connector.Checkpoint {
			if alive {
				last = time.Now()
			}
			return connector.Checkpoint{Written: last}
		}
		s.log.Answer = func(context.Context, []connector.Event) (bool, error) { return false, connector.ErrFenced }
		s.log.Mu.Unlock()
		s.add(4, 4)
		pass(2 * longest)
		s.list.Times()
		pass(3 * time.Hour)
		s.wantState(StateStandby)
		acquired, _, _ := s.log.Counts()
		if got := s.list.Times(); len(got) > 0 || acquired != 1 {
			t.Errorf("fenced, it asked for %d pages and acquired %d times", len(got), acquired)
		}
		if status := s.poller.Status(); status.Fenced != 1 || status.Owned {
			t.Errorf("%+v", status)
		}
		s.log.Mu.Lock()
		alive, s.log.Answer = false, nil
		s.log.Mu.Unlock()
		const fivePolls = 131875 * time.Millisecond // 10 s + 15 s + 22.5 s + 33.75 s + 50.625 s
		pass(2 * time.Minute)
		if acquired, _, _ := s.log.Counts(); acquired != 1 {
			t.Error("it came back early")
		}
		pass(2 * longest)
		s.wantLog(connectortest.IDs(1, 4))
		s.log.Mu.Lock()
		lastCommit := last
		s.log.Mu.Unlock()
		_, _, checkpoint := s.log.Counts()
		if took := checkpoint.Written.Sub(lastCommit); took < fivePolls || took > fivePolls+3*shortest {
			t.Errorf("it came back %v after the other's last commit", took)
		}
		if got := s.lines.states(); !strings.HasPrefix(got, "warn:standby info:") || strings.Count(got, "standby") != 1 ||
			!strings.HasSuffix(got, "info:live") {
			t.Errorf("it logged %q", got)
		}
		s.stop()
	})
}

// The ledger refuses a commit after an unclear one without an Acquire in between.
func TestPoller_UnclearAsksTheSinkFirst(t *testing.T) {
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprintf("written %v", written), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
				pass(2 * time.Minute)
				lost := 0
				s.answer(func(context.Context, []connector.Event) (bool, error) {
					if lost++; lost <= 3 {
						return written, connectortest.ErrNoAnswer
					}
					return true, nil
				})
				for n := 4; n < 8; n++ {
					s.add(n, n)
					pass(2 * longest)
				}
				s.wantLog(connectortest.IDs(1, 7))
				s.stop()
				if status := s.poller.Status(); status.Unclear != 3 || s.log.Acquired != 4 {
					t.Errorf("%d unclear, acquired %d times", status.Unclear, s.log.Acquired)
				}
			})
		})
	}
}

func TestPoller_ARefusalEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal := &connector.Refusal{Thing: "stream a", Cause: "its name is in use", Hint: "rename it"}
		s := newPollerFixture(t, func(s *pollerFixture, _ *Config) { s.log.Refuse = func() error { return refusal } })
		if err := <-s.done; !errors.Is(err, refusal) {
			t.Errorf("run: %v", err)
		}
		s.wantState(StateStopped)
	})
}

// The end of the context lets a commit in flight finish.
func TestPoller_TheCommitInFlightIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		begun := make(chan struct{})
		s.answer(func(ctx context.Context, _ []connector.Event) (bool, error) {
			close(begun)
			select {
			case <-time.After(15 * time.Second):
				return true, nil
			case <-ctx.Done():
				return false, ctx.Err()
			}
		})
		s.add(4, 4)
		<-begun
		if took := s.stop(); took != 15*time.Second {
			t.Errorf("it stopped after %v", took)
		}
		s.wantLog(connectortest.IDs(1, 4))
	})
}

// But not forever: the process has to end.
func TestPoller_AHangingCommitIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		s.answer(func(ctx context.Context, _ []connector.Event) (bool, error) { <-ctx.Done(); return false, ctx.Err() })
		s.add(4, 4)
		pass(2 * longest)
		if took := s.stop(); took != DrainTime {
			t.Errorf("it stopped after %v, want %v", took, DrainTime)
		}
		s.wantLog(connectortest.IDs(1, 3))
	})
}

func TestPoller_StopsAtOnceWhateverItWaitsFor(t *testing.T) {
	waiting := map[string]func(*pollerFixture){
		"for the next poll":  func(*pollerFixture) {},
		"for credits":        func(s *pollerFixture) { s.fail(connectortest.Fault(connector.FaultCredits, 0)) },
		"for the rate limit": func(s *pollerFixture) { s.limiter.Pause(48 * time.Hour) },
		"for the sink": func(s *pollerFixture) {
			s.answer(func(context.Context, []connector.Event) (bool, error) { return false, connector.ErrNotNow })
		},
		"for the other owner": func(s *pollerFixture) {
			s.answer(func(context.Context, []connector.Event) (bool, error) { return false, connector.ErrFenced })
		},
	}
	for name, set := range waiting {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
				pass(2 * time.Minute)
				set(s)
				s.add(4, 4)
				pass(2 * longest)
				if took := s.stop(); took > 0 {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// restless makes the list contradict itself at every walk.
func restless(s *pollerFixture, walks int) {
	s.add(12, 4) // several pages are new
	s.list.Change(func() {
		n := 12
		s.list.Before = func(_, number int) error {
			if number == 1 && walks > 0 {
				walks--
				s.list.Add(connectortest.Newest(n+8, n+1)...)
				n += 8
			}
			return nil
		}
	})
}

func TestPoller_AListThatContradictsItselfIsStalledByName(t *testing.T) {
	for walks, stalled := range map[int]int{movedUntilStalled - 1: 0, movedUntilStalled: 1, movedUntilStalled + 3: 1} {
		t.Run(fmt.Sprint(walks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
				pass(2 * time.Minute)
				s.lines.states()
				restless(s, walks)
				pass(10 * time.Minute)
				if got := s.lines.states(); strings.Count(got, "warn:stalled") != stalled || !strings.HasSuffix(got, "info:live") {
					t.Errorf("it logged %q", got)
				}
				s.wantLog(connectortest.IDs(1, 12+8*walks))
				s.stop()
			})
		})
	}
}

// The back-off after contradictory walks starts again once a walk went well.
func TestPoller_AGoodWalkEndsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		restless(s, 40)
		pass(time.Hour)
		s.wantState(StateLive)
		s.list.Change(func() { s.list.Before = nil })
		_, _, checkpoint := s.log.Counts()
		last := int(checkpoint.Sequence)
		s.add(last+8, last+1)
		var moved time.Time
		s.list.Change(func() {
			s.list.Before = func(_, number int) error {
				if number == 1 && moved.IsZero() {
					moved = time.Now()
					s.list.Add(connectortest.Newest(last+16, last+9)...)
				}
				return nil
			}
		})
		s.list.Times()
		pass(2 * longest)
		times := s.list.Times()
		s.stop()
		for _, at := range times {
			if wait := at.Sub(moved); wait > 0 {
				if wait > time.Second {
					t.Errorf("one contradictory walk is tried again only after %v", wait)
				}
				break
			}
		}
		s.wantLog(connectortest.IDs(1, last+16))
	})
}

// A list that answers every page number with the same page cannot be searched, and nothing is unclear of the sink.
func TestPoller_AnIgnoredPageNumberStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		same := connector.Page{Messages: connectortest.Newest(20, 17)}
		s.list.Change(func() { s.list.Raw = map[int]connector.Page{0: same, 1: same, 2: same, 3: same} })
		pass(10 * time.Minute)
		if status := s.poller.Status(); status.State != StateStalled || status.Unclear > 0 ||
			!strings.Contains(status.Cause, "page number is ignored") {
			t.Errorf("state %s, %d unclear, cause %q", status.State, status.Unclear, status.Cause)
		}
		s.stop()
	})
}

func TestPoller_SweepsAreSpreadAndRegular(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, func(_ *pollerFixture, c *Config) {
			c.SweepEvery = func() time.Duration { return time.Hour }
		}, connectortest.Newest(12, 1)...)
		pass(10 * time.Minute)
		s.list.Requests()
		pass(24 * time.Hour)
		if sweeps := strings.Count(" "+s.list.Requests()+" ", " 1 "); sweeps < 23 || sweeps > 25 {
			t.Errorf("%d sweeps went below page 0 in a day", sweeps)
		}
		s.stop()
	})
}

// Where requests are scarce a sweep takes the turns that nobody else wants, and its stream's polls do not wait for it.
func TestPoller_ASweepKeepsNoPollWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy sync.WaitGroup
		s := newPollerFixture(t, func(s *pollerFixture, c *Config) {
			s.limiter.SetRate(6)
			c.MinInterval, c.MaxInterval = longest, longest
			c.SweepEvery = func() time.Duration { return 20 * time.Minute }
		}, connectortest.Newest(30, 1)...)
		pass(10 * time.Minute)
		others, done := context.WithCancel(t.Context())
		for range 3 {
			busy.Go(func() {
				for s.limiter.Wait(others, quota.Live) == nil {
				}
			})
		}
		deepest := 0
		s.list.Change(func() {
			s.list.Before = func(_, number int) error {
				deepest = max(deepest, number)
				return nil
			}
		})
		// An interval, the three others, and the turn of a less urgent class.
		const within = longest + 4*10*time.Second + 10*time.Second
		for n := 31; n < 331; n++ {
			s.add(n, n)
			pass(within)
			if got := s.log.Text(); !strings.HasSuffix(got, fmt.Sprint(n)) {
				t.Fatalf("after %v message %d was not delivered: %s", within, n, got)
			}
		}
		if deepest < 7 {
			t.Errorf("no sweep went below page %d", deepest)
		}
		done()
		busy.Wait()
		s.stop()
	})
}

// A new message is found within the interval in force, and polls spend little more than it says.
func TestPoller_TheIntervalIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, fromNow, connectortest.Newest(3, 1)...)
		pass(10 * time.Minute)
		s.list.Times()
		pass(100 * longest)
		polls := gaps(s.list.Times())
		if least, most := slices.Min(polls), slices.Max(polls); most > longest || least < longest*9/10 ||
			most-least < longest/20 {
			t.Errorf("polls came after %v to %v, want them spread over the last tenth of %v", least, most, longest)
		}
		s.stop()
	})
}

// Status says what the log says.
func TestPoller_Status(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(8, 1)...)
		if status := s.poller.Status(); status.State != StateAcquiring || status.Stream != "a" ||
			!status.Since.Equal(s.began) || status.Owned {
			t.Errorf("at first: %+v", status)
		}
		pass(2 * time.Minute)
		s.add(10, 9)
		s.list.Change(func() { s.list.Under(10, connectortest.Faulty(70)) })
		pass(2 * longest)
		got := s.poller.Status()
		s.list.Mu.Lock()
		requests, last := len(s.list.Asked), s.list.When[len(s.list.When)-1]
		s.list.Mu.Unlock()
		want := Status{
			Stream: "a", State: StateLive, Since: got.Since, Owned: true, LastSuccessfulPoll: last, LastRequest: last,
			NewestMessage: connectortest.Minute(10), ConfirmedUntil: got.ConfirmedUntil,
			Sequence: 10, Certified: 10, Seen: 10, Requests: uint64(requests), Delivered: 10,
			Counters: connector.Counters{Rejected: 1}, Interval: got.Interval,
			EndOpen: true, // three full pages
		}
		if got != want {
			t.Errorf("it says  %+v\nwant     %+v", got, want)
		}
		if got.Since.Before(s.began) || got.Interval < shortest || got.Interval > longest || got.ConfirmedUntil.IsZero() {
			t.Errorf("since %v, interval %v, ground %v", got.Since, got.Interval, got.ConfirmedUntil)
		}
		s.stop()
	})
}

// Where nothing is delivered that waits to be confirmed, there is no time since when it does: not while ground is
// searched either.
func TestPoller_OpenSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		without, with := 0, 0
		s := newPollerFixture(t, func(s *pollerFixture, _ *Config) {
			s.list.Before = func(int, int) error {
				switch got := s.poller.Status(); {
				case (got.Unconfirmed == 0) != got.UnconfirmedSince.IsZero():
					t.Errorf("%d are open, since %v", got.Unconfirmed, got.UnconfirmedSince)
				case got.Unconfirmed == 0:
					without++
				default:
					with++
				}
				return nil
			}
		}, connectortest.Newest(400, 1)...)
		pass(10 * time.Minute)
		s.wantState(StateLive)
		if without < 5 || with < 5 {
			t.Errorf("looked at %d and %d only", without, with)
		}
		s.stop()
	})
}
