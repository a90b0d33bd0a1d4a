package connector

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// CheckpointVersion is the format that this program writes. A newer one is refused.
const CheckpointVersion = 1

// Checkpoint is the state of a stream that a commit records together with its events: everything that has to survive a
// crash.
type Checkpoint struct {
	Version   int    `json:"version"`
	Stream    string `json:"stream"`
	SourceKey string `json:"source_key"`
	// Privacy names the privacy mode and, if it has one, the id of its key. The tokens of chats stay the same only as long
	// as it does.
	Privacy string `json:"privacy"`
	// RenamedTo is the stream's new name, if the operator has renamed it. The checkpoint is not in force any more.
	RenamedTo string `json:"renamed_to,omitempty"`
	// FormerNames are the stream's former names in this sink, oldest first. Its older events lie under them.
	FormerNames []string `json:"former_names,omitempty"`
	// FormerKeys are the ways in which chats were named before, oldest first, each up to a sequence.
	FormerKeys FormerKeys `json:"former_keys,omitempty"`
	// Settings names what decides, besides the privacy, what of a message its event holds. FormerSettings are those that
	// were in force before, oldest first, each up to a sequence.
	Settings       string          `json:"settings,omitempty"`
	FormerSettings SettingsHistory `json:"former_settings,omitempty"`
	// Elsewhere are the sequences whose events were delivered to other sinks, so this one's log has none of them.
	Elsewhere SequenceRanges `json:"elsewhere,omitempty"`
	// Skipped are the sequences that the log passed over at the operator's word, as an earlier state of it may have used
	// them. Whether they ever had events cannot be told.
	Skipped SequenceRanges `json:"skipped,omitempty"`
	// ImportedFrom describes, for people, the sink from which the checkpoint was imported into this one; "" if it was not,
	// or if that is not known.
	ImportedFrom string `json:"imported_from,omitempty"`
	// Epoch fences earlier owners: every Acquire raises it by one (Claim.TakeOver), and it never falls.
	Epoch uint64 `json:"epoch"`
	// Owner is the running instance that wrote the checkpoint.
	Owner   string    `json:"owner"`
	Written time.Time `json:"written"`

	// Started is false until the stream's first start has recorded which listed messages it leaves out (the floor).
	Started bool `json:"started"`
	// Sequence is that of the last event; up to Certified everything is ground.
	Sequence  uint64 `json:"sequence"`
	Certified uint64 `json:"certified"`
	// Base is the sequence after which this log begins: usually 0, or a number that the operator gave because an earlier
	// log used the numbers up to it.
	Base uint64 `json:"base,omitempty"`
	// Floor holds the newest messages that were listed at the first start and left out. Horizon holds the newest messages
	// that were held when all ground was gone. Both count as ground.
	Floor   Keys `json:"floor,omitempty"`
	Horizon Keys `json:"horizon,omitempty"`
	// HorizonAt is the certified sequence when the horizon was set: only later events can be listed above it.
	HorizonAt uint64 `json:"horizon_at,omitempty"`
	// HorizonNewer is set if, when the horizon was set, there were messages newer than this time below its first message.
	// These were new and were delivered, so they are not held.
	HorizonNewer time.Time `json:"horizon_newer,omitzero"`
	// UncheckedEnd is set while the end of the list that the first start met is still to be checked (rule 12).
	UncheckedEnd *UncheckedEnd `json:"bottom,omitempty"`
	// Accepting is the progress of delivering held messages; nil if none is in progress. Accepted is true once everything
	// at and below the horizon was delivered in this way. AcceptHistoryUsed is true once `run --accept-history` was
	// carried out, as the flag may stay in a manifest.
	Accepting         *Acceptance `json:"accepting,omitempty"`
	Accepted          bool        `json:"accepted,omitempty"`
	AcceptHistoryUsed bool        `json:"word_spent,omitempty"`
	// Tail holds the keys of the log's newest events, oldest first, without a gap up to Sequence: all uncertified ones and
	// the newest 128 certified ones. TailLate holds the indexes of the late ones in Tail.
	Tail     Keys  `json:"tail,omitempty"`
	TailLate []int `json:"tail_late,omitempty"`
	// GroundTime is the median time of the newest 21 ground messages that have a time; zero if none has one.
	GroundTime time.Time `json:"ground_time,omitzero"`
	// Rejects holds the keys of the newest quarantined messages, oldest first.
	Rejects Keys `json:"rejects,omitempty"`

	Counters Counters `json:"counters"`
	// MonthBegun is when the account's month of calls was last seen to start; zero if it never was. It belongs to the
	// account, not to the stream, and is kept here so that it survives a restart (quota.Budget.Recall).
	MonthBegun time.Time `json:"month_begun,omitzero"`
	// Sink holds the sink's own positions, in its own form.
	Sink json.RawMessage `json:"sink,omitempty"`
}

