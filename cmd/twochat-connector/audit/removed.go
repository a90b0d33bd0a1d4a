package audit

import (
	"math"
	"slices"
)

// removedRange is what is no longer in the log because a part of the sink has lost its oldest events, while other parts
// still have theirs.
type removedRange struct{ from, to, count uint64 }

func (r *removedRange) add(sequence uint64) {
	if r.count == 0 {
		r.from = sequence
	}
	r.from, r.to, r.count = min(r.from, sequence), max(r.to, sequence), r.count+1
}

// record reports it as the beginning of the log, of which it is a part.
func (r *removedRange) record(f *Findings) {
	if r.count == 0 {
		return
	}
	f.Erased = append(f.Erased, Range{From: r.from, To: r.to, Count: r.count, Beginning: true})
}

// setRemoved counts the messages that were removed with the oldest events of their part of the sink, and returns the
// sequences and the messages that are left. A sequence is one of those if it is missing below the lowest that the part,
// or the whole log, still has. A message without such a sequence was never delivered, whatever its part has lost.
func setRemoved(c *comparison, gone []uint64, fillers []filler) ([]uint64, []filler) {
	exact := len(gone) == len(fillers) // each message has its sequence
	var left []uint64
	if exact {
		left = slices.Clone(gone)
	}
	kept := fillers[:0:0]
	for i, f := range fillers {
		sequence, lowest := uint64(0), uint64(0)
		if f.row.removed {
			lowest = c.parts.lowest(f.row.part)
		}
		named, known := c.named[f.row.key]
		switch {
		case len(gone) == 0, !f.missing:
		case known:
			sequence = named
		case exact:
			sequence = left[i]
		default:
			sequence = gone[0]
		}
		at := slices.Index(gone, sequence)
		if sequence == 0 || at < 0 || sequence >= max(c.first, lowest) {
			kept = append(kept, f)
			continue
		}
		gone = slices.Delete(gone, at, at+1)
		c.removed.add(sequence)
		c.findings.Noted.Expired++
	}
	return gone, kept
}

// partSequences are the lowest sequences of the parts of a sink.
type partSequences map[int32]uint64

// lowest is the lowest sequence that a part has; above all if it has none.
func (p partSequences) lowest(part int32) uint64 {
	if lowest, known := p[part]; known {
		return lowest
	}
	return math.MaxUint64
}
