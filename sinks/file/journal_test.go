package file

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

const stream = "595981048477"

// writtenFile makes a file with six events in two commits.
func writtenFile(t *testing.T) Config {
	t.Helper()
	c := Config{Path: filepath.Join(t.TempDir(), "events.jsonl")}
	sink := open(c, &disk{pretend: true}, quiet)
	log := sink.Log(sinktest.Claim(stream, "one"))
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events := sinktest.Events(sinktest.Stream(stream), 1, 6)
	first := sinktest.Next(state.Checkpoint, events[:3], nil, 3)
	second := sinktest.Next(first, events[3:], nil, 6)
	if err := errors.Join(log.Commit(t.Context(), events[:3], nil, first), log.Commit(t.Context(), events[3:], nil,
		second), log.Close(), sink.Close()); err != nil {
		t.Fatal(err)
	}
	return c
}

func acquireAgain(t *testing.T, c Config, claim connector.Claim) (connector.State, error) {
	t.Helper()
	sink := open(c, &disk{pretend: true}, quiet)
	defer sink.Close()
	log := sink.Log(claim)
	defer log.Close()
	return log.Acquire(t.Context())
}

func TestSink_RefusesAFileThatIsNotTheOneItWrote(t *testing.T) {
	edit := func(change func([]byte) []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			raw, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, change(raw), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, test := range map[string]struct {
		harm  func(t *testing.T, path string)
		cause string
		// accepted is the log's sequence after --first-start; 0 if that does not help
		accepted uint64
	}{
		"gone": {func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, "gone", 6},
		"emptied": {edit(func([]byte) []byte { return nil }), "0 bytes", 6},
		"shorter by a line": {
			edit(func(b []byte) []byte { return b[:bytes.LastIndexByte(b[:len(b)-1], '\n')+1] }),
			"bytes, but had", 6,
		},
		"exchanged": {
			edit(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("big"), []byte("BIG")) }), "changed",
			6,
		},
		"foreign line": {edit(func(b []byte) []byte { return append(b, "hello\n"...) }), "not an event of this connector", 0},
		"a gap": {edit(func(b []byte) []byte {
			return append(b, strings.Replace(lastLine(b), `000006"`, `000009"`, 1)...)
		}), "event 9", 9},
	} {
		t.Run(name, func(t *testing.T) {
			c := writtenFile(t)
			test.harm(t, c.Path)
			before, _ := os.ReadFile(c.Path) // missing in one case
			_, err := acquireAgain(t, c, sinktest.Claim(stream, "two"))
			var refusal *connector.Refusal
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Cause, test.cause) || refusal.Hint == "" {
				t.Fatalf("got %v, want a refusal that says %q", err, test.cause)
			}
			if after, _ := os.ReadFile(c.Path); !bytes.Equal(before, after) {
				t.Fatal("the file was changed although it was refused")
			}
			claim := sinktest.Claim(stream, "two")
			claim.FirstStart = true
			state, err := acquireAgain(t, c, claim)
			if (err == nil) != (test.accepted > 0) || state.Checkpoint.Sequence != test.accepted {
				t.Fatalf("at the operator's word: sequence %d, %v", state.Checkpoint.Sequence, err)
			}
		})
	}
}

func lastLine(b []byte) string { return string(b[bytes.LastIndexByte(b[:len(b)-1], '\n')+1:]) }

