package poller

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

// Each fault has its own wait, and recovers by itself.
func TestPoller_FaultsHaveTheirWaits(t *testing.T) {
	tests := []struct {
		name           string
		fault          *connector.PageError
		least, most    time.Duration // between two requests, in the first hours
		perDay         int           // at most that many requests in a day
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
			name:  "wrong key",
			fault: &connector.PageError{Fault: connector.FaultKey, Status: 401, Err: connectortest.ErrNoAnswer},
			least: 10 * time.Second, most: 15 * time.Minute, perDay: 320, lasting: StateNoSource,
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

// A single answer that asks for a long pause is a state with an end, for its stream and for all that wait with it.
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

// What a person has to fix is shown at once.
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
		// A different fault has its own log line, though the state is the same.
		s.lines.states()
		s.fail(connectortest.Fault(connector.FaultCredits, 0))
		pass(time.Hour)
		if got := s.lines.states(); got != "warn:no_source" || s.poller.Status().Fault != connector.FaultCredits {
			t.Errorf("it logged %q: %+v", got, s.poller.Status())
		}
		s.stop()
	})
}
