package file

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// longFile makes a file with that many events of one stream.
func longFile(tb testing.TB, c Config, events int) []connector.Event {
	tb.Helper()
	sink := open(c, &disk{pretend: true}, quiet)
	defer sink.Close()
	log := sink.Log(sinktest.Claim(stream, "one"))
	state, err := log.Acquire(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	all, next := sinktest.Events(sinktest.Stream(stream), 1, events), state.Checkpoint
	for piece := range slices.Chunk(all, 1_000) {
		next = sinktest.Next(next, piece, nil, piece[len(piece)-1].Sequence)
		if err := log.Commit(tb.Context(), piece, nil, next); err != nil {
			tb.Fatal(err)
		}
	}
	return all
}

// What a start reads back from the file is compared with what was written: a damaged line counts as erased, and is
// reported; nothing is invented for it.
func TestSink_ReadsBackNothingThatWasDamaged(t *testing.T) {
	line := func(n int) string { return fmt.Sprintf(`"sequence":"%020d"`, n) }
	for name, test := range map[string]struct {
		harm    func(text string, e *connector.Event) string
		missing int // events up to and including the damaged one that are not returned, 0 for all
	}{
		"another id": {harm: func(text string, e *connector.Event) string {
			return strings.Replace(text, e.ID, "X"+e.ID[1:], 1)
		}, missing: 1},
		"another time": {harm: func(text string, _ *connector.Event) string {
			return strings.Replace(text, "2026", "2A26", 1)
		}, missing: 1},
		"no JSON": {harm: func(text string, _ *connector.Event) string {
			return strings.Replace(text, `"`, `'`, 1)
		}, missing: 1},
		"a higher sequence": {harm: func(text string, _ *connector.Event) string {
			return strings.Replace(text, line(2_001), line(2_901), 1)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := Config{Path: filepath.Join(t.TempDir(), "events.jsonl")}
			events := longFile(t, c, 4_000)
			raw, err := os.ReadFile(c.Path)
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.SplitAfter(raw, []byte("\n"))
			damaged := 2_000 // its place; its sequence is one more
			lines[damaged] = []byte(test.harm(string(lines[damaged]), &events[damaged]))
			if err := os.WriteFile(c.Path, bytes.Join(lines, nil), 0o600); err != nil {
				t.Fatal(err)
			}
			var told bytes.Buffer
			sink := open(c, &disk{pretend: true}, slog.New(slog.NewTextHandler(&told, nil)))
			defer sink.Close()
			log := sink.Log(sinktest.Claim(stream, "two"))
			defer log.Close()
			state, err := log.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var want []connector.Seen
			for i := range events {
				if e := &events[i]; test.missing == 0 && i > damaged || test.missing > 0 && i != damaged {
					want = append(want, connector.Seen{Key: e.Key, Sequence: e.Sequence, Late: e.Late})
				}
			}
			if !slices.Equal(state.Seen, want) {
				t.Errorf("%d events were given, from %d on; want %d", len(state.Seen), state.Seen[0].Sequence, len(want))
			}
			if text := told.String(); test.missing > 0 &&
				(!strings.Contains(text, "damaged") || !strings.Contains(text, c.Path)) {
				t.Errorf("it told %q", text)
			}
		})
	}
}

// A start reads no more of a long file than the window needs.
func BenchmarkAcquire(b *testing.B) {
	c := Config{Path: filepath.Join(b.TempDir(), "events.jsonl")}
	longFile(b, c, 200_000)
	for b.Loop() {
		sink := open(c, &disk{pretend: true}, quiet)
		log := sink.Log(sinktest.Claim(stream, fmt.Sprint(time.Now().UnixNano())))
		state, err := log.Acquire(b.Context())
		if err != nil || len(state.Seen) != 20_000 {
			b.Fatalf("%d events, %v", len(state.Seen), err)
		}
		if err := log.Close(); err != nil {
			b.Fatal(err)
		}
		if err := sink.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