// Acceptance is the progress of delivering held messages, from the end of the list upward. It is immutable.
type Acceptance struct {
	// Top is the horizon as it was when the delivery began. The delivery ends at the first of these keys that is listed.
	Top Keys `json:"top"`
	// Below means that the messages of Top are in the log, and those below them are not.
	Below bool `json:"below,omitempty"`
	// Done holds the highest rows that are done, newest first; none at the beginning. Everything below the first of them
	// is done.
	Done Keys `json:"done,omitempty"`
	// Row is the place of the first of Done in the list, counted from the top, when the log's sequence was At.
	Row int    `json:"row,omitempty"`
	At  uint64 `json:"at,omitempty"`
	// Newer is HorizonNewer as it was when the delivery began. Delivered is how many events it has delivered.
	Newer     time.Time `json:"newer,omitzero"`
	Delivered uint64    `json:"delivered,omitempty"`
}

// UncheckedEnd is the end of the list that the first start met, below the log's oldest events, while it is still to be
// checked whether the list goes on there (rule 12).
type UncheckedEnd struct {
	// Keys are those of the log's oldest events, as the list shows them, newest first, and of what came in late among or
	// below them since; empty while there are none.
	Keys Keys `json:"keys,omitempty"`
	// Since is the time from which on the first start wanted messages; zero if it wanted all.
	Since time.Time `json:"since,omitzero"`
	// Short means that the last page was not full, as is usual for the last page of a list.
	Short bool `json:"short,omitempty"`
	// CheckedAt is when the end was last checked. Confirmed counts the checks that found the end directly below Keys, or
	// nothing to deliver below them; Misses those that found none of Keys where they should be.
	CheckedAt time.Time `json:"looked,omitzero"`
	Confirmed int       `json:"looks,omitempty"`
	Misses    int       `json:"misses,omitempty"`
}

// Counters are running totals of a stream.
type Counters struct {
	Late     uint64 `json:"late"`
	Held     uint64 `json:"held"`
	Rejected uint64 `json:"rejected"`
	// Settled counts the rejected messages that were delivered from the quarantine since, or were found gone from it.
	Settled uint64 `json:"settled,omitempty"`
	// Elsewhere counts the rejected messages that lie in the quarantines of other sinks.
	Elsewhere uint64 `json:"elsewhere,omitempty"`
	// Suppressed counts bad rows without an id that were not quarantined, because they came again with other bytes or
	// there were too many in an hour.
	Suppressed uint64 `json:"suppressed,omitempty"`
	// Empty counts messages that were listed, and so delivered, without their content.
	Empty uint64 `json:"empty,omitempty"`
}

