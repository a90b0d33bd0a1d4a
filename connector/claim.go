package connector

import (
	"fmt"
	"strings"
	"time"
)

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
	case comparable && !c.Stream.HasSourceKey(found.SourceKey):
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

// RefuseOrphans returns the refusal of a stream that has events but no checkpoint (rule 9).
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
