package connector

import (
	"context"
	"errors"
)

// Log is one stream's log in a sink. It is used by one goroutine at a time.
type Log interface {
	// Acquire takes the stream over: it checks with Claim.Admit that the newest checkpoint is this stream's, fences any
	// earlier owner (whose commits are refused from then on), resolves what that owner left unclear, and returns the
	// checkpoint in force with the newest events and rejects. It may be called at any time, and has to be called after an
	// unclear commit. The error is ErrNotNow if the sink is down, a *Refusal if a person has to decide something; any
	// other error is unclear: try again.
	Acquire(ctx context.Context) (State, error)

	// Commit appends the events in order, the rejects to the quarantine, and records next, all or nothing, within Limits.
	// events and rejects may both be empty. Outcomes:
	//	nil          done and durable
	//	ErrFenced    another owner has taken over; nothing was written, and nothing will be until Acquire
	//	*Rejected    this one message cannot be stored, tried alone; nothing was written, go on without it
	//	ErrNotNow    nothing was written: full, busy or down; back off, do not poll, commit the same again
	//	other        unclear: it may have been written or may yet be; Acquire before anything else
	// Commit keeps none of its arguments.
	Commit(ctx context.Context, events []Event, rejects []Reject, next Checkpoint) error

	// Peek returns the newest checkpoint without taking the stream over; found is false if there is none. It has no side
	// effect, and its answer may already be outdated.
	Peek(ctx context.Context) (checkpoint Checkpoint, found bool, err error)

	// Limits returns how much one Commit may take.
	Limits() Limits

	// Close releases the log. It may be called more than once.
	Close() error
}

// Limits bounds one commit.
type Limits struct {
	// Messages is the number of events and rejects together.
	Messages int
	// Bytes is the size of their data. A single larger event is committed alone, and the sink decides about it.
	Bytes int
}

// State is what Acquire returns.
type State struct {
	Checkpoint Checkpoint
	// Seen lists the newest events in log order, at most Claim.Window of them. A sequence that is missing between two
	// others, or between the last and Checkpoint.Sequence, was erased from the sink or has expired there.
	Seen []Seen
	// Erased lists, by sequence, what was erased from the log and the quarantine on request: these messages are known, and
	// are never delivered again.
	Erased []Seen
}

// Seen is one event of the log as it is stored in the sink.
type Seen struct {
	Key      Key
	Sequence uint64
	Late     bool
}

// ErrFenced means that another owner has taken the stream over. The caller must stop writing.
var ErrFenced = errors.New("fenced: another instance has taken this stream over")

// ErrNotNow means that nothing was written, and that the sink may take the same later: it is full, busy or down.
var ErrNotNow = errors.New("the sink does not take anything now")

// Rejected means that one message can never be stored in this sink. Sinks return it only for messages that are too
// large or cannot be encoded.
type Rejected struct {
	Key    Key
	Reason string
}

func (r *Rejected) Error() string { return "the sink rejects a message: " + r.Reason }
