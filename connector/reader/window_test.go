package reader

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// logged is a part of a log as a sink remembers it.
func logged(from, to uint64) []connector.Seen {
	var seen []connector.Seen
	for n := from; n <= to; n++ {
		seen = append(seen, connector.Seen{Key: connectortest.Key(n), Sequence: n})
	}
	return seen
}

func keysOf(from, to uint64) connector.Keys {
	var keys connector.Keys
	for n := from; n <= to; n++ {
		keys = append(keys, connectortest.Key(n))
	}
	return keys
}

// at is the position of an event that a window holds; zero if it does not hold it.
func (w *window) at(key connector.Key) position {
	at, _ := w.position(key)
	return at
}

// sequences are the sequences that a window holds, in its order.
func sequences(w *window) []uint64 {
	var held []uint64
	for _, e := range w.entries {
		held = append(held, e.at.sequence())
	}
	return held
}

func TestNewWindow(t *testing.T) {
	without := func(seen []connector.Seen, erased ...uint64) []connector.Seen {
		return slices.DeleteFunc(seen, func(s connector.Seen) bool { return slices.Contains(erased, s.Sequence) })
	}
	shuffled := logged(1, 6)
	slices.Reverse(shuffled)
	tests := []struct {
		name  string
		state connector.State
		want  []uint64
		hole  uint64
		whole bool
	}{
		{"nothing", connector.State{}, nil, 0, true},
		{"the sink remembers all", connector.State{
			Checkpoint: connector.Checkpoint{Sequence: 6, Tail: keysOf(5, 6)},
			Seen:       logged(1, 6),
		}, []uint64{1, 2, 3, 4, 5, 6}, 0, true},
		{
			"in any order",
			connector.State{Checkpoint: connector.Checkpoint{Sequence: 6, Tail: keysOf(5, 6)}, Seen: shuffled},
			[]uint64{1, 2, 3, 4, 5, 6},
			0, true,
		},
		{"the sink has expired", connector.State{
			Checkpoint: connector.Checkpoint{Sequence: 6, Tail: keysOf(5, 6)},
			Seen:       nil,
		}, []uint64{5, 6}, 0, false},
		{"the sink lags behind", connector.State{
			Checkpoint: connector.Checkpoint{Sequence: 6, Tail: keysOf(5, 6)},
			Seen:       logged(1, 4),
		}, []uint64{1, 2, 3, 4, 5, 6}, 0, true},
		{"erased above the tail", connector.State{
			Checkpoint: connector.Checkpoint{Sequence: 6, Tail: keysOf(5, 6)},
			Seen:       without(logged(1, 6), 6),
		}, []uint64{1, 2, 3, 4, 5, 6}, 0, true},
		{"erased below the tail", connector.State{
			Checkpoint: connector.Checkpoint{Sequence: 6, Tail: keysOf(5, 6)},
			Seen:       without(logged(1, 6), 2, 3),
		}, []uint64{1, 4, 5, 6}, 3, false},
		{"erased just below the tail", connector.State{
			Checkpoint: connector.Checkpoint{Sequence: 6, Tail: keysOf(5, 6)},
			Seen:       without(logged(1, 6), 4),
		}, []uint64{1, 2, 3, 5, 6}, 4, false},
		{"two holes", connector.State{
			Checkpoint: connector.Checkpoint{Sequence: 6, Tail: keysOf(6, 6)},
			Seen:       without(logged(1, 6), 2, 4),
		}, []uint64{1, 3, 5, 6}, 4, false},
		{
			"no tail",
			connector.State{Checkpoint: connector.Checkpoint{Sequence: 3}, Seen: logged(1, 3)},
			[]uint64{1, 2, 3},
			0,
			true,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWindow(Rules{Capacity: 100, MinWindow: 50, Tail: 2}, test.state)
			if got := sequences(w); !slices.Equal(got, test.want) || w.last != test.state.Checkpoint.Sequence {
				t.Errorf("it holds %v up to %d, want %v", got, w.last, test.want)
			}
			if w.hole != test.hole || w.whole() != test.whole {
				t.Errorf("newest hole %d, whole %v; want %d, %v", w.hole, w.whole(), test.hole, test.whole)
			}
		})
	}
}

func TestNewWindow_KnowsWhatWasLate(t *testing.T) {
	seen := logged(1, 4)
	seen[1].Late = true
	w := newWindow(Rules{Capacity: 9, MinWindow: 9, Tail: 9},
		connector.State{
			Checkpoint: connector.Checkpoint{Sequence: 6, Certified: 6, Tail: keysOf(5, 6), TailLate: []int{1}},
			Seen:       seen,
		})
	for n, want := range map[uint64]bool{1: false, 2: true, 3: false, 4: false, 5: false, 6: true} {
		if w.at(connectortest.Key(n)).late() != want {
			t.Errorf("event %d is late: %v", n, !want)
		}
	}
	if w.inOrder != 4 {
		t.Errorf("%d certified events in order, want 4", w.inOrder)
	}
	if e, ok := w.newestInOrder(); !ok || e.at.sequence() != 5 {
		t.Errorf("the newest in order is %d", e.at.sequence())
	}
}

