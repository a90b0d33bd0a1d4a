package poller

import (
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// StreamState is what a stream is doing. Each state calls for a different reaction of the operator.
type StreamState string

// The states of a stream.
const (
	StateAcquiring  StreamState = "acquiring"   // acquiring the stream's log in the sink
	StateLive       StreamState = "live"        // everything that is listed is in the sink
	StateCatchingUp StreamState = "catching_up" // delivered in part, or not certified yet
	StateNoSource   StreamState = "no_source"   // pages cannot be read; the cause says why
	StateNoSink     StreamState = "no_sink"     // the sink takes nothing; nothing is polled meanwhile
	StateCommitting StreamState = "committing"  // a commit has been under way for longer than two seconds
	StateRefused    StreamState = "refused"     // the sink refuses this stream, which a person has to fix
	StateSpent      StreamState = "spent"       // the month's budget of calls is used up, and no more calls are made
	StateStalled    StreamState = "stalled"     // the list contradicts itself walk after walk
	// the list shows none of the delivered messages; it is looked at again until that is believed
	StateSuspect StreamState = "suspect"
	StateStandby StreamState = "standby" // another instance owns the stream
	StateStopped StreamState = "stopped"
)

var states = [...]StreamState{
	StateAcquiring, StateLive, StateCatchingUp, StateNoSource, StateNoSink, StateCommitting, StateRefused, StateSpent,
	StateStalled,
	StateSuspect, StateStandby, StateStopped,
}

// Status is the recorded state of a stream; reading it makes no requests. Times are zero if the event has not happened
// yet.
type Status struct {
	Stream string      `json:"stream"`
	State  StreamState `json:"state"`
	Since  time.Time   `json:"since"`
	// Cause is the last error, free of personal data; empty while all is well.
	Cause string `json:"cause,omitempty"`
	// Fault is the kind of failure that keeps pages from being read, if there is one.
	Fault connector.PageFault `json:"fault,omitempty"`
	// Hint is what a person can do about the cause; empty if there is nothing to do.
	Hint string `json:"hint,omitempty"`
	// NextAttempt is when the failed operation is tried again.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	// Owned is true if this instance owns the stream.
	Owned bool `json:"owned"`

	LastSuccessfulPoll time.Time `json:"last_successful_poll,omitzero"`
	NextPoll           time.Time `json:"next_poll,omitzero"`  // if nothing prevents reading
	LastSweep          time.Time `json:"last_sweep,omitzero"` // when the newest one was completed
	LastRequest        time.Time `json:"last_request,omitzero"`
	NewestMessage      time.Time `json:"newest_message,omitzero"`
	ConfirmedUntil     time.Time `json:"confirmed_until,omitzero"`

	Sequence         uint64    `json:"sequence"`
	Certified        uint64    `json:"certified"`
	Unconfirmed      uint64    `json:"open"`
	UnconfirmedSince time.Time `json:"open_since,omitzero"`
	BacklogPage      int       `json:"backlog_page"`
	Seen             int       `json:"seen"`

	Requests  uint64             `json:"requests"`
	Delivered uint64             `json:"delivered"`
	Counters  connector.Counters `json:"counters"`
	// Quarantined is how many messages lie in the quarantine: neither delivered from there nor erased since.
	Quarantined uint64 `json:"quarantined"`
	Fenced      uint64 `json:"fenced"`
	Unclear     uint64 `json:"unclear"`

	// LastCommit is when the sink took the newest commit, and LastCommitTook how long that took.
	LastCommit     time.Time     `json:"last_commit,omitzero"`
	LastCommitTook time.Duration `json:"last_commit_took_ns,omitzero"`
	// CatchUp is zero while the stream is not behind.
	CatchUp CatchUp `json:"catch_up,omitzero"`

	// EndOpen is true while the end of the list that the first start met is still to be checked, which takes some minutes.
	EndOpen bool `json:"end_open,omitempty"`
	// Horizon is true if the list lost all ground and its older part is held (rule 8). Accepting is the progress of its
	// delivery, if the operator asked for it.
	Horizon   bool                   `json:"horizon,omitempty"`
	Accepting *reader.AcceptProgress `json:"accepting,omitempty"`
	Interval  time.Duration          `json:"interval_ns"`
}
