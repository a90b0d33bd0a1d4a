package connector

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// CheckpointVersion is the format that this program writes. It refuses a newer one.
const CheckpointVersion = 1

// Checkpoint is what a commit records of a stream beside its events: all that has to survive a crash.
type Checkpoint struct {
	Version   int    `json:"version"`
	Stream    string `json:"stream"`
	SourceKey string `json:"source_key"`
	// Privacy names the privacy mode and, where there is one, the id of its key: chats keep their tokens only while it
	// stays.
	Privacy string `json:"privacy"`
	// Epoch is the fence: it grows with every Acquire and never falls.
	Epoch uint64 `json:"epoch"`
	// Owner is the running instance that wrote the checkpoint.
	Owner   string    `json:"owner"`
	Written time.Time `json:"written"`

	// Started is false until the stream's first start has settled what is wanted (the floor).
	Started bool `json:"started"`
	// Sequence is the last event's; Certified is the one up to which everything is ground.
	Sequence  uint64 `json:"sequence"`
	Certified uint64 `json:"certified"`
	// Base is the sequence after which this log begins: the operator's word, where an earlier log used the numbers up to
	// it. 0 usually.
	Base uint64 `json:"base,omitempty"`
	// Floor holds what was listed at the first start and is not wanted; Horizon what was held when all ground was gone.
	// Both count as ground.
	Floor   Keys `json:"floor,omitempty"`
	Horizon Keys `json:"horizon,omitempty"`
	// HorizonAt is what was certified when the horizon was set: only later events can be listed above it.
	HorizonAt uint64 `json:"horizon_at,omitempty"`
	// HorizonNewer is set where messages newer than this stood below the horizon's first one when it was set: these were
	// new, and were delivered, and are not among what is held.
	HorizonNewer time.Time `json:"horizon_newer,omitzero"`
	// Bottom says that the list seemed to end where it may go on; nil where that is settled.
	Bottom *Bottom `json:"bottom,omitempty"`
	// Accepting is how far the delivery of what was held has come; nil where none is under way. Accepted says that all at
	// and below the horizon was delivered so. WordSpent says that the operator's word, which may stand in a manifest for
	// good, was carried out.
	Accepting *Acceptance `json:"accepting,omitempty"`
	Accepted  bool        `json:"accepted,omitempty"`
	WordSpent bool        `json:"word_spent,omitempty"`
	// Tail holds the keys of the log's newest events, oldest first, without a gap up to Sequence: all that are not
	// certified and the newest 128 below. TailLate lists the places in Tail of the late ones.
	Tail     Keys  `json:"tail,omitempty"`
	TailLate []int `json:"tail_late,omitempty"`
	// GroundTime is where ground lies in time: the median of its newest 21 messages with a time. Zero where none has one.
	GroundTime time.Time `json:"ground_time,omitzero"`
	// Rejects holds the keys of the newest quarantined messages, oldest first.
	Rejects Keys `json:"rejects,omitempty"`

	Counters Counters `json:"counters"`
	// MonthBegun is when the account's month of calls was last seen to begin again; zero where it never was. It is of the
	// account, not of the stream: kept here, a restart need not learn it again (Budget.Recall).
	MonthBegun time.Time `json:"month_begun,omitzero"`
	// Sink holds the sink's own positions, in its own form.
	Sink json.RawMessage `json:"sink,omitempty"`
}

// Acceptance is how far the delivery of held messages has come, from the end of the list upward. It is never changed,
// only replaced.
type Acceptance struct {
	// Top is the horizon as it was when the delivery began: it ends with the first of these that is listed.
	Top Keys `json:"top"`
	// Below says that these are in the log, and what stands below them is not.
	Below bool `json:"below,omitempty"`
	// Done holds the highest rows that need nothing more, newest first; none at the beginning. All below the first of them
	// is done.
	Done Keys `json:"done,omitempty"`
	// Row is where the first of Done stood in the list, counted from the top, when the log's sequence was At.
	Row int    `json:"row,omitempty"`
	At  uint64 `json:"at,omitempty"`
	// Newer is HorizonNewer as it was when the delivery began; Delivered is how many events it has delivered.
	Newer     time.Time `json:"newer,omitzero"`
	Delivered uint64    `json:"delivered,omitempty"`
}

// Bottom says of a log that the list seemed to end below its oldest events, and that it is not settled whether it does.
type Bottom struct {
	// Keys are those of the log's oldest events, as the list shows them, newest first; none before there are any.
	Keys Keys `json:"keys,omitempty"`
	// Since is what the first start asked for: what is older is not wanted. Zero where all is.
	Since time.Time `json:"since,omitzero"`
	// Short: the last page was not full, as a list's last page is usually.
	Short bool `json:"short,omitempty"`
	// Looked is when the end was looked at last. Looks counts how often it stood right below Keys, Misses how often
	// none of them was listed where it should be.
	Looked time.Time `json:"looked,omitzero"`
	Looks  int       `json:"looks,omitempty"`
	Misses int       `json:"misses,omitempty"`
}

// Counters are running totals of a stream.
type Counters struct {
	Late     uint64 `json:"late"`
	Held     uint64 `json:"held"`
	Rejected uint64 `json:"rejected"`
	// Suppressed counts bad rows without an id that were not quarantined: met again with other bytes, or too many of them
	// in an hour.
	Suppressed uint64 `json:"suppressed,omitempty"`
	// Empty counts messages that were listed, and so delivered, before their content.
	Empty uint64 `json:"empty,omitempty"`
}

// CheckpointType is the suffix of the `type` attribute of a checkpoint as a CloudEvent; the prefix is the events' own.
const CheckpointType = ".connector.checkpoint"

// AppendJSON appends the checkpoint as a CloudEvent in the JSON format, a valid event of its own type, so that a
// consumer who reads everything can tell it apart.
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

// ParseCheckpoint reads what AppendJSON wrote.
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
		return Checkpoint{}, fmt.Errorf("decode checkpoint: no version in it")
	case c.Version > CheckpointVersion:
		return Checkpoint{}, fmt.Errorf("decode checkpoint: it has version %d, this program knows up to %d: run the newer program", c.Version, CheckpointVersion)
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

// Records reports whether two checkpoints say the same of a log, their tails and rejects aside. What is held is counted
// before it is committed, and does not matter.
func (c *Checkpoint) Records(other *Checkpoint) bool {
	return c.Started == other.Started && c.Base == other.Base && c.Sequence == other.Sequence &&
		c.Certified == other.Certified && c.HorizonAt == other.HorizonAt &&
		c.Counters.Late == other.Counters.Late && c.Counters.Rejected == other.Counters.Rejected &&
		slices.Equal(c.Floor, other.Floor) && slices.Equal(c.Horizon, other.Horizon)
}

// MovesTo gives a checkpoint the place of one that was taken over again.
func (c *Checkpoint) MovesTo(found *Checkpoint) {
	c.Epoch, c.Owner, c.Written, c.Sink = found.Epoch, found.Owner, found.Written, found.Sink
}