func TestSink_NeverCutsOrJoinsAFileOfSomeoneElse(t *testing.T) {
	for _, text := range []string{
		"my notes, without an end of line", "a line\n", `{"specversion":"1.0","id":"x"}` + "\n",
		`{"a":1}`,
	} {
		c := Config{Path: filepath.Join(t.TempDir(), "notes")}
		if err := os.WriteFile(c.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, first := range []bool{false, true} {
			claim := sinktest.Claim(stream, "one")
			claim.FirstStart = first
			_, err := acquireAgain(t, c, claim)
			var refusal *connector.Refusal
			if !errors.As(err, &refusal) {
				t.Fatalf("%q: got %v, want a refusal", text, err)
			}
			if got, err := os.ReadFile(c.Path); err != nil || string(got) != text {
				t.Fatalf("%q became %q (%v)", text, got, err)
			}
		}
	}
}

func TestSink_CutsATornLineAndAdoptsTheWholeOnes(t *testing.T) {
	c := writtenFile(t)
	more := sinktest.Events(sinktest.Stream(stream), 7, 3)
	var lines []byte
	for i := range more {
		lines = appendLine(lines, &more[i])
	}
	f, err := os.OpenFile(c.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(lines[:len(lines)-1]); err != nil { // all but the last line's end
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time nothing is adopted again
		state, err := acquireAgain(t, c, sinktest.Claim(stream, "two"))
		if err != nil {
			t.Fatal(err)
		}
		got := state.Checkpoint
		if got.Sequence != 8 || got.Certified != 6 || len(state.Seen) != 8 || len(got.Tail) != 8 ||
			got.Tail[7] != more[1].Key || got.Counters.Late != 1 {
			t.Fatalf("%+v, %d seen", got, len(state.Seen))
		}
	}
	if events := readEvents(t, c.Path, stream); len(events) != 8 || events[7].ID != more[1].ID {
		t.Fatalf("%d events", len(events))
	}
}

// The log goes back under its owner in every way: each is refused, with the number to continue after.
func TestLog_GoesBackUnderItsOwner(t *testing.T) {
	remove := func(paths ...string) func(t *testing.T, c Config) {
		return func(t *testing.T, c Config) {
			for _, path := range paths {
				if err := os.RemoveAll(c.Path + path); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for name, harm := range map[string]func(t *testing.T, c Config){
		"the file":                remove(""),
		"the folder":              remove(".checkpoint"),
		"both":                    remove("", ".checkpoint"),
		"the file and its record": remove("", ".checkpoint/"+stream+recordSuffix),
		"the file emptied": func(t *testing.T, c Config) {
			if err := os.Truncate(c.Path, 0); err != nil {
				t.Fatal(err)
			}
		},
		"the folder exchanged": func(t *testing.T, c Config) {
			remove(".checkpoint")(t, c)
			if err := os.Mkdir(c.Path+".checkpoint", 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := writtenFile(t)
			sink := open(c, &disk{pretend: true}, quiet)
			defer sink.Close()
			log := sink.Log(sinktest.Claim(stream, "two"))
			state, err := log.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			harm(t, c)
			events := sinktest.Events(sinktest.Stream(stream), 7, 2)
			next := sinktest.Next(state.Checkpoint, events, nil, 6)
			if err := log.Commit(t.Context(), events, nil, next); err == nil || errors.Is(err, connector.ErrNotNow) {
				t.Fatalf("Commit: got %v, want an unclear outcome", err)
			}
			for range 2 {
				_, err = log.Acquire(t.Context())
				var refusal *connector.Refusal
				if !errors.As(err, &refusal) || !strings.Contains(refusal.Hint, "--first-start") {
					t.Fatalf("Acquire: got %v, want a refusal with the way on", err)
				}
			}
			if lines := readLines(t, c.Path); len(lines) > 6 {
				t.Fatalf("%d lines", len(lines))
			}
		})
	}
}

// Core NATS and the standard output keep nothing but the folder.
func TestStateStore_FolderGoesBackUnderItsOwner(t *testing.T) {
	for name, harm := range map[string]func(dir string) error{
		"removed":        os.RemoveAll,
		"emptied":        func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)) },
		"record removed": func(dir string) error { return os.Remove(filepath.Join(dir, stream+recordSuffix)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			sent := 0
			store := NewStateStore(dir, limits, func(_ context.Context, _ connector.Stream, events []connector.Event,
				_ []connector.Reject,
			) error {
				sent += len(events)
				return nil
			})
			defer store.Close()
			logs := []connector.Log{store.Log(sinktest.Claim(stream, "one")), store.Log(sinktest.Claim("support", "one"))}
			next := make([]connector.Checkpoint, len(logs))
			for i, name := range streams {
				state, err := logs[i].Acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				events := sinktest.Events(sinktest.Stream(name), 1, 3)
				next[i] = sinktest.Next(state.Checkpoint, events, nil, 3)
				if err := logs[i].Commit(t.Context(), events, nil, next[i]); err != nil {
					t.Fatal(err)
				}
			}
			if err := harm(dir); err != nil {
				t.Fatal(err)
			}
			for i := range logs {
				err := logs[i].Commit(t.Context(), nil, nil, sinktest.Next(next[i], nil, nil, 3))
				if name == "record removed" {
					if err != nil { // what is known in memory is written again
						t.Fatal(err)
					}
					continue
				}
				if err == nil {
					t.Fatal("Commit: no error")
				}
				_, err = logs[i].Acquire(t.Context())
				var refusal *connector.Refusal
				if !errors.As(err, &refusal) || !strings.Contains(refusal.Hint, "--first-start="+streams[i]+":3") {
					t.Fatalf("Acquire: got %v, want a refusal with the way on", err)
				}
			}
			if sent != 6 {
				t.Fatalf("%d events were sent, want 6", sent)
			}
		})
	}
}

func TestSink_DamagedCheckpointIsNamed(t *testing.T) {
	c := writtenFile(t)
	path := filepath.Join(c.Path+".checkpoint", stream+".json")
	raw, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, raw[:len(raw)/2], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = acquireAgain(t, c, sinktest.Claim(stream, "two"))
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(refusal.Thing, path) {
		t.Fatalf("got %v, want a refusal that names the file", err)
	}
}

func TestSink_KeepsAsManyRotatedFilesAsAsked(t *testing.T) {
	c := Config{Path: filepath.Join(t.TempDir(), "events.jsonl"), MaxBytes: 1_000, Keep: 2}
	sink := open(c, &disk{pretend: true}, quiet)
	defer sink.Close()
	log := sink.Log(sinktest.Claim(stream, "one"))
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := state.Checkpoint
	for i := range 6 {
		events := sinktest.Events(sinktest.Stream(stream), uint64(1+2*i), 2)
		next := sinktest.Next(checkpoint, events, nil, 0)
		if err := log.Commit(t.Context(), events, nil, next); err != nil {
			t.Fatal(err)
		}
		checkpoint = next
	}
	numbers, err := rotated(c.Path)
	if err != nil || !slices.Equal(numbers, []int{4, 5}) {
		t.Fatalf("rotated files %v (%v), want 4 and 5", numbers, err)
	}
	if state, err = log.Acquire(t.Context()); err != nil || len(state.Seen) != 12 {
		t.Fatalf("%d seen (%v), want 12", len(state.Seen), err)
	}
}

func TestSink_MissingFolderIsMadeOnlyWhereAsked(t *testing.T) {
	c := Config{Path: filepath.Join(t.TempDir(), "a", "b", "events.jsonl")}
	sink := open(c, &disk{pretend: true}, quiet)
	defer sink.Close()
	log := sink.Log(sinktest.Claim(stream, "one"))
	findings, err := sink.Check(t.Context(), nil)
	if err != nil || len(findings) != 1 || findings[0].Level != connector.FindingRefused || !findings[0].Missing {
		t.Fatalf("Check: %+v, %v", findings, err)
	}
	var refusal *connector.Refusal
	if _, err := log.Acquire(t.Context()); !errors.As(err, &refusal) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if err := sink.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if findings, err = sink.Check(t.Context(), nil); err != nil || len(findings) != 1 ||
		findings[0].Level != connector.FindingOK {
		t.Fatalf("Check: %+v, %v", findings, err)
	}
}

func TestAppendLine_IsOneLine(t *testing.T) {
	e := connector.Event{ID: "a", Source: "s", Type: "t.new", Sequence: 1, Data: []byte("{\r\n \"a\": \"x\\ny\"\n}")}
	got := string(appendLine([]byte("before\n"), &e))
	if want := `"data":{   "a": "x\ny" }}` + "\n"; !strings.HasPrefix(got, "before\n{") || !strings.HasSuffix(got, want) ||
		strings.Count(got, "\n") != 2 {
		t.Fatalf("%q", got)
	}
	if string(e.Data) != "{\r\n \"a\": \"x\\ny\"\n}" {
		t.Fatal("the event itself was changed")
	}
}

func TestConfig_Validate(t *testing.T) {
	for name, test := range map[string]struct {
		c     Config
		thing string
	}{
		"good":            {Config{Path: "events.jsonl", MaxBytes: 1 << 20, Keep: 3}, ""},
		"no path":         {Config{}, "path"},
		"a folder":        {Config{Path: "data/"}, "path"},
		"tiny parts":      {Config{Path: "a", MaxBytes: 10}, "max_bytes"},
		"negative":        {Config{Path: "a", MaxBytes: -1}, "max_bytes"},
		"keep of nothing": {Config{Path: "a", Keep: 1}, "keep"},
	} {
		findings := test.c.Validate()
		if test.thing == "" && len(findings) == 0 {
			continue
		}
		if len(findings) != 1 || findings[0].Thing != test.thing || findings[0].Level != connector.FindingRefused ||
			findings[0].Hint == "" {
			t.Errorf("%s: %+v", name, findings)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"checkpoint":{"data":{"version":1,"sequence":2}},"seen":[{"from":1,"keys":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","late":[1]}]}`))
	f.Add([]byte(`{"checkpoint":{"data":{"version":1}},"seen":[{"from":18446744073709551615,"keys":""}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := decodeRecord(raw)
		if err != nil {
			return
		}
		for i, s := range r.seen {
			if s.Sequence == 0 || s.Sequence > r.checkpoint.Sequence || i > 0 && s.Sequence <= r.seen[i-1].Sequence {
				t.Fatalf("seen out of order: %+v", r.seen)
			}
		}
		again, err := r.encode("x")
		if err != nil {
			t.Fatal(err)
		}
		if back, err := decodeRecord(again); err != nil || !slices.Equal(back.seen, r.seen) {
			t.Fatalf("came back as %+v (%v)", back.seen, err)
		}
	})
}

func FuzzHead(f *testing.F) {
	e := sinktest.Events(sinktest.Stream("a b"), 11, 1)[0]
	f.Add(e.AppendJSON(nil))
	f.Add([]byte(`{"source":"//2chat.co/whatsapp/a","id":"x","sequence":"1","data":`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if h, err := parseHead(line); err == nil &&
			(h.seen.Sequence == 0 || h.id == "" || h.seen.Key != connector.MessageKey(h.id)) {
			t.Fatalf("%+v", h)
		}
		if _, _, ours := connector.RejectKey(line); ours && !bytes.Contains(line, []byte("reject-")) {
			t.Fatal("a reject without its mark")
		}
	})
}
