package poller

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// Delivered messages are counted by hours of the clock, and counts older than a day are forgotten.
func TestHourlyCounts(t *testing.T) {
	at := time.Date(2026, 1, 31, 23, 59, 0, 0, time.UTC)
	var h hourlyCounts
	if got := h.last(at); got != nil {
		t.Errorf("at first: %v", got)
	}
	h.add(at, 3)
	h.add(at.Add(2*time.Minute), 4)
	h.add(at.Add(time.Minute), 1) // the clock was set back
	want := make([]uint32, HoursKept)
	want[HoursKept-2], want[HoursKept-1] = 3, 5
	if got := h.last(at.Add(2 * time.Minute)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	want = make([]uint32, HoursKept)
	want[0] = 5
	if got := h.last(at.Add(23*time.Hour + 2*time.Minute)); !slices.Equal(got, want) {
		t.Errorf("a day later: %v, want %v", got, want)
	}
	if got := h.last(at.Add(24*time.Hour + 2*time.Minute)); got != nil {
		t.Errorf("after more than a day: %v", got)
	}
	if got := h.last(at.Add(1000 * time.Hour)); got != nil {
		t.Errorf("after weeks: %v", got)
	}
}

// The record contains when the list is read next, what failed and why, and when the sink took the newest commit.
func TestPoller_Activity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		changes := NewChanges()
		s := newPollerFixture(t, func(_ *pollerFixture, c *Config) { c.Changes = changes }, connectortest.Newest(3, 1)...)
		pass(30 * time.Second)
		status, now := s.poller.Status(), time.Now()
		if next := status.NextPoll.Sub(now); next <= 0 || next > longest {
			t.Errorf("the next poll is in %v", next)
		}
		if since := now.Sub(status.LastCommit); since < 0 || since > 30*time.Second {
			t.Errorf("the last commit was %v ago", since)
		}
		hours := s.poller.Activity(now).MessagesPerHour
		if len(hours) != HoursKept || hours[HoursKept-1] != 3 {
			t.Errorf("messages per hour: %v", hours)
		}
		s.fail(&connector.PageError{Fault: connector.FaultKey})
		pass(2 * time.Minute)
		if failed := s.poller.Activity(time.Now()).FailedCalls; len(failed) != 1 || failed[connector.FaultKey] == 0 {
			t.Errorf("failed calls: %v", failed)
		}
		newest := changes.Newest()
		if len(newest) < 2 || newest[0].State != StateNoSource || newest[0].Was != StateLive ||
			newest[0].Fault != connector.FaultKey || newest[0].Cause == "" || newest[1].State != StateLive ||
			newest[len(newest)-1].Was != StateAcquiring {
			t.Errorf("changes: %+v", newest)
		}
		s.stop()
	})
}

// A long walk is a catch-up before it ends, and it shows at once that pages can be read again.
func TestPoller_CatchingUpInTheMidstOfAWalk(t *testing.T) {
	for name, c := range map[string]struct {
		fails, look int // the page that fails at first, and the one at which the state is checked
	}{"long": {-1, 8}, "short, after a fault": {2, 3}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var during []StreamState
				grown, failing := false, true
				s := newPollerFixture(t, func(s *pollerFixture, config *Config) {
					config.Reading.Rules.SlicePages, config.Reading.Rules.MinWindow = 20, 60
					s.list.Before = func(_, page int) error {
						switch status := s.poller.Status(); {
						case !grown || status.Sequence > 3:
						case page == c.fails && failing:
							failing = status.State != StateNoSource
							return &connector.PageError{Fault: connector.FaultTransient}
						case page == c.look:
							during = append(during, status.State)
						}
						return nil
					}
				}, connectortest.Newest(3, 1)...)
				pass(2 * time.Minute)
				s.wantState(StateLive)
				s.add(60, 4)
				s.list.Change(func() { grown = true })
				pass(10 * time.Minute)
				s.wantState(StateLive)
				if len(during) == 0 || during[0] != StateCatchingUp {
					t.Errorf("at page %d its state was %v", c.look, during)
				}
				if catchUp := s.poller.Status().CatchUp; catchUp != (CatchUp{}) {
					t.Errorf("at rest: %+v", catchUp)
				}
				s.stop()
			})
		})
	}
}

// The remaining time of a catch-up is computed from its pace since the total is known.
func TestCatchUp(t *testing.T) {
	began := time.Date(2026, 1, 31, 3, 0, 0, 0, time.UTC)
	c := CatchUp{Since: began, Delivered: 100}
	if c.Share() != 0 || c.Left(began.Add(time.Minute)) != 0 {
		t.Errorf("nothing is known yet: %+v", c)
	}
	c.measure(75, 50, 100, began.Add(time.Minute))
	if c.Total != 10_100 || c.Left(began.Add(2*time.Minute)) != 0 {
		t.Errorf("nothing is delivered since: %+v", c)
	}
	c.Delivered += 2_500
	c.measure(50, 50, 100, began.Add(2*time.Minute)) // the total stays
	if left := c.Left(began.Add(2 * time.Minute)); left != 3*time.Minute || c.Share() < 0.25 || c.Share() > 0.26 {
		t.Errorf("%v left, %f done", left, c.Share())
	}
	c.Delivered = c.Total + 1
	if c.Left(began.Add(time.Hour)) != 0 || c.Share() != 1 {
		t.Errorf("all is done: %+v", c)
	}
}

// The same change of several streams within a minute counts as one, and twenty changes are kept.
func TestChanges(t *testing.T) {
	at := time.Date(2026, 1, 31, 3, 0, 0, 0, time.UTC)
	c := NewChanges()
	for i, stream := range []string{"a", "b", "c"} {
		c.add(Change{At: at.Add(time.Duration(i) * time.Second), Stream: stream, Was: StateLive, State: StateNoSink})
	}
	c.add(Change{At: at.Add(time.Second), Stream: "a", Was: StateNoSink, State: StateLive})
	c.add(Change{At: at.Add(2 * time.Minute), Stream: "b", Was: StateNoSink, State: StateLive})
	newest := c.Newest()
	if len(newest) != 3 || newest[0].Stream != "b" || newest[0].Times != 1 || newest[1].Stream != "a" ||
		newest[2].Times != 3 || newest[2].Stream != "a" || !newest[2].At.Equal(at) {
		t.Errorf("%+v", newest)
	}
	for i := range 50 {
		c.add(Change{At: at.Add(time.Duration(i) * time.Hour), Stream: "a", Was: StateNoSink, State: StateLive})
	}
	if newest := c.Newest(); len(newest) != changesKept || !newest[0].At.Equal(at.Add(49*time.Hour)) {
		t.Errorf("%d are kept, the newest of %v", len(newest), newest[0].At)
	}
}
