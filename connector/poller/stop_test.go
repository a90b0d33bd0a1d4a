package poller

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// A commit in flight finishes after the context has ended.
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

// But it does not wait forever: the process has to end.
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
