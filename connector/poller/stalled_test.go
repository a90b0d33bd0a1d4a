package poller

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// restless makes the list contradict itself in every walk.
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

// The back-off after contradictory walks starts again once a walk succeeded.
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

// A list that returns the same page for every page number cannot be searched, and nothing is unclear about the sink.
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
