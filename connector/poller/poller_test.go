package poller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

func TestPoller_FirstPollsAreSpread(t *testing.T) {
	spread := func(f *pollerFixture, c *Config) {
		fromNow(f, c)
		c.StartWithin = time.Second
	}
	synctest.Test(t, func(t *testing.T) {
		var first []time.Duration
		var shifts []*pollerFixture
		for range 20 {
			shifts = append(shifts, newPollerFixture(t, spread, connectortest.Message(1)))
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

// A sink that is down for an hour costs only delay: no page is requested meanwhile, and nothing is lost.
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

// The same if the sink is down when the stream is taken over.
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

// The log refuses a commit after an unclear one without an Acquire in between.
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
