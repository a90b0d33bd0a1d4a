package kafka

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/marks"
)

// positions is the Kafka part of a checkpoint.
type positions struct {
	// Partitions is the pinned count: chats keep their partitions while it stays.
	Partitions int `json:"partitions"`
	// Topic is the id of the events topic, if the brokers report it.
	Topic string `json:"topic,omitempty"`
	// Next holds, by partition, an offset that the log's end had reached before the commit.
	Next []int64 `json:"next"`
	// Marks are offsets from which to read for events from a given sequence on, oldest first.
	Marks []mark `json:"marks,omitempty"`
}

// mark: events with this sequence or a higher one are at these offsets, by partition, or above.
type mark struct {
	Sequence uint64  `json:"s"`
	Written  int64   `json:"t"` // Unix seconds
	Offsets  []int64 `json:"o"`
}

// First implements marks.Mark.
func (m mark) First() uint64 { return m.Sequence }

const (
	// maxMarks limits the marks of a checkpoint.
	maxMarks = 8
	// windowDepth is the least number of events below the certified sequence that are read back.
	windowDepth = 1000
	// windowAge is how far back in time events are read back at least: a sweep goes 60 hours back.
	windowAge = 72 * time.Hour
)

func readPositions(raw json.RawMessage) (positions, error) {
	var p positions
	if len(raw) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return p, fmt.Errorf("decode the checkpoint's positions: %w", err)
	}
	if p.Partitions < 0 || len(p.Next) > p.Partitions {
		return p, fmt.Errorf("decode the checkpoint's positions: %d offsets of %d partitions", len(p.Next), p.Partitions)
	}
	return p, nil
}

// begin adds a mark before a commit whose first event has the sequence, unless the newest mark is near. It drops the
// marks that a window of the given size does not need.
func (p *positions) begin(sequence uint64, window int, now time.Time) {
	next := mark{sequence, now.Unix(), slices.Clone(p.Next)}
	p.Marks = marks.Trim(marks.Add(p.Marks, next, marks.Step(window, maxMarks)), sequence, window)
	p.Marks = p.Marks[max(0, len(p.Marks)-maxMarks-2):]
}

// from returns the offsets at which to begin to read the seen window: far enough back for its depth and age, but no
// further.
func (p *positions) from(checkpoint *connector.Checkpoint, now time.Time) []int64 {
	var offsets []int64
	for _, m := range p.Marks {
		if offsets != nil && (m.Sequence+windowDepth > checkpoint.Certified || now.Sub(time.Unix(m.Written, 0)) < windowAge) {
			break
		}
		offsets = m.Offsets
	}
	return offsets
}

// rebuild recreates the marks from what was read back.
func (p *positions) rebuild(list []found, ends []extent, window int, now time.Time) {
	old := p.Marks
	offsets := make([]int64, len(ends))
	for i, end := range ends {
		offsets[i] = end.end
	}
	p.Next = append([]int64(nil), offsets...)
	p.Marks = nil
	step := marks.Step(window, maxMarks)
	for i := len(list) - 1; i >= 0; i-- {
		if f := list[i]; f.partition >= 0 {
			offsets[f.partition] = min(offsets[f.partition], f.offset)
		}
		if list[i].seen.Sequence%step == 0 || i == 0 {
			p.Marks = append([]mark{{
				list[i].seen.Sequence, age(old, list[i].seen.Sequence, now),
				append([]int64(nil), offsets...),
			}}, p.Marks...)
		}
	}
}

// age is the time of the newest mark at or below a sequence.
func age(list []mark, sequence uint64, now time.Time) int64 {
	written := now.Unix()
	for i, m := range list {
		if i > 0 && m.Sequence > sequence {
			break
		}
		written = m.Written
	}
	return written
}

func (p *positions) encode() (json.RawMessage, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode positions: %w", err)
	}
	return raw, nil
}
