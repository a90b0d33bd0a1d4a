//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// acceptHistory replaces a delivered list by one of older messages, has these delivered with --accept-history, and
// kills the connector twice: during reading, and when a part is already in the file. Each message is still delivered
// once, also those that come in meanwhile, at 1.3 calls a page and a bounded rest. The flag stays in place afterwards,
// and has no effect.
func acceptHistory(t *testing.T, b binaries) {
	const held, pages, aKill = 9_000, 90, 60
	r := newRig(t, b.connector, filePlace{t.TempDir()}, settings{streams: 1, start: "now"},
		twochattest.Options{Seed: 14, History: 300, Latency: 5 * time.Millisecond})
	number := r.numbers[0]
	r.asked(t, number, 2, func() { r.start(t, 0) })
	r.fake.Insert(number, 25)
	delivered := func() int { return len(r.place.read(t)[r.streams[0]]) }
	reach := func(what string, events int) {
		t.Helper()
		if !eventually(t.Context(), 60*time.Second, func() bool { return delivered() >= events }) {
			t.Fatalf("%s: %d events, want %d", what, delivered(), events)
		}
	}
	reach("before", 25)
	r.terminate(t, 0)

	r.fake.Clear(number)
	r.fake.History(number, held)
	r.words = []string{"--accept-history"}
	before, began := r.fake.PageRequests(number), time.Now()
	live := 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var living sync.WaitGroup
	defer living.Wait()
	living.Go(func() {
		for pause(ctx, 700*time.Millisecond) {
			live += len(r.fake.Insert(number, 1))
		}
	})
	r.asked(t, number, 40, func() { r.start(t, 0) })
	r.kill(t, 0)
	r.start(t, 0)
	reach("the first part", 25+1_000)
	r.kill(t, 0)
	if n := delivered(); n >= 25+held {
		t.Errorf("all %d events were there at the second kill, which should have come in the middle", n)
	}
	r.start(t, 0)
	reach("all that is held", 25+held)
	cancel()
	living.Wait()
	reach("what came in meanwhile", 25+held+live)
	polls := int(time.Since(began)/time.Second) + 1
	if calls, most := r.fake.PageRequests(number)-before, pages*13/10+2*aKill+4*polls; calls > most {
		t.Errorf("%d calls in %d s for %d pages, want at most %d", calls, polls, pages, most)
	}
	r.once(t, number)

	r.terminate(t, 0)
	before, began = r.fake.PageRequests(number), time.Now()
	live += len(r.fake.Insert(number, 4_000))
	r.start(t, 0)
	reach("what came in while it was down", 25+held+live)
	r.asked(t, number, 3, func() {})
	polls = int(time.Since(began)/time.Second) + 1
	if calls := r.fake.PageRequests(number) - before; calls > 40*5/4+20+2*polls {
		t.Errorf("%d calls in %d s for 40 pages with the word left in place", calls, polls)
	}
	r.once(t, number)
	r.terminate(t, 0)
}

// once checks that everything that was ever listed and served is in the log once, and nothing else.
func (r *rig) once(t *testing.T, number string) {
	t.Helper()
	times := map[string]int{}
	for _, event := range r.place.read(t)[r.streams[0]] {
		var attributes struct {
			ID string `json:"id"`
		}
		if err := json.Unmarshal(event, &attributes); err != nil {
			t.Fatal(err)
		}
		times[attributes.ID]++
	}
	missing, doubled := 0, 0
	for _, message := range r.fake.Truth(number) {
		switch n := times[message.UUID]; {
		case n == 0 && !message.Deleted:
			missing++
		case n > 1:
			doubled++
		}
	}
	if missing+doubled > 0 {
		t.Errorf("%d messages are missing, and %d stand more than once", missing, doubled)
	}
}
