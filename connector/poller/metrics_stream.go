package poller

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// outcome is the result of a request or a commit, as a label.
type outcome string

const (
	outcomeOK        outcome = "ok"
	outcomeUnchanged outcome = "unchanged"
	outcomeFenced    outcome = "fenced"
	outcomeUnclear   outcome = "unclear"
	outcomeNotNow    outcome = "not_now"
	outcomeRejected  outcome = "rejected"
	outcomeRefused   outcome = "refused"
)

var (
	requestOutcomes = [...]outcome{
		outcomeOK, outcomeUnchanged, outcome(connector.FaultTransient), outcome(connector.FaultInvalid),
		outcome(connector.FaultRateLimited),
		outcome(connector.FaultCredits), outcome(connector.FaultKey), outcome(connector.FaultBlocked),
		outcome(connector.FaultNumber), outcome(connector.FaultRequest),
	}
	commitOutcomes = [...]outcome{outcomeOK, outcomeFenced, outcomeUnclear, outcomeNotNow, outcomeRejected, outcomeRefused}
	results        = [...]string{"delivered", "late", "rejected", "held", "empty", "suppressed"}
)

// streamMetrics are the metrics of one stream. They may be used from several goroutines.
type streamMetrics struct {
	stream string

	mu     sync.Mutex
	counts streamCounts
	status Status
	shown  bool // a status has been shown
}

// streamCounts are the counters of a stream, in the order of the outcomes and results above.
type streamCounts struct {
	requests          [len(requestOutcomes)]uint64
	messages          [len(results)]uint64
	commits           [len(commitOutcomes)]uint64
	moved             uint64
	walked, committed durations
}

// now returns the current values; shown is false if there is no status yet.
func (s *streamMetrics) now() (counts streamCounts, status Status, shown bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts, s.status, s.shown
}

func (s *streamMetrics) request(page connector.Page, err error) {
	got := outcomeOK
	var fault *connector.PageError
	switch {
	case errors.As(err, &fault):
		got = outcome(fault.Fault)
	case err != nil:
		return // the context ended
	case page.Unchanged:
		got = outcomeUnchanged
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(requestOutcomes[:], got); i >= 0 {
		s.counts.requests[i]++
	}
}

func (s *streamMetrics) commit(took time.Duration, err error, trace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.committed.observe(took, trace)
	s.counts.commits[slices.Index(commitOutcomes[:], commitOutcome(err))]++
}

// commitOutcome classifies the result of a commit.
func commitOutcome(err error) outcome {
	var rejected *connector.Rejected
	var refusal *connector.Refusal
	switch {
	case err == nil:
		return outcomeOK
	case errors.Is(err, connector.ErrFenced):
		return outcomeFenced
	case errors.Is(err, connector.ErrNotNow):
		return outcomeNotNow
	case errors.As(err, &rejected):
		return outcomeRejected
	case errors.As(err, &refusal):
		return outcomeRefused
	}
	return outcomeUnclear
}

func (s *streamMetrics) step(out reader.Outcome, took time.Duration, trace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.walked.observe(took, trace)
	for i, n := range [...]int{out.Delivered, out.Late, out.Rejected, out.Held} {
		s.counts.messages[i] += uint64(n)
	}
}

// counted adds the changes of a stream's counters that a step's outcome does not include.
func (s *streamMetrics) counted(before, after connector.Counters) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, n := range [...]uint64{after.Empty - min(before.Empty, after.Empty), after.Suppressed - min(before.Suppressed,
		after.Suppressed)} {
		s.counts.messages[len(results)-2+i] += n
	}
}

func (s *streamMetrics) moved() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.moved++
}

// show sets the gauges from a status.
func (s *streamMetrics) show(status Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.shown = status, true
}
