package file

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// everyThird selects every third event, and all rejects.
func everyThird(line []byte) bool {
	h, err := parseHead(line)
	return err == nil && h.seen.Sequence%3 == 0
}

// An erasure that is interrupted anywhere, even within a line, is finished by the next owner of the file if it had
// begun to change anything. The same command repeated has the same result as one that was never interrupted.
func TestErase_BrokenOff(t *testing.T) {
	choice := connector.Choice{Event: everyThird, Reject: func([]byte) bool { return true }}
	claim, beside := sinktest.Claim("a", "one"), sinktest.Claim("b", "one")
	events := sinktest.Events(claim.Stream, 1, 24)
	left := slices.DeleteFunc(slices.Clone(events), func(e connector.Event) bool { return e.Sequence%3 == 0 })
	broken := errors.New("broken off")
	for last := 0; ; last++ {
		c := Config{Path: filepath.Join(t.TempDir(), "events.jsonl"), MaxBytes: 4_000}
		sink := open(c, &disk{pretend: true}, quiet)
		log, other := sink.Log(claim), sink.Log(beside)
		next := acquireAs(t, log, claim)
		for piece := range slices.Chunk(events, 4) {
			next = sinktest.Next(next, piece, nil, next.Sequence)
			if err := log.Commit(t.Context(), piece, nil, next); err != nil {
				t.Fatal(err)
			}
		}
		next = sinktest.Next(next, nil, []connector.Reject{sinktest.Reject(claim.Stream, 1)}, next.Sequence)
		if err := log.Commit(t.Context(), nil, []connector.Reject{sinktest.Reject(claim.Stream, 1)}, next); err != nil {
			t.Fatal(err)
		}
		acquireAs(t, other, beside)

		changes := 0
		sink.disk.fault = func(_, _ string, n int) (int, error) {
			if changes++; changes > last {
				return n / 2, broken
			}
			return n, nil
		}
		_, err := sink.Erase(t.Context(), claim, choice)
		done := err == nil
		if !done && !errors.Is(err, broken) {
			t.Fatal(err)
		}
		_ = errors.Join(log.Close(), other.Close(), sink.Close())

		_, planned := os.Stat(c.Path + ".checkpoint/erasing")
		if err := open(c, nil, quiet).CheckAcquire(t.Context(), claim); err != nil {
			t.Fatalf("after %d changes whoever looks is refused: %v", last, err)
		}
		sink = open(c, &disk{pretend: true}, quiet)
		log = sink.Log(claim)
		state, err := log.Acquire(t.Context())
		if err != nil || state.Checkpoint.Sequence != 24 {
			t.Fatalf("after %d changes: %v, sequence %d", last, err, state.Checkpoint.Sequence)
		}
		if wantSeen := 24; len(state.Seen) != wantSeen {
			t.Fatalf("after %d changes the window knows %d events", last, len(state.Seen))
		}
		got := len(readEvents(t, c.Path, "a"))
		if got != len(left) && (got != len(events) || done || planned == nil) {
			t.Fatalf("after %d changes the file has %d events", last, got)
		}
		if _, err := sink.Erase(t.Context(), claim, choice); err != nil {
			t.Fatalf("made again: %v", err)
		}
		erased, err := sink.Erased(t.Context(), "a")
		if got := readEvents(t, c.Path, "a"); len(got) != len(left) || err != nil || len(erased) != 9 {
			t.Fatalf("made again it leaves %d events, want %d; %d erased (%v)", len(got), len(left), len(erased), err)
		}
		if err := errors.Join(log.Close(), sink.Close()); err != nil {
			t.Fatal(err)
		}
		if done {
			if last < 10 {
				t.Fatalf("an erasure makes only %d changes", last)
			}
			return
		}
	}
}

func acquireAs(t *testing.T, log connector.Log, claim connector.Claim) connector.Checkpoint {
	t.Helper()
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", claim.Stream.Name, err))
	}
	return state.Checkpoint
}

// A file that was replaced while an erasure was interrupted is left alone.
func TestErase_OfAnotherFile(t *testing.T) {
	claim := sinktest.Claim("a", "one")
	c := Config{Path: filepath.Join(t.TempDir(), "events.jsonl")}
	sink := open(c, &disk{pretend: true}, quiet)
	log := sink.Log(claim)
	events := sinktest.Events(claim.Stream, 1, 6)
	next := acquireAs(t, log, claim)
	if err := log.Commit(t.Context(), events, nil, sinktest.Next(next, events, nil, 6)); err != nil {
		t.Fatal(err)
	}
	sink.disk.fault = func(op, path string, n int) (int, error) {
		if op == opWrite && path == c.Path {
			return 0, errors.New("broken off")
		}
		return n, nil
	}
	if _, err := sink.Erase(t.Context(), claim, connector.Choice{Event: everyThird}); err == nil {
		t.Fatal("it was not broken off")
	}
	if err := errors.Join(log.Close(), sink.Close()); err != nil {
		t.Fatal(err)
	}
	other := append([]byte(lineStart+`"x",`), make([]byte, 5_000)...)
	if err := os.WriteFile(c.Path, append(other, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	sink = open(c, &disk{pretend: true}, quiet)
	log = sink.Log(claim)
	_, err := log.Acquire(t.Context())
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if got, err := os.ReadFile(c.Path); err != nil || string(got) != string(other)+"\n" {
		t.Fatalf("the other file was changed (%v)", err)
	}
	if err := errors.Join(log.Close(), sink.Close()); err != nil {
		t.Fatal(err)
	}
}