// InQuarantine is how many rejected messages still lie in this sink's quarantine, given what was erased on request.
func (c Counters) InQuarantine(erased []Seen) uint64 {
	delivered := make(map[Key]struct{}) // a message that was replayed, and then erased in both places, is settled once
	for _, e := range erased {
		if e.Sequence > 0 {
			delivered[e.Key] = struct{}{}
		}
	}
	gone := c.Settled + c.Elsewhere
	for _, e := range erased {
		if _, twice := delivered[e.Key]; e.Sequence == 0 && !twice {
			gone++
		}
	}
	return c.Rejected - min(c.Rejected, gone)
}

// CheckpointType is the suffix of the `type` attribute of a checkpoint as a CloudEvent; the prefix is the events' own.
const CheckpointType = ".connector.checkpoint"

// AppendJSON appends the checkpoint as a CloudEvent in the JSON format. It is a valid event with its own type, so that
// a consumer who reads everything can recognise it.
func (c *Checkpoint) AppendJSON(dst []byte, typePrefix string) ([]byte, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return dst, fmt.Errorf("encode checkpoint: %w", err)
	}
	about := envelope{
		id:     fmt.Sprintf("%s-%d-%d-%d", c.Owner, c.Epoch, c.Sequence, c.Written.UnixNano()),
		source: Stream{Name: c.Stream}.Source(), kind: typePrefix + CheckpointType, time: c.Written,
	}
	return appendData(about.appendTo(dst), data), nil
}

// ParseCheckpoint parses what AppendJSON wrote. It returns an error for a newer version and for a checkpoint that
// contradicts itself.
func ParseCheckpoint(event []byte) (Checkpoint, error) {
	var envelope struct {
		Data Checkpoint `json:"data"`
	}
	if err := json.Unmarshal(event, &envelope); err != nil {
		return Checkpoint{}, fmt.Errorf("decode checkpoint: %w", err)
	}
	c := envelope.Data
	switch {
	case c.Version == 0:
		return Checkpoint{}, fmt.Errorf("decode checkpoint: it has no version")
	case c.Version > CheckpointVersion:
		return Checkpoint{}, fmt.Errorf("decode checkpoint: it has version %d, this program knows up to %d: use the newer version of the program", c.Version, CheckpointVersion)
	case c.Certified > c.Sequence || c.Base > c.Certified || uint64(len(c.Tail)) > c.Sequence-c.Base:
		return Checkpoint{}, fmt.Errorf("decode checkpoint: it contradicts itself (sequence %d, certified %d, %d keys)",
			c.Sequence, c.Certified, len(c.Tail))
	}
	for _, place := range c.TailLate {
		if place < 0 || place >= len(c.Tail) {
			return Checkpoint{}, fmt.Errorf("decode checkpoint: late place %d of %d keys", place, len(c.Tail))
		}
	}
	return c, nil
}

// SameState reports whether two checkpoints describe the same state of a log. It ignores their tails and rejects, and
// the count of held messages, which changes before it is committed.
func (c *Checkpoint) SameState(other *Checkpoint) bool {
	return c.Started == other.Started && c.Base == other.Base && c.Sequence == other.Sequence &&
		c.Certified == other.Certified && c.HorizonAt == other.HorizonAt &&
		c.Counters.Late == other.Counters.Late && c.Counters.Rejected == other.Counters.Rejected &&
		slices.Equal(c.Floor, other.Floor) && slices.Equal(c.Horizon, other.Horizon)
}

// AdoptOwnership copies the epoch, the owner, what operators have recorded and the sink's positions of a checkpoint that
// was just acquired again.
func (c *Checkpoint) AdoptOwnership(found *Checkpoint) {
	c.FormerNames, c.FormerKeys = found.FormerNames, found.FormerKeys
	c.Settings, c.FormerSettings = found.Settings, found.FormerSettings
	c.Elsewhere, c.Skipped = found.Elsewhere, found.Skipped
	c.ImportedFrom, c.Counters.Elsewhere = found.ImportedFrom, found.Counters.Elsewhere
	c.Epoch, c.Owner, c.Written, c.Sink = found.Epoch, found.Owner, found.Written, found.Sink
}
