package connector

import (
	"slices"
	"testing"
)

func TestSequenceRanges(t *testing.T) {
	for name, c := range map[string]struct{ held, more, want SequenceRanges }{
		"none":        {},
		"the first":   {more: SequenceRanges{{1, 10}}, want: SequenceRanges{{1, 10}}},
		"empty":       {held: SequenceRanges{{1, 10}}, more: SequenceRanges{{21, 20}}, want: SequenceRanges{{1, 10}}},
		"touching":    {held: SequenceRanges{{1, 10}}, more: SequenceRanges{{11, 20}}, want: SequenceRanges{{1, 20}}},
		"apart":       {held: SequenceRanges{{5, 10}}, more: SequenceRanges{{1, 3}}, want: SequenceRanges{{1, 3}, {5, 10}}},
		"overlapping": {held: SequenceRanges{{5, 10}}, more: SequenceRanges{{1, 7}, {6, 6}}, want: SequenceRanges{{1, 10}}},
	} {
		if got := c.held.With(c.more...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	r := SequenceRanges{{3, 5}, {8, 9}}
	if r.Has(2) || !r.Has(3) || !r.Has(5) || r.Has(6) || !r.Has(9) || r.Has(10) {
		t.Error("which sequences are in the runs")
	}
	for at, want := range map[uint64][2]uint64{1: {1, 1}, 3: {6, 2}, 5: {6, 2}, 6: {6, 6}, 8: {10, 7}, 10: {10, 10}} {
		if got := [2]uint64{r.Above(at), r.Below(at)}; got != want {
			t.Errorf("outside the runs, from %d on and up to it: %v, want %v", at, got, want)
		}
	}
	if got := (SequenceRanges{{1, 3}}).Below(2); got != 0 {
		t.Errorf("below the first run is %d", got)
	}
	if n := r.Count(1, 20); n != 5 {
		t.Errorf("%d sequences in all, want 5", n)
	}
	if n := r.Count(5, 8); n != 2 {
		t.Errorf("%d sequences from 5 to 8, want 2", n)
	}
	var many SequenceRanges
	for n := range uint64(MaxSequenceRanges + 5) {
		many = many.With(SequenceRange{10 * n, 10*n + 1})
	}
	if len(many) != MaxSequenceRanges || many[0] != (SequenceRange{0, 51}) {
		t.Errorf("%v", many)
	}
}
