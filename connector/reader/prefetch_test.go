package reader

import "testing"

// The larger the pages are, the fewer batches are read ahead. The less is left of the current step, the more.
func TestPrefetch_RoomAhead(t *testing.T) {
	for _, test := range []struct {
		page  int64 // bytes of the largest page
		left  float64
		batch int
	}{
		{0, 1, 2},
		{70_000, 1, 2},
		{130_000, 1, 1},
		{330_000, 1, 0},
		{330_000, .6, 0},
		{330_000, .4, 1},
	} {
		rules := DefaultRules()
		p := prefetch{rules: rules, source: &source{}, progress: &progress{rules: rules, slice: rules.SlicePages}}
		p.source.largest.Store(test.page)
		if got := p.roomAhead(test.left); got != test.batch {
			t.Errorf("with pages of %d bytes and %.1f of this step left, %d batches are read ahead, want %d", test.page, test.left,
				got, test.batch)
		}
	}
}
