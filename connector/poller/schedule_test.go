package poller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

func TestPoller_TheIntervalAdapts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Second)
		s.list.Times()
		// Between the first polls the end of the list is checked several times, until it is settled: those requests are not
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

// If requests are scarce, a sweep uses those that nobody else needs, and its stream's polls do not wait for it.
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
		// An interval, the polls of the three other streams, and one turn of a less urgent class.
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

// A new message is found within the interval in force, and polls cost little more than the interval implies.
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
