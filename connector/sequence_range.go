package connector

import (
	"cmp"
	"slices"
)

// SequenceRange is a run of sequences, both ends included.
type SequenceRange struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// SequenceRanges are runs of sequences in rising order, which neither touch nor overlap.
type SequenceRanges []SequenceRange

// MaxSequenceRanges is how many runs a checkpoint keeps. Of more, the two oldest become one.
const MaxSequenceRanges = 16

// Has reports whether a sequence is in one of the runs.
func (r SequenceRanges) Has(sequence uint64) bool {
	return slices.ContainsFunc(r, func(run SequenceRange) bool { return run.From <= sequence && sequence <= run.To })
}

// Above is the lowest sequence that is in none of the runs, from this one on.
func (r SequenceRanges) Above(sequence uint64) uint64 {
	for _, run := range r {
		if run.From <= sequence && sequence <= run.To {
			sequence = run.To + 1
		}
	}
	return sequence
}

// Below is the highest sequence that is in none of the runs, up to this one; 0 if there is none.
func (r SequenceRanges) Below(sequence uint64) uint64 {
	for _, run := range slices.Backward(r) {
		if max(1, run.From) <= sequence && sequence <= run.To {
			sequence = max(1, run.From) - 1
		}
	}
	return sequence
}

// Count is how many sequences from one to another, both included, are in the runs.
func (r SequenceRanges) Count(from, to uint64) (n uint64) {
	for _, run := range r {
		if first, last := max(run.From, from), min(run.To, to); first <= last {
			n += last - first + 1
		}
	}
	return n
}

// With returns the runs and further ones, joined where they touch. Runs that end before they begin are left out.
func (r SequenceRanges) With(more ...SequenceRange) SequenceRanges {
	all := slices.DeleteFunc(slices.Concat(r, more), func(run SequenceRange) bool { return run.To < run.From })
	slices.SortFunc(all, func(a, b SequenceRange) int { return cmp.Compare(a.From, b.From) })
	var joined SequenceRanges
	for _, run := range all {
		if n := len(joined); n > 0 && run.From <= joined[n-1].To+1 {
			joined[n-1].To = max(joined[n-1].To, run.To)
			continue
		}
		joined = append(joined, run)
	}
	for len(joined) > MaxSequenceRanges {
		joined[1].From = joined[0].From
		joined = joined[1:]
	}
	return joined
}
