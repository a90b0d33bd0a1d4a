package marks

import (
	"slices"
	"testing"
)

type sequence uint64

func (s sequence) First() uint64 { return uint64(s) }

func TestAdd(t *testing.T) {
	var list []sequence
	for s := range sequence(100) {
		list = Add(list, s+1, 25)
	}
	if want := []sequence{1, 26, 51, 76}; !slices.Equal(list, want) {
		t.Errorf("got %v, want %v", list, want)
	}
}

// What is left begins at or below the window's first event, as close to it as possible.
func TestTrim(t *testing.T) {
	for _, test := range []struct {
		next   uint64
		window int
		want   []sequence
	}{
		{77, 100, []sequence{1, 26, 51, 76}},
		{126, 101, []sequence{1, 26, 51, 76}}, // the window begins with 25
		{126, 100, []sequence{26, 51, 76}},    // with 26
		{151, 100, []sequence{51, 76}},
		{1000, 100, []sequence{76}},
	} {
		if got := Trim([]sequence{1, 26, 51, 76}, test.next, test.window); !slices.Equal(got, test.want) {
			t.Errorf("before event %d, a window of %d: got %v, want %v", test.next, test.window, got, test.want)
		}
	}
	if got := Trim[sequence](nil, 5, 5); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestStep(t *testing.T) {
	for window, want := range map[int]uint64{0: 1, 1: 1, 7: 1, 8: 1, 16: 2, 1000: 125} {
		if got := Step(window, 8); got != want {
			t.Errorf("a window of %d: %d, want %d", window, got, want)
		}
	}
}
