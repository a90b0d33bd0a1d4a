package poller

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// The next step depends only on the situation.
func TestSituation_Next(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	rest := situation{
		owns: true, rested: true, now: now, nextPoll: now.Add(time.Second), lastSweep: now.Add(-time.Hour),
		every: time.Hour,
	}
	with := func(change func(*situation)) situation {
		s := rest
		change(&s)
		return s
	}
	for name, test := range map[string]struct {
		situation situation
		want      step
	}{
		"nothing is owned":        {situation{}, stepAcquire},
		"at rest, a sweep is due": {rest, stepSweep},
		"a sweep is not due yet": {
			with(func(s *situation) { s.lastSweep = now.Add(time.Nanosecond - time.Hour) }),
			stepPoll,
		},
		"no sweeps are wanted":             {with(func(s *situation) { s.every = 0 }), stepPoll},
		"held messages are to be read":     {with(func(s *situation) { s.every, s.betweenPolls = 0, true }), stepSweep},
		"the poll is due":                  {with(func(s *situation) { s.nextPoll = now }), stepPoll},
		"the poll is due, held messages":   {with(func(s *situation) { s.nextPoll, s.betweenPolls = now, true }), stepPoll},
		"not at rest":                      {with(func(s *situation) { s.rested = false }), stepPoll},
		"not at rest, with held messages":  {with(func(s *situation) { s.rested, s.betweenPolls = false, true }), stepPoll},
		"not at rest, nothing is owned":    {with(func(s *situation) { s.rested, s.owns = false, false }), stepAcquire},
		"a sweep is due, nothing is owned": {with(func(s *situation) { s.owns = false }), stepAcquire},
	} {
		if got := test.situation.next(); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// The reaction to an error depends only on the error, however often it was wrapped.
func TestFailureOf(t *testing.T) {
	refusal := &connector.Refusal{Thing: "topic a", Cause: "no right", Hint: "grant it"}
	for want, causes := range map[failure][]error{
		failureRefused: {refusal, &reader.UnresolvedError{Cause: refusal}},
		failureSource:  {&connector.PageError{Fault: connector.FaultKey}},
		failureFenced:  {connector.ErrFenced, fmt.Errorf("%w: %w", connector.ErrFenced, connector.ErrNotNow)},
		failureSuspect: {&reader.Suspicion{}},
		failureStalled: {reader.ErrStalled, reader.Stalled("page %d", 7)},
		failureMoved:   {reader.ErrMoved},
		failureEmpty:   {reader.ErrEmpty},
		failureReread: {
			&reader.UnresolvedError{Cause: connector.ErrNotNow},
			&reader.UnresolvedError{Cause: errors.New("no answer")},
			&connector.Rejected{Key: connectortest.Message(5).Key, Reason: "too large"},
		},
		failureSink:    {connector.ErrNotNow},
		failureUnclear: {errors.New("no answer")},
	} {
		for _, cause := range causes {
			if got := failureOf(fmt.Errorf("poll: %w", cause)); got != want {
				t.Errorf("%v: %d, want %d", cause, got, want)
			}
		}
	}
}
