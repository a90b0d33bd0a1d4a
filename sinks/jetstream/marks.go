package jetstream

import (
	"encoding/json"

	"github.com/twochat-connector/twochat-connector/sinks/marks"
)

// mark means that the event with this sequence, and all after it, lie at this stream sequence or above.
type mark struct {
	Event  uint64 `json:"event"`
	Stream uint64 `json:"stream"`
}

// First implements marks.Mark.
func (m mark) First() uint64 { return m.Event }

// windowMarks are positions in the log, oldest first, coarse on purpose. The first says where reading the window back may
// begin; it is stored in each checkpoint.
type windowMarks []mark

// marksInWindow is the number of marks in a window: reading back reads at most one part of so many in vain.
const marksInWindow = 16

// with adds a mark at the end; the receiver is left as it is.
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

// start is the stream sequence to read the window back from.
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
		return nil // two numbers have no error
	}
	return raw
}

// decodeMarks reads what encode wrote. What cannot be read costs time only: the window is then read back from the
// beginning.
func decodeMarks(raw json.RawMessage) windowMarks {
	var p position
	if json.Unmarshal(raw, &p) != nil || p.Window.Stream == 0 {
		return nil
	}
	return windowMarks{p.Window}
}
