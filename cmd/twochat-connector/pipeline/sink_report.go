package pipeline

import (
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

// SinkState is how the sink is by itself, whatever 2Chat does.
type SinkState string

// The states of a sink, the worst first.
const (
	SinkNotReached SinkState = "not_reached" // it was not reached since the start
	SinkRefuses    SinkState = "refuses"     // it refuses streams, which a person has to fix
	SinkDown       SinkState = "down"        // it takes nothing
	SinkSlow       SinkState = "slow"        // a commit has been under way for longer than two seconds
	SinkWell       SinkState = "well"        // nothing that was asked of it has failed
)

// sinkReport is what is known of the sink, from what the streams have met.
type sinkReport struct {
	Kind    string            `json:"kind"`
	Address string            `json:"address"`
	Promise connector.Promise `json:"promise"`
	// Checked says that the sink was reached and refused nothing; Waiting why it could not be reached yet, Hint what to
	// do.
	Checked bool   `json:"checked"`
	Waiting string `json:"waiting,omitempty"`
	Hint    string `json:"hint,omitempty"`

	State SinkState `json:"state"`
	// Streams is how many streams have met this state, Cause what the first of them was told.
	Streams int    `json:"streams,omitempty"`
	Cause   string `json:"cause,omitempty"`
	// LastCommit is the newest commit of any stream, Took how long the sink took for it.
	LastCommit time.Time     `json:"last_commit,omitzero"`
	Took       time.Duration `json:"last_commit_took_ns,omitzero"`
}

// sinkReport begins the report with what is known of the sink as a whole.
func (l *Pipeline) sinkReport() sinkReport {
	l.recorded.mu.Lock()
	defer l.recorded.mu.Unlock()
	r := sinkReport{
		Kind: l.Config.Sink.Chosen()[0], Address: l.Config.Sink.Address(), Promise: l.Sink.Promise(),
		Checked: l.recorded.sinkOK, Waiting: l.recorded.waiting.Text, Hint: l.recorded.waiting.Hint, State: SinkWell,
	}
	if !r.Checked {
		r.State, r.Cause = SinkNotReached, r.Waiting
	}
	return r
}

// heard adds what a stream has met of the sink.
func (r *sinkReport) heard(s poller.Status) {
	if s.LastCommit.After(r.LastCommit) {
		r.LastCommit, r.Took = s.LastCommit, s.LastCommitTook
	}
	state := SinkWell
	switch s.State {
	case poller.StateRefused:
		state = SinkRefuses
	case poller.StateNoSink:
		state = SinkDown
	case poller.StateCommitting:
		state = SinkSlow
	}
	switch worse := sinkBadness(state) - sinkBadness(r.State); {
	case state == SinkWell || worse < 0:
	case worse == 0:
		r.Streams++
	default:
		r.State, r.Streams, r.Cause = state, 1, s.Cause
	}
}

// sinkBadness orders the states.
func sinkBadness(s SinkState) int {
	switch s {
	case SinkNotReached:
		return 4
	case SinkRefuses:
		return 3
	case SinkDown:
		return 2
	case SinkSlow:
		return 1
	}
	return 0
}

// Text says in words how the sink is.
func (r sinkReport) Text() string {
	switch r.State {
	case SinkNotReached:
		return "not reached yet"
	case SinkRefuses:
		return "it refuses " + text.Counted(r.Streams, "stream")
	case SinkDown:
		return "it takes nothing of " + text.Counted(r.Streams, "stream")
	case SinkSlow:
		return "slow: a commit of " + text.Counted(r.Streams, "stream") + " is under way for long"
	}
	if r.LastCommit.IsZero() {
		return "well; nothing was committed since the start"
	}
	return "well"
}
