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
	// Settings is the Checkpoint.Settings with which events will be written; "" keeps what is recorded.
	Settings string
	// Instance identifies this process, uniquely among all that ever run.
	Instance string
	// TypePrefix is the prefix of event types; the sink needs it to write checkpoints.
	TypePrefix string
	// Window is how many of the newest events Acquire returns at most.
	Window int
	// FirstStart is set if the operator declared that events without a checkpoint are the log so far.
	FirstStart bool
	// After is the sequence after which the log continues at least, if FirstStart is set: the numbers up to it were used
	// before.
	After uint64
	// Rekey is set if the operator accepted that the privacy mode changes, and with it the tokens of chats.
	Rekey bool
	// Restore is set if the operator provides a checkpoint from elsewhere. It replaces the one that is found.
	Restore *Checkpoint
	// Rename is set if the operator renames a stream. The claim is for its former name or for its new one.
	Rename *Rename
}

// Admit returns a *Refusal if the checkpoint that was found under the stream's name may not be taken over.
func (c Claim) Admit(found Checkpoint) error {
	thing := "stream " + c.Stream.Name
	switch {
	case found.RenamedTo != "" && !c.Rename.names(found.RenamedTo):
		return &Refusal{
			thing, fmt.Sprintf("it was renamed to %q", found.RenamedTo),
			fmt.Sprintf("set `name: %s`; or stop what runs under that name, and take the name back with "+
				"`twochat-connector checkpoint rename %s %s`", found.RenamedTo, found.RenamedTo, c.Stream.Name),
		}
	case c.Comparable(found) && !c.Stream.HasSourceKey(found.SourceKey) && !c.Retired(found):
		return &Refusal{
			thing, "its name is in use in this sink for another list (other number, remote or base URL)",
			"give one of the two another name with `name:`; if only the base URL has changed, stop what runs with the former " +
				"one, and accept that with " + c.MoveCommand(found),
		}
	case c.Restore != nil && found.Sequence > c.Restore.Sequence:
		return &Refusal{
			thing, fmt.Sprintf("the sink's checkpoint is at sequence %d, and would go back to %d", found.Sequence, c.Restore.Sequence),
			"keep the sink's checkpoint, or import one that was exported later",
		}
	case c.Retired(found): // it gets the other name's checkpoint, or nothing is written under it
	case found.Privacy != c.Privacy && !c.Rekey:
		return &Refusal{
			thing, fmt.Sprintf("its events were written with privacy %q, but the configuration has %q, which would move chats to other keys", found.Privacy, c.Privacy),
			"set the former mode and key again, or accept it with `twochat-connector run --rekey`",
		}
	}
	return nil
}

// Comparable reports whether the source key of a checkpoint shows whether it is of the claim's list. One that was made
// with another pseudonym key does not. In that case the privacy differs too, and the operator has to accept it.
func (c Claim) Comparable(found Checkpoint) bool {
	return found.Privacy == c.Privacy || !keyed(found.Privacy)
}

// MoveCommand is the command that accepts another base URL. The tokens of chats depend on it unless a mode says
// otherwise; then the command has to be told that this is wanted.
func (c Claim) MoveCommand(found Checkpoint) string {
	if found.Privacy == c.Privacy && (keyed(c.Privacy) || c.Privacy == privacyClear) {
		return "`twochat-connector checkpoint move --from FORMER-URL`"
	}
	return "`twochat-connector checkpoint move --from FORMER-URL --rekey`, as chats get other keys"
}

// privacyClear is the mode in which chats are named as they are.
const privacyClear = "clear"

// keyed reports whether a privacy names a key, after a colon (see Checkpoint.Privacy).
func keyed(privacy string) bool { return strings.Contains(privacy, ":") }

// TakeOver returns the checkpoint that an Acquire writes: the one that was found, or the first of the stream, with its
// epoch raised by one.
func (c Claim) TakeOver(found Checkpoint, now time.Time) Checkpoint {
	next := found
	if c.Restore != nil {
		next = *c.Restore
		next.Epoch, next.Sink = max(next.Epoch, found.Epoch), found.Sink
	}
	next.FormerKeys = c.rekeyed(next)
	next.FormerSettings = c.resettled(next)
	if c.Settings != "" {
		next.Settings = c.Settings
	}
	next.Version, next.Stream, next.SourceKey, next.Privacy = CheckpointVersion, c.Stream.Name, c.Stream.SourceKey,
		c.Privacy
	next.Epoch, next.Owner, next.Written = next.Epoch+1, c.Instance, now
	next.RenamedTo = ""
	if c.Rename != nil && c.Stream.Name == c.Rename.From {
		next.RenamedTo = c.Rename.To
	}
	if c.Rename != nil && c.Stream.Name == c.Rename.To {
		next.FormerNames = c.Rename.formerNames(next.FormerNames)
	}
	if c.FirstStart && c.After > next.Sequence {
		// The keys of the lost events are unknown, so those messages that are still listed count as new.
		if next.Sequence == next.Base {
			next.Base = c.After
		} else {
			next.Skipped = next.Skipped.With(SequenceRange{From: next.Sequence + 1, To: c.After})
		}
		next.Sequence, next.Certified, next.Tail, next.TailLate = c.After, c.After, nil, nil
	}
	return next
}

// FirstStartAfter is the command that lets one stream continue after a sequence at least. A sink uses it in the hints of
// its refusals: each stream has numbers of its own, so a number for one would skip some of another. AllStreams as the
// stream means all of them.
func FirstStartAfter(stream string, sequence uint64) string {
	return fmt.Sprintf("`twochat-connector run --first-start=%s:%d`", stream, sequence)
}

// AllStreams stands for the name of every stream in FirstStartAfter.
const AllStreams = "all"

// RefuseOrphans returns the refusal of a stream that has events but no checkpoint (rule 9).
func (c Claim) RefuseOrphans() error {
	return &Refusal{
		"stream " + c.Stream.Name, "the sink holds events of this stream but no checkpoint",
		"restore the checkpoint, from a file with `twochat-connector checkpoint import FILE`, or continue after the newest event " +
			"with `twochat-connector run --first-start`",
	}
}

// RefuseAlias returns the refusal of a list that is already read under another name.
func (c Claim) RefuseAlias(other string) error {
	return &Refusal{
		"stream " + c.Stream.Name, fmt.Sprintf("the sink already holds this list under the name %q", other),
		fmt.Sprintf("set `name: %s`; or stop what runs under that name, and give it the new one with "+
			"`twochat-connector checkpoint rename %s %s`; the same messages would be written twice", other, other,
			c.Stream.Name),
	}
}
