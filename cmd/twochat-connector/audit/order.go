package audit

import "sort"

// inOrder marks the sequences that belong to the longest strictly rising run. All others are out of order; so one
// misplaced event does not make all others count as misplaced.
func inOrder(sequences []uint64) []bool {
	ends := make([]int, 0, len(sequences)) // the index of the lowest end of a run, by the run's length
	before := make([]int, len(sequences))
	for i, sequence := range sequences {
		n := sort.Search(len(ends), func(n int) bool { return sequences[ends[n]] >= sequence })
		before[i] = -1
		if n > 0 {
			before[i] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, i)
		} else {
			ends[n] = i
		}
	}
	in := make([]bool, len(sequences))
	if len(ends) > 0 {
		for i := ends[len(ends)-1]; i >= 0; i = before[i] {
			in[i] = true
		}
	}
	return in
}
