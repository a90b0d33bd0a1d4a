package poller

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// Changed intervals apply at once, even during a wait, and nothing is acquired again because of them.
func TestPoller_SetIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, fromNow, connectortest.Newest(3, 1)...)
		pass(time.Hour)
		s.poller.SetIntervals(20*time.Minute, time.Hour)
		pass(2 * longest) // a wait that was in progress
		s.list.Times()
		pass(4 * time.Hour)
		for _, gap := range gaps(s.list.Times()) {
			if gap < 18*time.Minute {
				t.Errorf("a poll came after %v", gap)
			}
		}
		s.poller.SetIntervals(time.Second, 5*time.Second)
		pass(6 * time.Second)
		if got := s.list.Times(); len(got) == 0 {
			t.Error("a long wait goes on after the intervals became short")
		}
		pass(time.Minute)
		if got := s.list.Times(); len(got) < 10 || len(got) > 16 {
			t.Errorf("%d polls in a minute", len(got))
		}
		if got := s.poller.Status().Interval; got != 5*time.Second {
			t.Errorf("the status says %v", got)
		}
		if acquired, _, _ := s.log.Counts(); acquired != 1 {
			t.Errorf("it was acquired %d times", acquired)
		}
		s.stop()
	})
}

// Changed limits apply at once as well: to a stream whose polls were far apart, and to one whose budget was spent.
func TestPoller_SetIntervalsAfterChangedLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget, pace := &countingBudget{}, new(atomic.Int64)
		s := newPollerFixture(t, func(s *pollerFixture, c *Config) {
			fromNow(s, c)
			c.CallBudget = budget
			c.Pace = func(time.Duration) time.Duration { return time.Duration(pace.Load()) }
		}, connectortest.Newest(3, 1)...)
		pass(time.Hour)
		pace.Store(int64(5 * time.Hour))
		pass(6 * time.Hour)
		pace.Store(0)
		s.list.Times()
		s.poller.SetIntervals(shortest, longest)
		pass(longest + time.Second)
		if got := s.list.Times(); len(got) == 0 {
			t.Error("a long wait goes on after the limits have become larger")
		}
		pass(longest)
		budget.spent.Store(&connector.PageError{Fault: connector.FaultCredits, Err: errors.New("the plan is used up")})
		pass(longest + time.Second)
		s.wantState(StateSpent)
		s.list.Times()
		budget.spent.Store(nil)
		s.poller.SetIntervals(shortest, longest)
		synctest.Wait()
		if got := s.list.Times(); len(got) != 1 {
			t.Errorf("%d requests once the budget is raised", len(got))
		}
		s.stop()
	})
}

// Limits that stay as they are disturb nobody: a sink that refuses the stream is asked no sooner.
func TestPoller_SetIntervalsToTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var refused atomic.Bool
		var asked atomic.Int64
		s := newPollerFixture(t, func(s *pollerFixture, c *Config) {
			fromNow(s, c)
			c.CheckWritable = func(context.Context) error {
				if !refused.Load() {
					return nil
				}
				asked.Add(1)
				return &connector.Refusal{Thing: "stream", Cause: "it discards old messages", Hint: "edit it"}
			}
		}, connectortest.Newest(3, 1)...)
		pass(time.Hour)
		refused.Store(true)
		pass(time.Hour)
		asked.Store(0)
		pass(time.Hour)
		undisturbed := asked.Swap(0)
		for range 3600 {
			s.poller.SetIntervals(shortest, longest)
			pass(time.Second)
		}
		if got := asked.Load(); got > undisturbed+2 {
			t.Errorf("it was asked %d times, and %d times without", got, undisturbed)
		}
		s.stop()
	})
}

// Changed intervals do not make a failing list be requested at once.
func TestPoller_SetIntervalsWhileItFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, fromNow, connectortest.Newest(3, 1)...)
		pass(time.Hour)
		s.fail(&connector.PageError{Fault: connector.FaultKey})
		pass(time.Hour)
		s.list.Times()
		for range 60 {
			s.poller.SetIntervals(shortest+time.Second, longest)
			s.poller.SetIntervals(shortest, longest)
			pass(time.Second)
		}
		if got := s.list.Times(); len(got) > 6 {
			t.Errorf("%d requests in a minute", len(got))
		}
		s.stop()
	})
}

// A removed stream has no metrics.
func TestMetrics_Remove(t *testing.T) {
	m := NewMetrics(nil)
	m.of("a")
	m.of("b")
	m.Remove("a")
	if names := []string{m.streams[0].stream}; len(m.streams) != 1 || !slices.Equal(names, []string{"b"}) {
		t.Errorf("%d streams are left: %v", len(m.streams), names)
	}
}
