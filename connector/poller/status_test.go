package poller

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// Status matches the log.
func TestPoller_Status(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(8, 1)...)
		if s.new.State != StateAcquiring || s.new.Stream != "a" || !s.new.Since.Equal(s.began) || s.new.Owned {
			t.Errorf("before it runs: %+v", s.new)
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
			Counters: connector.Counters{Rejected: 1}, Quarantined: 1, Interval: got.Interval,
			EndOpen:  true, // three full pages
			NextPoll: got.NextPoll, LastCommit: got.LastCommit,
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

// If no delivered message waits for confirmation, UnconfirmedSince is zero, also during a search for ground.
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

// A stream that is owned has the sequence of its log, also before it has read anything: counts of what a process
// delivered begin there.
func TestPoller_StatusOfAnOwnedStreamWithoutAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := newPollerFixture(t, nil, connectortest.Newest(7, 1)...)
		pass(5 * time.Minute)
		before.stop()
		s := newPollerFixture(t, func(s *pollerFixture, c *Config) {
			s.list, s.log, c.Pages, c.Log = before.list, before.log, before.list, before.log
			s.fail(&connector.PageError{Fault: connector.FaultTransient})
		})
		pass(time.Second)
		if status := s.poller.Status(); !status.Owned || status.Sequence != 7 || status.Delivered != 0 {
			t.Errorf("%+v", status)
		}
	})
}
