package connector

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Erasure is a record of events and rejects that were erased from a sink on request. It keeps their keys and places, so
// that the messages are not delivered again, but nothing of their content or of the people concerned.
type Erasure struct {
	Stream string
	Time   time.Time
	// Erased are the keys of events with the sequences that they had; a reject has the sequence 0.
	Erased []Seen
}

// ErasureType is the suffix of the `type` attribute of an erasure as a CloudEvent; the prefix is the events' own.
const ErasureType = ".connector.erasure"

// ErasureKeys is how many keys an erasure may hold, so that a sink takes it as one message.
const ErasureKeys = 4000

// erasureData is the form in which an erasure is stored.
type erasureData struct {
	Keys      Keys     `json:"keys"`
	Sequences []uint64 `json:"sequences"`
	Late      []int    `json:"late,omitempty"` // indexes
}

// AppendJSON appends the erasure as a CloudEvent in the JSON format.
func (e *Erasure) AppendJSON(dst []byte, typePrefix string) ([]byte, error) {
	stored := erasureData{Keys: make(Keys, 0, len(e.Erased)), Sequences: make([]uint64, 0, len(e.Erased))}
	for i, erased := range e.Erased {
		stored.Keys, stored.Sequences = append(stored.Keys, erased.Key), append(stored.Sequences, erased.Sequence)
		if erased.Late {
			stored.Late = append(stored.Late, i)
		}
	}
	data, err := json.Marshal(stored)
	if err != nil {
		return dst, fmt.Errorf("encode erasure: %w", err)
	}
	about := envelope{
		id: fmt.Sprintf("erasure-%d", e.Time.UnixNano()), source: Stream{Name: e.Stream}.Source(),
		kind: typePrefix + ErasureType, time: e.Time,
	}
	return appendData(about.appendTo(dst), data), nil
}

// ParseErasure reads what AppendJSON wrote.
func ParseErasure(raw []byte) ([]Seen, error) {
	var event struct {
		Data erasureData `json:"data"`
	}
	if err := json.Unmarshal(raw, &event); err != nil {
		return nil, fmt.Errorf("decode erasure: %w", err)
	}
	stored := event.Data
	if len(stored.Keys) != len(stored.Sequences) {
		return nil, fmt.Errorf("decode erasure: %d keys and %d sequences", len(stored.Keys), len(stored.Sequences))
	}
	erased := make([]Seen, len(stored.Keys))
	for i, key := range stored.Keys {
		erased[i] = Seen{Key: key, Sequence: stored.Sequences[i]}
	}
	for _, i := range stored.Late {
		if i < 0 || i >= len(erased) {
			return nil, fmt.Errorf("decode erasure: late place %d of %d keys", i, len(erased))
		}
		erased[i].Late = true
	}
	return erased, nil
}

// SortErased sorts what several erasures contain by sequence and removes duplicates: an erasure that was interrupted
// and repeated contains the same twice.
func SortErased(erased []Seen) []Seen {
	slices.SortFunc(erased, func(a, b Seen) int {
		switch {
		case a.Sequence != b.Sequence && a.Sequence < b.Sequence:
			return -1
		case a.Sequence != b.Sequence:
			return 1
		}
		return slices.Compare(a.Key[:], b.Key[:])
	})
	return slices.Compact(erased)
}

// Erasures returns records of what is to be erased, without what was recorded before.
func Erasures(stream string, now time.Time, erased, recorded []Seen) []Erasure {
	held := make(map[Seen]struct{}, len(recorded))
	for _, r := range recorded {
		held[r] = struct{}{}
	}
	fresh := slices.DeleteFunc(slices.Clone(erased), func(e Seen) bool {
		_, ok := held[e]
		return ok
	})
	var list []Erasure
	for some := range slices.Chunk(fresh, ErasureKeys) {
		list = append(list, Erasure{Stream: stream, Time: now, Erased: some})
	}
	return list
}

// ErasedCounts is how many events and rejects were erased.
type ErasedCounts struct {
	Events  int `json:"events"`
	Rejects int `json:"rejects"`
}

// Choice selects what is to be erased of a stream. Both functions get what Sink.ReadBack returns, in structured mode.
type Choice struct {
	Event  func(event []byte) bool
	Reject func(reject []byte) bool
}
