package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

func TestTrouble(t *testing.T) {
	now := time.Now()
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		status poller.Status
		want   string
	}{
		"live": {poller.Status{
			State: poller.StateLive, Owned: true, LastSuccessfulPoll: before(time.Second),
			Interval: time.Second,
		}, ""},
		"slow": {poller.Status{
			State: poller.StateLive, Owned: true,
			LastSuccessfulPoll: before(170 * time.Second), Interval: time.Minute,
		}, ""},
		"too slow": {
			poller.Status{
				State: poller.StateLive, Owned: true,
				LastSuccessfulPoll: before(190 * time.Second), Interval: time.Minute,
			},
			"the last successful poll was 3 min ago (live)",
		},
		"standby": {poller.Status{State: poller.StateStandby, Cause: "fenced"}, ""},
		"acquiring": {
			poller.Status{State: poller.StateAcquiring, Cause: "down"},
			"its place in the sink is not acquired (acquiring): down",
		},
		"catching up": {poller.Status{
			State: poller.StateCatchingUp, Owned: true, BacklogPage: 50,
			LastRequest: before(time.Second),
		}, ""},
		"first started": {poller.Status{
			State: poller.StateLive, Owned: true, Since: before(20 * time.Second),
			Interval: time.Second,
		}, ""},
		"never walked": {poller.Status{
			State: poller.StateLive, Owned: true, Since: before(40 * time.Second),
			Interval: time.Second,
		}, "no successful poll yet (live)"},
		"stuck in backlog": {poller.Status{
			State: poller.StateCatchingUp, Owned: true, BacklogPage: 50,
			LastRequest: before(time.Minute),
		}, "no successful poll yet (catching up from page 50)"},
		"no source": {
			poller.Status{State: poller.StateNoSource, Owned: true, Cause: "down"},
			"no successful poll yet (no source): down",
		},
		"a fault in pass": {poller.Status{
			State: poller.StateNoSource, Owned: true, Cause: "down",
			LastSuccessfulPoll: before(20 * time.Second),
		}, ""},
		"refused": {
			poller.Status{State: poller.StateRefused, Cause: "name taken", Hint: "rename it"},
			"refused: name taken; rename it",
		},
		"wrong key": {
			poller.Status{
				State: poller.StateNoSource, Owned: true, Cause: "key (HTTP 401): wrong", Fault: connector.FaultKey,
				Hint:  "mend it",
				Since: before(time.Second), LastSuccessfulPoll: before(2 * time.Second), Interval: time.Minute,
			}, "the last successful poll was 2 s ago (wrong key): key (HTTP 401): wrong; mend it",
		},
		"a long wait": {
			poller.Status{
				State: poller.StateNoSource, Owned: true, Cause: "down", Fault: connector.FaultTransient,
				Since:       before(time.Second),
				NextAttempt: now.Add(time.Hour), LastSuccessfulPoll: before(2 * time.Second), Interval: time.Minute,
			}, "the last successful poll was 2 s ago (no answer from 2Chat): down",
		},
		"a short wait": {
			poller.Status{
				State: poller.StateNoSource, Owned: true, Cause: "down", Fault: connector.FaultTransient,
				Since:       before(time.Second),
				NextAttempt: now.Add(58 * time.Second), LastSuccessfulPoll: before(2 * time.Second), Interval: time.Minute,
			}, "",
		},
		"no sink": {
			poller.Status{
				State: poller.StateNoSink, Owned: true, Cause: "full", Since: before(31 * time.Second),
				LastSuccessfulPoll: before(32 * time.Second), Interval: time.Minute,
			},
			"the last successful poll was 32 s ago (no sink): full",
		},
		"no sink in passing": {
			poller.Status{
				State: poller.StateNoSink, Owned: true, Cause: "full", Since: before(29 * time.Second),
				LastSuccessfulPoll: before(32 * time.Second), Interval: time.Minute,
			}, "",
		},
		"a commit that hangs": {
			poller.Status{
				State: poller.StateCommitting, Owned: true, Since: before(time.Minute),
				LastSuccessfulPoll: before(time.Minute), Interval: time.Minute,
			},
			"the last successful poll was 60 s ago (committing)",
		},
		"spent": {
			poller.Status{State: poller.StateSpent, Owned: true, Cause: "used up"},
			"the month's budget is spent: used up",
		},
		"stopped": {poller.Status{State: poller.StateStopped}, "stopped"},
	} {
		if got := trouble(c.status, now); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A stream that is taken over and waits for its first call has no trouble with the sink.
func TestHappening_TakenOver(t *testing.T) {
	s := StreamReport{Status: poller.Status{State: poller.StateAcquiring, Owned: true}}
	if got := Happening(s.Status) + s.Advice() + runbookOf(s.Status); strings.Contains(strings.ToLower(got), "sink") {
		t.Error(got)
	}
}
