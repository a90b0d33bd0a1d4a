package audit

import "github.com/twochat-connector/twochat-connector/connector"

// sequenceSet holds sequences. Its memory follows how many are added, not how high they are.
type sequenceSet struct {
	words  map[uint64]uint64 // one bit for each sequence
	passed connector.SequenceRanges
}

// newSequenceSet makes a set that holds the sequences of some ranges.
func newSequenceSet(passed connector.SequenceRanges) sequenceSet {
	return sequenceSet{words: make(map[uint64]uint64), passed: passed}
}

func (s sequenceSet) add(n uint64) { s.words[n/64] |= 1 << (n % 64) }

func (s sequenceSet) has(n uint64) bool { return s.words[n/64]&(1<<(n%64)) != 0 || s.passed.Has(n) }

// missing are the sequences between two others that are neither in the set nor in further ranges.
func (s sequenceSet) missing(below, above uint64, further connector.SequenceRanges) func(yield func(uint64) bool) {
	return func(yield func(uint64) bool) {
		for n := below + 1; n < above; n++ {
			if past := further.Above(s.passed.Above(n)); past > n {
				n = past - 1
			} else if !s.has(n) && !yield(n) {
				return
			}
		}
	}
}
