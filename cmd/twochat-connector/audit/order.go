package audit

import "sort"

// inOrder says of each of some sequences whether it belongs to the longest run of them that rises strictly: what does
// not is out of order, and one event out of its place does not put all others out of theirs.
func inOrder(sequences []uint64) []bool {
	ends := make([]int, 0, len(sequences)) // by length of a run, where the one ends that ends lowest
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
