package fleet

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The first is that of a failure, to see it alone.
var (
	fleets = flag.Int("fleets", 200, "how many small fleets")
	first  = flag.Uint64("first", 0, "the first seed")
)

// life lets a fleet live for ten minutes, of which the last is calm, and fails if it broke an invariant.
func life(t *testing.T, seed uint64, places, streams int, pause, outages time.Duration) *world {
	t.Helper()
	w := newWorld(seed, streams)
	for i := range places {
		p := &place{name: i, renamed: w.chance(.5)}
		w.after(w.between(0, 20*time.Second), func() {
			p.boot(w)
			p.live(w, pause)
		})
	}
	w.outages(outages)
	w.bars(outages)
	w.run(8 * time.Minute)
	w.calm = true
	w.run(10 * time.Minute)
	w.streams.finish(w.now)
	for k, most := range [kinds]time.Duration{
		twoSound: Round + time.Second, twoAble: Lifetime, unread: time.Hour, forsaken: 2 * Lifetime,
	} {
		if got := w.streams.longest[k]; got > most {
			t.Errorf("seed %d: %s for %v, which is longer than %v: %s", seed, [kinds]string{
				"two sound replicas poll a stream", "two replicas poll a stream", "", "a stream is unread",
			}[k], got, most, w.streams.worst[k])
		}
	}
	w.agrees(t, seed)
	return w
}

// agrees fails if not every replica that runs counts on exactly those that run.
func (w *world) agrees(t *testing.T, seed uint64) {
	t.Helper()
	var alive []string
	for _, r := range w.replicas {
		if r.state != dead {
			alive = append(alive, r.id)
		}
	}
	slices.Sort(alive)
	want := strings.Join(alive, " ")
	for _, r := range w.replicas {
		if p := w.streams.parts[r]; r.state != dead && p.members != want {
			t.Errorf("seed %d: in the end %s counts on %q, want %q", seed, r.id, p.members, want)
		}
	}
}

func TestFleet_Small(t *testing.T) {
	seeds := *fleets
	if testing.Short() {
		seeds = min(seeds, 20)
	}
	var longest [kinds]time.Duration
	faults := 0
	for seed := *first; seed < *first+uint64(seeds); seed++ {
		w := life(t, seed, 3+int(seed%3), 60, time.Minute, 8*time.Minute)
		for k := range kinds {
			longest[k] = max(longest[k], w.streams.longest[k])
		}
		faults += w.faults
	}
	t.Log(fmt.Sprint(seeds, " fleets, ", faults, " faults, longest two sound, two able, unread, unread since a fault: ", longest))
}

func TestFleet_Large(t *testing.T) {
	places, streams := 100, 100_000
	if testing.Short() {
		places, streams = 30, 3000
	}
	w := life(t, 1, places, streams, 8*time.Minute, 3*time.Minute)
	t.Logf("%d replicas, %d streams, %d faults, longest two sound, two able, unread, unread since a fault: %v", places, streams,
		w.faults, w.streams.longest)
}
