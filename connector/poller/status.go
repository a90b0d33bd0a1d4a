package poller

import (
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// StreamState is what a stream is doing, told apart so that an operator knows whom to call.
type StreamState string

// The states of a stream.
const (
	StateAcquiring  StreamState = "acquiring"   // asking the sink for the stream's place
	StateLive       StreamState = "live"        // all that is listed is in the sink
	StateCatchingUp StreamState = "catching_up" // delivered in part, or not certified yet
	StateNoSource   StreamState = "no_source"   // pages cannot be read; the cause says why
	StateNoSink     StreamState = "no_sink"     // the sink takes nothing; nothing is polled meanwhile
	StateCommitting StreamState = "committing"  // a commit has been under way for longer than two seconds
	StateRefused    StreamState = "refused"     // the sink refuses the stream by name, which a person has to mend
	StateSpent      StreamState = "spent"       // the month's budget of calls is used up, and not one more is made
	StateStalled    StreamState = "stalled"     // the list contradicts itself walk after walk
	// the list shows nothing of what was delivered; looked at until it is believed
	StateSuspect StreamState = "suspect"
	StateStandby StreamState = "standby" // another instance owns the stream
	StateStopped StreamState = "stopped"
)

var states = [...]StreamState{
	StateAcquiring, StateLive, StateCatchingUp, StateNoSource, StateNoSink, StateCommitting, StateRefused, StateSpent,
	StateStalled,
	StateSuspect, StateStandby, StateStopped,
}

// Status is what is recorded of a stream: facts, nothing asked for on the spot. Times are zero where there was nothing
// yet.
type Status struct {
	Stream string      `json:"stream"`
	State  StreamState `json:"state"`
	Since  time.Time   `json:"since"`
	// Cause is the last error, free of personal data; empty while all is well.
	Cause string `json:"cause,omitempty"`
	// Fault is the kind of failure that keeps pages from being read, where one does.
	Fault connector.PageFault `json:"fault,omitempty"`
	// Hint is what a person can do about the cause; empty where there is nothing to do.
	Hint string `json:"hint,omitempty"`
	// NextAttempt is when what does not work now is tried again.
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	// Owned says whether this instance holds the stream's place in the sink.
	Owned bool `json:"owned"`

	LastSuccessfulPoll time.Time `json:"last_successful_poll,omitzero"`
	LastSweep          time.Time `json:"last_sweep,omitzero"` // when the newest one came to its end
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
	Fenced    uint64             `json:"fenced"`
	Unclear   uint64             `json:"unclear"`

	// EndOpen says that it is not settled yet where the list ended at the first start: it is looked at again for some
	// minutes.
	EndOpen bool `json:"end_open,omitempty"`
	// Horizon says that the list lost all ground and its older part is held (rule 8); Accepting, how far its delivery has
	// come, where the operator said so.
	Horizon   bool                   `json:"horizon,omitempty"`
	Accepting *reader.AcceptProgress `json:"accepting,omitempty"`
	Interval  time.Duration          `json:"interval_ns"`
}
