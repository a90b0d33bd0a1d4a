package connector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Log is one stream's log in a sink. It is used by one goroutine at a time.
type Log interface {
	// Acquire takes the stream over: it checks with Claim.Admit that the newest checkpoint is this stream's, fences any
	// earlier owner (whose commits are refused from then on), resolves what that owner left unclear, and returns the
	// checkpoint in force with the newest events and rejects. It may be called again at any time, and has to be after an
	// unclear commit. The error is ErrNotNow if the sink is down, a *Refusal if a person has to decide something, and any
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
	// effect, and its answer may be outdated when it is read.
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
	// Bytes is the size of their data in bytes. A single larger event is committed alone, and the sink decides about it.
	Bytes int
}

// State is what Acquire returns.
type State struct {
	Checkpoint Checkpoint
	// Seen lists the newest events in log order, at most Claim.Window of them. A sequence that is missing between two
	// others, or between the last and Checkpoint.Sequence, was erased from the sink or has expired there.
	Seen []Seen
}

// Seen is one event of the log as it is stored in the sink.
type Seen struct {
	Key      Key
	Sequence uint64
	Late     bool
}

// Reject is a message that cannot become an event, on its way to the quarantine.
type Reject struct {
	Key      Key
	Reason   string // names no one and quotes nothing
	Raw      []byte // the item, cut to QuarantineBytes; empty if the privacy settings forbid keeping it
	Length   int    // of the whole item
	Hash     string // SHA-256 of the whole item, in hex
	Recorded time.Time

	Place Key // by which a message without a UUID is known too
}

// QuarantineBytes is how much of a rejected item is kept.
const QuarantineBytes = 64 << 10

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

// Refusal is a condition that only a person can fix; trying again does not help.
type Refusal struct {
	Thing string // what is concerned
	Cause string // what is wrong with it
	Hint  string // what to do
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s; %s", r.Thing, r.Cause, r.Hint) }

// Claim describes who acquires a stream's log, and what they expect to find there.
type Claim struct {
	Stream Stream
	// Privacy is the expected Checkpoint.Privacy.
	Privacy string
	// Instance identifies this process, uniquely among all that ever run.
	Instance string
	// TypePrefix is the prefix of event types; the sink needs it to write checkpoints.
	TypePrefix string
	// Window is how many of the newest events Acquire returns at most.
	Window int
	// FirstStart is set if the operator said that events without a checkpoint are to be taken as the log so far.
	FirstStart bool
	// After is the sequence after which the log continues at least, if FirstStart is set: numbers up to it were used
	// before.
	After uint64
	// Rekey is set if the operator said that the privacy mode may change, and with it the tokens of chats.
	Rekey bool
}

// Admit returns a *Refusal if the checkpoint that was found under the stream's name may not be taken over.
func (c Claim) Admit(found Checkpoint) error {
	thing := "stream " + c.Stream.Name
	// A source key that was made with another pseudonym key cannot be compared. In that case the privacy differs as well,
	// and the operator has to allow it.
	comparable := found.Privacy == c.Privacy || !keyed(found.Privacy)
	switch {
	case comparable && !c.Stream.Is(found.SourceKey):
		return &Refusal{
			thing, "its name is in use in this sink for another list (other number, remote or base URL)",
			"give one of the two another name with `name:`",
		}
	case found.Privacy != c.Privacy && !c.Rekey:
		return &Refusal{
			thing, fmt.Sprintf("its events were written with privacy %q, the configuration says %q, and chats would move to other keys", found.Privacy, c.Privacy),
			"set the former mode and key again, or accept it with `run --rekey`",
		}
	}
	return nil
}

// keyed reports whether a privacy names a key, after a colon (see Checkpoint.Privacy).
func keyed(privacy string) bool { return strings.Contains(privacy, ":") }

// TakeOver returns the checkpoint that an Acquire writes: the one that was found, or the first of the stream, with its
// epoch raised by one.
func (c Claim) TakeOver(found Checkpoint, now time.Time) Checkpoint {
	next := found
	next.Version, next.Stream, next.SourceKey, next.Privacy = CheckpointVersion, c.Stream.Name, c.Stream.SourceKey,
		c.Privacy
	next.Epoch, next.Owner, next.Written = found.Epoch+1, c.Instance, now
	if c.FirstStart && c.After > next.Sequence {
		// The keys of the lost events are unknown, so those that are still listed count as new.
		if next.Sequence == next.Base {
			next.Base = c.After
		}
		next.Sequence, next.Certified, next.Tail, next.TailLate = c.After, c.After, nil, nil
	}
	return next
}

// RefuseOrphans returns the refusal of a stream that has events but no checkpoint.
func (c Claim) RefuseOrphans() error {
	return &Refusal{
		"stream " + c.Stream.Name, "the sink holds events of this stream but no checkpoint",
		"restore the checkpoint, or go on after the newest event with `run --first-start`",
	}
}

// RefuseAlias returns the refusal of a list that is already read under another name.
func (c Claim) RefuseAlias(other string) error {
	return &Refusal{
		"stream " + c.Stream.Name, fmt.Sprintf("the sink already holds this list under the name %q", other),
		fmt.Sprintf("set `name: %s`; the same messages would be written twice", other),
	}
}

// Finding is one result of a check of the sink's or the API's settings.
type Finding struct {
	Level FindingLevel `json:"level"`
	Thing string       `json:"thing"`
	Text  string       `json:"text"`
	// Hint is what to do about it, with a command if there is one; empty if nothing is to be done.
	Hint string `json:"hint,omitempty"`
	// Missing means that the thing only does not exist yet, and that the sink's Create makes it.
	Missing bool `json:"missing,omitempty"`
}

// FindingLevel is the severity of a finding.
type FindingLevel string

// The levels: all is well; the promise is weaker than it could be; the connector will not run like this.
const (
	FindingOK      FindingLevel = "ok"
	FindingWarning FindingLevel = "warning"
	FindingRefused FindingLevel = "refused"
)

// Promise is the delivery guarantee of a sink, for `explain` and the start log.
type Promise struct {
	// Once is true if each message is stored exactly once, whatever crashes.
	Once bool `json:"once"`
	// Text is the guarantee in one sentence, and for whom it holds.
	Text string `json:"text"`
	// But lists what can still be lost or duplicated, one sentence each.
	But []string `json:"but,omitempty"`
}
