package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// picture is the content of a folder, by path below it.
type picture map[string][]byte

func take(t *testing.T, dir string) picture {
	t.Helper()
	p := picture{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		p[path], err = os.ReadFile(filepath.Join(dir, path))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// restore restores the folder, except that one file's contents are replaced.
func (p picture) restore(t *testing.T, dir, changed string, contents []byte) {
	t.Helper()
	for path, data := range p {
		if path == changed {
			data = contents
		}
		if err := os.WriteFile(filepath.Join(dir, path), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path := range take(t, dir) {
		if _, had := p[path]; !had && filepath.Base(path) != "lock" {
			if err := os.Remove(filepath.Join(dir, path)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// putBack replaces every file but the lock, as restoring a backup does.
func (p picture) putBack(t *testing.T, dir string) {
	t.Helper()
	for path := range take(t, dir) {
		if filepath.Base(path) == "lock" {
			continue
		}
		if err := os.Remove(filepath.Join(dir, path)); err != nil {
			t.Fatal(err)
		}
	}
	p.restore(t, dir, "", nil)
}

// interrupted leaves a folder in which two streams have events, and a third commit of the first stream, of events and a
// reject, was written and not recorded.
func interrupted(t *testing.T) Config {
	t.Helper()
	c := Config{Path: filepath.Join(t.TempDir(), "events.jsonl")}
	d := &disk{pretend: true}
	sink := open(c, d, quiet)
	defer sink.Close()
	for _, name := range streams {
		log := sink.Log(sinktest.Claim(name, "one"))
		state, err := log.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		next := state.Checkpoint
		for from := uint64(1); from < 5; from += 2 {
			events := sinktest.Events(sinktest.Stream(name), from, 2)
			next = sinktest.Next(next, events, nil, from)
			if err := log.Commit(t.Context(), events, nil, next); err != nil {
				t.Fatal(err)
			}
		}
	}
	log := sink.Log(sinktest.Claim(streams[0], "one"))
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	crashed := false
	d.fault = func(op, _ string, n int) (int, error) {
		if crashed = crashed || op == opRename; crashed {
			return 0, errCrash
		}
		return n, nil
	}
	events := sinktest.Events(sinktest.Stream(streams[0]), 5, 2)
	rejects := []connector.Reject{sinktest.Reject(sinktest.Stream(streams[0]), 1)}
	if err := log.Commit(t.Context(), events, rejects, sinktest.Next(state.Checkpoint, events, rejects, 4)); !errors.Is(
		err, errCrash) {
		t.Fatalf("got %v, want the crash", err)
	}
	return c
}

// acquired is the result of a start on a damaged folder: a refusal, or each stream's sequence.
func acquired(t *testing.T, c Config, streams []string, words ...string) (standing map[string]uint64, refusal *connector.Refusal) {
	t.Helper()
	sink := open(c, &disk{pretend: true}, quiet)
	defer sink.Close()
	standing = map[string]uint64{}
	for _, name := range streams {
		claim := sinktest.Claim(name, "two")
		for _, word := range words {
			said := regexp.MustCompile("--first-start(?:=" + name + ":([0-9]+))?`").FindStringSubmatch(word)
			if said == nil {
				continue
			}
			claim.FirstStart = true
			claim.After, _ = strconv.ParseUint(said[1], 10, 64)
		}
		state, err := sink.Log(claim).Acquire(t.Context())
		if errors.As(err, &refusal) {
			return nil, refusal
		}
		if err != nil {
			t.Fatal(err)
		}
		// The contents of the file and what is known about it have to agree.
		events := sinktest.Events(sinktest.Stream(name), 1, int(state.Checkpoint.Sequence))
		for i := range events {
			if i >= len(state.Seen) || state.Seen[i].Key != events[i].Key || state.Seen[i].Sequence != events[i].Sequence ||
				state.Seen[i].Late != events[i].Late {
				t.Fatalf("%s: what is known of event %d is wrong", name, i+1)
			}
		}
		tail := state.Checkpoint.Tail
		if len(state.Seen) != len(events) || len(tail) != len(events) || len(events) > 0 &&
			tail[len(tail)-1] != events[len(events)-1].Key {
			t.Fatalf("%s: %d seen, %d in the tail, the sequence is %d", name, len(state.Seen), len(tail), len(events))
		}
		standing[name] = state.Checkpoint.Sequence
	}
	return standing, nil
}

// outcome is acquired, provided that no line of the file is unknown.
func outcome(t *testing.T, c Config) (standing map[string]uint64, refusal *connector.Refusal) {
	t.Helper()
	if standing, refusal = acquired(t, c, streams); refusal != nil {
		return nil, refusal
	}
	lines := 0
	for _, sequence := range standing {
		lines += int(sequence)
	}
	if got := len(readLines(t, c.Path)); got != lines {
		t.Fatalf("%d lines in the file, and %d are known", got, lines)
	}
	return standing, nil
}

// Every bit of every file that matters is flipped, and every end is cut off. Either it is refused, with instructions
// that work; or nothing is lost, duplicated or out of order.
func TestSink_NoBitThatTurnsIsBelieved(t *testing.T) {
	if testing.Short() {
		t.Skip("many cases in one goroutine: not in short mode")
	}
	for name, written := range map[string]func(*testing.T) Config{"at rest": writtenFile, "interrupted": interrupted} {
		t.Run(name, func(t *testing.T) {
			c := written(t)
			dir := filepath.Dir(c.Path)
			before := take(t, dir)
			want, refusal := outcome(t, c)
			if refusal != nil {
				t.Fatal(refusal)
			}
			kinds := map[string]int{}
			judge := func(path, label string, contents []byte) {
				before.restore(t, dir, path, contents)
				got, refusal := outcome(t, c)
				switch {
				case refusal != nil:
					if refusal.Thing == "" || refusal.Cause == "" || !strings.Contains(refusal.Thing, path) {
						t.Fatalf("%s: refused without a name: %v", label, refusal)
					}
					kinds[path+" refused"]++
				case maps.Equal(got, want):
					kinds[path+" as it was"]++
				case strings.HasSuffix(path, ".jsonl") && got[streams[0]] < want[streams[0]] && got[streams[0]] >= 4 &&
					got[streams[1]] == want[streams[1]]:
					kinds[path+" cut, to be delivered again"]++
				default:
					t.Fatalf("%s: stands at %v, want %v", label, got, want)
				}
			}
			for _, path := range slices.Sorted(maps.Keys(before)) {
				if strings.HasSuffix(path, "lock") {
					continue
				}
				data := before[path]
				from := 0
				if strings.HasSuffix(path, ".jsonl") {
					from = max(0, vouched(t, before)-sumBytes) // what is further up does not matter
				}
				for at := from; at < len(data); at++ {
					bit := at % 8 // all eight bits of each byte of a record are in the test of the seal
					turned := slices.Clone(data)
					turned[at] ^= 1 << bit
					judge(path, fmt.Sprintf("%s, bit %d of byte %d of %d", path, bit, at, len(data)), turned)
					if at%5 == 0 {
						judge(path, fmt.Sprintf("%s cut to %d of %d bytes", path, at, len(data)), data[:at])
					}
				}
			}
			for _, kind := range slices.Sorted(maps.Keys(kinds)) {
				t.Logf("%5d %s", kinds[kind], kind)
			}
		})
	}
}

// vouched is the number of bytes of the events' file that the records account for.
func vouched(t *testing.T, p picture) int {
	t.Helper()
	var positions []json.RawMessage
	for path, data := range p {
		if strings.HasSuffix(path, recordSuffix) {
			r, err := unsealRecord(data)
			if err != nil {
				t.Fatal(err)
			}
			positions = append(positions, r.checkpoint.Sink)
		}
	}
	mark, err := newest(positions)
	if err != nil {
		t.Fatal(err)
	}
	return int(mark.End)
}

func TestUnseal_TakesNothingThatWasTurnedOrCut(t *testing.T) {
	events := sinktest.Events(sinktest.Stream(stream), 1, 20)
	r := record{}.add(events, sinktest.Next(connector.Checkpoint{Version: 1, Stream: stream}, events, nil, 12), 100)
	sealed, err := r.encode("x")
	if err != nil {
		t.Fatal(err)
	}
	if back, err := unsealRecord(sealed); err != nil || !slices.Equal(back.seen, r.seen) || !json.Valid(sealed) {
		t.Fatalf("came back as %+v (%v)", back.seen, err)
	}
	for at := range sealed {
		for bit := range 8 {
			turned := slices.Clone(sealed)
			turned[at] ^= 1 << bit
			if _, err := unsealRecord(turned); err == nil {
				t.Fatalf("bit %d of byte %d turned, and nobody noticed", bit, at)
			}
		}
		if _, err := unsealRecord(sealed[:at]); err == nil {
			t.Fatalf("cut to %d bytes, and nobody noticed", at)
		}
	}
}

func TestSink_ReadsARecordOfBeforeAndSealsIt(t *testing.T) {
	c := writtenFile(t)
	path := filepath.Join(c.Path+".checkpoint", stream+recordSuffix)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	object, err := Unseal(raw, "")
	if err != nil || !bytes.HasPrefix(object, []byte(formerRecord)) {
		t.Fatalf("%s... (%v)", object[:20], err)
	}
	if err := os.WriteFile(path, object, 0o600); err != nil {
		t.Fatal(err)
	}
	if state, err := acquireAgain(t, c, sinktest.Claim(stream, "two")); err != nil || state.Checkpoint.Sequence != 6 {
		t.Fatalf("sequence %d, %v", state.Checkpoint.Sequence, err)
	}
	if raw, err = os.ReadFile(path); err != nil || !bytes.HasPrefix(raw, []byte(sealStart)) {
		t.Fatalf("not sealed: %s... (%v)", raw[:20], err)
	}
}

// The instructions of a refusal are carried out as printed, until the sink works again: then nothing is lost,
// duplicated or out of order.
func TestSink_TheWayOnWorksAsPrinted(t *testing.T) {
	turn := func(path string, at int) func(picture) (string, []byte) {
		return func(p picture) (string, []byte) {
			data := slices.Clone(p[path])
			data[(at+len(data))%len(data)] ^= 1
			return path, data
		}
	}
	record := "events.jsonl.checkpoint/" + streams[0] + recordSuffix
	for name, harm := range map[string]func(picture) (string, []byte){
		"a record turned":   turn(record, 400),
		"a record cut":      func(p picture) (string, []byte) { return record, p[record][:300] },
		"a record emptied":  func(picture) (string, []byte) { return record, nil },
		"another's record":  func(p picture) (string, []byte) { return record, p["events.jsonl.checkpoint/support.json"] },
		"an adopted line":   turn("events.jsonl", -700),
		"a vouched line":    func(p picture) (string, []byte) { return turn("events.jsonl", vouched(t, p)-100)(p) },
		"an adopted reject": turn("events.jsonl.quarantine.jsonl", 40),
		"an empty file":     func(picture) (string, []byte) { return "events.jsonl", nil },
		"a file of before":  func(p picture) (string, []byte) { return "events.jsonl", p["events.jsonl"][:vouched(t, p)/2] },
		"someone else's end": func(p picture) (string, []byte) {
			return "events.jsonl", append(slices.Clone(p["events.jsonl"]), "hello\n"...)
		},
		"someone else's line": func(p picture) (string, []byte) {
			first, rest, _ := bytes.Cut(p["events.jsonl"], []byte("\n"))
			return "events.jsonl", slices.Concat(first, []byte("\nhello\n"), rest)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := interrupted(t)
			dir := filepath.Dir(c.Path)
			before := take(t, dir)
			path, contents := harm(before)
			if err := os.WriteFile(filepath.Join(dir, path), contents, 0o600); err != nil {
				t.Fatal(err)
			}
			var hints []string
			for {
				order := slices.Clone(streams)
				if len(hints) > 0 { // the streams begin in any order
					slices.Reverse(order)
				}
				standing, refusal := acquired(t, c, order, hints...)
				if refusal == nil {
					if len(hints) == 0 {
						t.Fatal("nothing was refused")
					}
					if standing[streams[0]] < 4 || standing[streams[1]] != 4 {
						t.Fatalf("after %q: stands at %v", hints, standing)
					}
					return
				}
				if len(hints) > 2 {
					t.Fatalf("after %q it is still refused: %v", hints, refusal)
				}
				t.Log(refusal)
				hints = append(hints, refusal.Hint)
				if command := regexp.MustCompile("(mv|truncate|sed) [^&`]*").FindString(refusal.Hint); command != "" {
					if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
						t.Fatalf("%s: %v: %s", command, err, out)
					}
				}
			}
		})
	}
}

// If nothing was announced because the machine ended, a line that is adopted is checked against itself: the parts that
// matter may not have been changed.
func TestVerified_TakesNoLineThatContradictsItself(t *testing.T) {
	for _, e := range sinktest.Events(sinktest.Stream(stream), 10, 3) {
		line := appendLine(nil, &e)
		line = line[:len(line)-1]
		want, err := verified(line)
		if err != nil || want.seen != (connector.Seen{Key: e.Key, Sequence: e.Sequence, Late: e.Late}) {
			t.Fatalf("%+v, %v", want, err)
		}
		source := bytes.Index(line, []byte(`"source"`)) // another stream's name is equally valid; its sequences are not
		end := bytes.Index(line, []byte(`,"type"`))
		for at := range line {
			if at > source && at < end {
				continue
			}
			for bit := range 8 {
				turned := slices.Clone(line)
				turned[at] ^= 1 << bit
				got, err := verified(turned)
				if err == nil && (got.seen.Key != want.seen.Key || got.seen.Late != want.seen.Late) {
					t.Fatalf("bit %d of byte %d turned, and it is taken as another: %s", bit, at, turned)
				}
			}
			if _, err := verified(line[:at]); err == nil {
				t.Fatalf("cut to %d bytes, and it is taken", at)
			}
		}
	}
}
