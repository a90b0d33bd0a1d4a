package jetstream

import (
	"encoding/json"

	"github.com/twochat-connector/twochat-connector/sinks/marks"
)

// mark means that the event with this sequence, and all events after it, have this stream sequence or a higher one.
type mark struct {
	Event  uint64 `json:"event"`
	Stream uint64 `json:"stream"`
}

// First implements marks.Mark.
func (m mark) First() uint64 { return m.Event }

// windowMarks are positions in the log, oldest first. They are coarse, to keep them few. The first one is where reading
// the window back may begin; it is stored in each checkpoint.
type windowMarks []mark

// marksInWindow is the number of marks in a window: reading back reads at most one part of that many in vain.
const marksInWindow = 16

// with returns the marks with one more at the end, and leaves the receiver unchanged.
func (m windowMarks) with(next mark) windowMarks {
	return append(m[:len(m):len(m)], next)
}

// trimmed drops the marks that a window of the log's newest events does not need.
func (m windowMarks) trimmed(sequence uint64, window int) windowMarks {
	kept := make(windowMarks, 0, marksInWindow+2)
	for _, next := range marks.Trim(m, sequence+1, window) {
		kept = marks.Add(kept, next, marks.Step(window, marksInWindow))
	}
	return kept
}

// start is the stream sequence from which to read the window back.
func (m windowMarks) start() uint64 {
	if len(m) == 0 {
		return 1
	}
	return max(m[0].Stream, 1)
}

// first is the event that is expected at start.
func (m windowMarks) first() uint64 {
	if len(m) == 0 {
		return 1
	}
	return m[0].Event
}

// position is the sink's part of a checkpoint.
type position struct {
	Window mark `json:"window"`
}

func (m windowMarks) encode() json.RawMessage {
	var p position
	if len(m) > 0 {
		p.Window = m[0]
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return nil // encoding two numbers cannot fail
	}
	return raw
}

// decodeMarks reads what encode wrote. If that cannot be read, the window is read back from the beginning, which only
// takes longer.
func decodeMarks(raw json.RawMessage) windowMarks {
	var p position
	if json.Unmarshal(raw, &p) != nil || p.Window.Stream == 0 {
		return nil
	}
	return windowMarks{p.Window}
}
