package jetstream

import "encoding/json"

// mark means that the event with this sequence, and all after it, lie at this stream sequence or above.
type mark struct {
	Event  uint64 `json:"event"`
	Stream uint64 `json:"stream"`
}

// marks are positions in the log, oldest first, coarse on purpose. The first says where reading the window back may
// begin; it is stored in each checkpoint.
type marks []mark

// marksInWindow is the number of marks in a window: reading back reads at most one part of so many in vain.
const marksInWindow = 16

// with adds a mark at the end; the receiver is left as it is.
func (m marks) with(next mark) marks {
	return append(m[:len(m):len(m)], next)
}

// trimmed drops the marks that a window of the log's newest events does not need.
func (m marks) trimmed(sequence uint64, window int) marks {
	if len(m) == 0 {
		return nil
	}
	var first uint64 // of the window's events
	if sequence > uint64(window) {
		first = sequence - uint64(window) + 1
	}
	step := uint64(max(window/marksInWindow, 1))
	kept := make(marks, 0, marksInWindow+2)
	for _, next := range m {
		switch n := len(kept); {
		case n > 0 && next.Event <= first:
			kept = append(kept[:0], next)
		case n > 0 && next.Event < kept[n-1].Event+step:
		default:
			kept = append(kept, next)
		}
	}
	return kept
}

// start is the stream sequence to read the window back from.
func (m marks) start() uint64 {
	if len(m) == 0 {
		return 1
	}
	return max(m[0].Stream, 1)
}

// first is the event that is expected at start.
func (m marks) first() uint64 {
	if len(m) == 0 {
		return 1
	}
	return m[0].Event
}

// position is the sink's part of a checkpoint.
type position struct {
	Window mark `json:"window"`
}

func (m marks) encode() json.RawMessage {
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
func decodeMarks(raw json.RawMessage) marks {
	var p position
	if json.Unmarshal(raw, &p) != nil || p.Window.Stream == 0 {
		return nil
	}
	return marks{p.Window}
}