func TestWindow_Forgets(t *testing.T) {
	tests := []struct {
		name             string
		capacity, memory int
		certified        uint64
		late             func(n uint64) bool
		want             uint64 // the oldest of the last 20 that is held
	}{
		{"the oldest above its capacity", 8, 3, 20, nil, 13},
		{"nothing that is not certified", 8, 3, 5, nil, 3},
		{"nothing at all where nothing is certified", 8, 3, 0, nil, 1},
		{"not the newest that were delivered in order", 8, 12, 20, nil, 9},
		{"late ones do not count as memory", 4, 5, 20, func(n uint64) bool { return n > 10 }, 6},
		{"late ones do not stay in the way", 4, 5, 20, func(n uint64) bool { return n < 15 }, 16},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWindow(Rules{Capacity: test.capacity, MinWindow: test.memory, Tail: 2}, connector.State{})
			for n := uint64(1); n <= 20; n++ {
				w.put(connectortest.Key(n), newPosition(n, test.late != nil && test.late(n)))
			}
			w.certify(test.certified)
			if got := w.oldest(); got != test.want || len(w.entries) != int(21-test.want) {
				t.Errorf("it begins at %d with %d entries, want %d", got, len(w.entries), test.want)
			}
			if _, knows := w.position(connectortest.Key(test.want - 1)); knows {
				t.Errorf("it still knows event %d", test.want-1)
			}
		})
	}
}

func TestWindow_Tail(t *testing.T) {
	w := newWindow(Rules{Capacity: 20, MinWindow: 20, Tail: 3},
		connector.State{
			Checkpoint: connector.Checkpoint{Sequence: 10, Certified: 8, Tail: keysOf(9, 10), TailLate: []int{0}},
			Seen: []connector.Seen{
				{Key: connectortest.Key(5), Sequence: 5, Late: false},
				{Key: connectortest.Key(7), Sequence: 7, Late: true},
				{Key: connectortest.Key(8), Sequence: 8, Late: false},
			},
		})
	tests := []struct {
		name      string
		certified uint64
		from      uint64
		late      []int
	}{
		{"all that is not certified, and down to a gap", 8, 7, []int{0, 2}},
		{"three below", 10, 8, []int{1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			keys, late := w.tail(test.certified)
			if !slices.Equal(keys, keysOf(test.from, 10)) || !slices.Equal(late, test.late) {
				t.Errorf("%d keys, late %v; want those from %d on, late %v", len(keys), late, test.from, test.late)
			}
		})
	}
}

// Events of an earlier log that the sink still has are known, but a checkpoint that begins above them has no keys of
// theirs: it would count more keys than events, and nobody could read it again.
func TestWindow_TailBeginsAboveTheBase(t *testing.T) {
	state := connector.State{Checkpoint: connector.Checkpoint{Sequence: 20, Certified: 20, Base: 20}}
	for n := uint64(1); n <= 20; n++ {
		state.Seen = append(state.Seen, connector.Seen{Key: connectortest.Key(n), Sequence: n})
	}
	w := newWindow(Rules{Capacity: 100, MinWindow: 50, Tail: 10}, state)
	if keys, _ := w.tail(20); len(keys) != 0 {
		t.Errorf("before the first event its tail has %d keys", len(keys))
	}
	for n := uint64(21); n <= 23; n++ {
		w.put(connectortest.Key(n), newPosition(n, false))
	}
	if keys, _ := w.tail(20); !slices.Equal(keys, keysOf(21, 23)) {
		t.Errorf("its tail has %d keys, want those of 21 to 23", len(keys))
	}
	if _, known := w.position(connectortest.Key(5)); !known {
		t.Error("an event of the earlier log is not known")
	}
}

