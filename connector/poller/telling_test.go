package poller

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// A sink that may no longer be written to is shown as a state before a page is paid for, even if the stream is quiet,
// and recovers.
func TestPoller_ASinkThatWasChangedIsFoundWhileItIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wrong atomic.Pointer[connector.Refusal]
		s := newPollerFixture(t, func(_ *pollerFixture, c *Config) {
			c.CheckWritable = func(context.Context) error {
				if refusal := wrong.Load(); refusal != nil {
					return refusal
				}
				return connector.ErrNotNow // a commit finds out about transient failures
			}
		}, connectortest.Newest(3, 1)...)
		pass(5 * time.Minute)
		s.wantState(StateLive)
		wrong.Store(&connector.Refusal{Thing: "JetStream stream", Cause: "it discards", Hint: "edit it"})
		pass(longest)
		s.wantState(StateRefused)
		if status := s.poller.Status(); status.Cause != "JetStream stream: it discards" || status.Hint != "edit it" ||
			!status.Owned {
			t.Errorf("%+v", status)
		}
		s.list.Times()
		s.add(5, 4)
		pass(time.Hour)
		if calls := s.list.Times(); len(calls) > 0 {
			t.Errorf("%d calls while nothing can be delivered", len(calls))
		}
		wrong.Store(nil)
		pass(10 * time.Minute)
		s.wantState(StateLive)
		s.wantLog(connectortest.IDs(1, 5))
		s.stop()
	})
}

// An owner that was overtaken is told so, even if the sink refuses as well.
func TestPoller_ACheckTellsWhoWasOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var wrong atomic.Bool
		s := newPollerFixture(t, func(_ *pollerFixture, c *Config) {
			c.CheckWritable = func(context.Context) error {
				if wrong.Load() {
					return &connector.Refusal{Thing: "JetStream stream", Cause: "it discards", Hint: "edit it"}
				}
				return nil
			}
		}, connectortest.Newest(3, 1)...)
		pass(5 * time.Minute)
		s.log.Mu.Lock()
		s.log.Twin = func() connector.Checkpoint {
			return connector.Checkpoint{Owner: "another", Epoch: 99, Written: time.Now()}
		}
		s.log.Mu.Unlock()
		wrong.Store(true)
		pass(longest + time.Second)
		s.wantState(StateStandby)
		s.stop()
	})
}

// If the key cannot be read, no call is made, counted or paid for, and it is used within seconds once it can be read.
func TestPoller_AKeyThatCannotBeReadCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unreadable := &connector.PageError{Fault: connector.FaultKey, Err: errors.New("no such file"), Hint: "write it"}
		var wrong atomic.Bool
		budget := &countingBudget{}
		s := newPollerFixture(t, func(_ *pollerFixture, c *Config) {
			c.CallBudget = budget
			c.Ready = func() error {
				if wrong.Load() {
					return unreadable
				}
				return nil
			}
		}, connectortest.Newest(3, 1)...)
		pass(5 * time.Minute)
		wrong.Store(true)
		paid, asked := budget.taken.Load(), s.poller.Status().Requests
		s.list.Times()
		pass(longest)
		s.wantState(StateNoSource)
		if status := s.poller.Status(); status.Fault != connector.FaultKey || status.Hint != "write it" ||
			status.NextAttempt.IsZero() {
			t.Errorf("%+v", status)
		}
		pass(3 * time.Hour)
		if calls := s.list.Times(); len(calls) > 0 || budget.taken.Load() != paid || s.poller.Status().Requests != asked {
			t.Errorf("%d calls, %d paid for, %d counted without a key", len(calls), budget.taken.Load()-paid,
				s.poller.Status().Requests-asked)
		}
		s.lines.states()
		wrong.Store(false)
		pass(5 * time.Second)
		s.wantState(StateLive)
		if got := s.lines.states(); got != "info:live" {
			t.Errorf("it logged %q", got)
		}
		s.stop()
	})
}

// countingBudget pays for everything until it is spent.
type countingBudget struct {
	taken atomic.Int64
	spent atomic.Pointer[connector.PageError]
}

func (p *countingBudget) Stopped() (time.Time, error) {
	if spent := p.spent.Load(); spent != nil {
		return time.Now().Add(time.Hour), spent
	}
	return time.Time{}, nil
}

func (p *countingBudget) Take() bool {
	p.taken.Add(1)
	return true
}

// The call budget's own cause is shown, because a spent plan is not the same as a spent budget.
func TestPoller_ASpentBudgetSaysWhat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := &countingBudget{}
		s := newPollerFixture(t, func(_ *pollerFixture, c *Config) { c.CallBudget = budget }, connectortest.Newest(3, 1)...)
		pass(5 * time.Minute)
		budget.spent.Store(&connector.PageError{
			Fault: connector.FaultCredits, Err: errors.New("the plan is used up"),
			Hint: "get a larger one",
		})
		pass(longest + time.Second)
		s.wantState(StateSpent)
		if status := s.poller.Status(); status.Fault != connector.FaultCredits || status.Hint != "get a larger one" ||
			!strings.Contains(status.Cause, "the plan is used up") {
			t.Errorf("%+v", status)
		}
		s.stop()
	})
}

// A wait that the server asked for is shown as such, with its end.
func TestPoller_AWaitThatWasAskedForSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(5 * time.Minute)
		s.fail(&connector.PageError{
			Fault: connector.FaultTransient, Status: 503, RetryAfter: 20 * time.Minute,
			Err: errors.New("the server has a problem"),
		})
		pass(longest + time.Second)
		s.wantState(StateNoSource)
		status := s.poller.Status()
		want := "; 2Chat asked to wait 20m0s, and is asked again at " + status.NextAttempt.UTC().Format("15:04:05 UTC")
		if !strings.HasSuffix(status.Cause, want) || time.Until(status.NextAttempt) < 18*time.Minute {
			t.Errorf("the cause is %q, want %q at its end", status.Cause, want)
		}
		s.fail(&connector.PageError{
			Fault: connector.FaultTransient, Status: 503,
			Err: errors.New("the server has a problem"),
		})
		pass(25 * time.Minute)
		if cause := s.poller.Status().Cause; strings.Contains(cause, "asked to wait") {
			t.Errorf("nobody asked, and the cause is %q", cause)
		}
		s.fail(nil)
		s.stop()
	})
}