// TestWindow_Model applies the same random changes to a window and to a list that forgets nothing.
func TestWindow_Model(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		rules := Rules{Capacity: 5 + r.IntN(20), MinWindow: r.IntN(15), Tail: 1 + r.IntN(6)}
		n := uint64(r.IntN(40))
		state := connector.State{Checkpoint: connector.Checkpoint{Sequence: n, Certified: uint64(r.Int64N(int64(n) + 1))}}
		var all []connector.Seen // every event that was ever in the window's range
		tail := n - min(n, n-state.Checkpoint.Certified+uint64(rules.Tail))
		for i := uint64(1); i <= n; i++ {
			s := connector.Seen{Key: connectortest.Key(i), Sequence: i, Late: r.IntN(4) == 0}
			if i > tail {
				if s.Late {
					state.Checkpoint.TailLate = append(state.Checkpoint.TailLate, len(state.Checkpoint.Tail))
				}
				state.Checkpoint.Tail = append(state.Checkpoint.Tail, s.Key)
			} else if r.IntN(12) == 0 {
				continue // erased
			}
			state.Seen, all = append(state.Seen, s), append(all, s)
		}
		w := newWindow(rules, state)
		certified := state.Checkpoint.Certified
		for step := range 60 {
			switch r.IntN(4) {
			case 0:
				certified = max(certified, uint64(r.Int64N(int64(n)+1)))
				w.certify(certified)
			default:
				n++
				s := connector.Seen{Key: connectortest.Key(n), Sequence: n, Late: r.IntN(4) == 0}
				all = append(all, s)
				w.put(s.Key, newPosition(s.Sequence, s.Late))
				w.forget()
			}
			if wrong := contradicts(w, all, n, certified); wrong != "" {
				t.Fatalf("seed %d, step %d: %s", seed, step, wrong)
			}
		}
	}
}

// contradicts returns how a window differs from what it should be for a whole log; empty if it does not.
func contradicts(w *window, all []connector.Seen, last, certified uint64) string {
	held := all[len(all)-min(len(all), len(w.entries)):]
	inOrder, hole := 0, uint64(0)
	present := map[uint64]bool{}
	for i, s := range held {
		e := w.entries[i]
		if e.key != s.Key || e.at.sequence() != s.Sequence || e.at.late() != s.Late || w.at(s.Key) != e.at {
			return fmt.Sprintf("entry %d is not event %d: the window is no suffix of the log", i, s.Sequence)
		}
		if s.Sequence <= certified && !s.Late {
			inOrder++
		}
		if i > 0 && held[i-1].Sequence+1 != s.Sequence {
			hole = s.Sequence - 1
		}
		present[s.Sequence] = true
	}
	forgotten := all[:len(all)-len(held)]
	for _, s := range forgotten {
		if s.Sequence > certified {
			return fmt.Sprintf("event %d is forgotten and not certified", s.Sequence)
		}
		if _, knows := w.position(s.Key); knows {
			return fmt.Sprintf("event %d is forgotten, and yet known", s.Sequence)
		}
	}
	switch {
	case len(w.entries) != len(held):
		return fmt.Sprintf("%d entries, %d events", len(w.entries), len(held))
	case inOrder != w.inOrder:
		return fmt.Sprintf("it counts %d certified in order, it holds %d", w.inOrder, inOrder)
	case len(forgotten) > 0 && inOrder < w.rules.MinWindow:
		return fmt.Sprintf("it remembers %d in order, with %d forgotten, of %d", inOrder, len(forgotten), w.rules.MinWindow)
	case len(forgotten) > 0 && len(held) < min(w.rules.Capacity, len(all)):
		return fmt.Sprintf("it holds %d of %d", len(held), w.rules.Capacity)
	case len(held) > w.rules.Capacity && held[0].Sequence <= certified &&
		(inOrder > w.rules.MinWindow || inOrder == w.rules.MinWindow && held[0].Late):
		return fmt.Sprintf("it keeps event %d though it holds %d of %d", held[0].Sequence, len(held), w.rules.Capacity)
	case hole != w.hole:
		return fmt.Sprintf("newest hole %d, want %d", w.hole, hole)
	case w.certified != certified:
		return fmt.Sprintf("certified %d, want %d", w.certified, certified)
	}
	for above, whole := last, true; ; above-- {
		if w.wholeAbove(above) != whole {
			return fmt.Sprintf("it is whole above %d: %v", above, !whole)
		}
		if above == 0 {
			break
		}
		whole = whole && present[above]
	}
	keys, late := w.tail(certified)
	from := last - uint64(len(keys))
	if len(keys) < int(last-certified) || len(keys) > int(last-certified)+w.rules.Tail {
		return fmt.Sprintf("a tail of %d keys, with %d not certified", len(keys), last-certified)
	}
	for i, key := range keys {
		if key != connectortest.Key(from+uint64(i)+1) || slices.Contains(late, i) != w.at(key).late() {
			return fmt.Sprintf("key %d of %d in the tail is not event %d", i, len(keys), from+uint64(i)+1)
		}
	}
	return ""
}

// FuzzNewWindow checks that making a window from any readable checkpoint does not panic.
func FuzzNewWindow(f *testing.F) {
	f.Add([]byte(`{"data":{"version":1}}`))
	f.Add([]byte(`{"data":{"version":1,"sequence":1,"tail":"AAAAAAAAAAAAAAAAAAAAAA==","tail_late":[0,0]}}`))
	f.Add([]byte(`{"data":{"version":1,"sequence":9,"certified":7,"tail":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		if c, err := connector.ParseCheckpoint(event); err == nil {
			newWindow(DefaultRules(), connector.State{Checkpoint: c})
		}
	})
}
