package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// world is a folder on a disk that fails at one operation.
type world struct {
	*testing.T
	config Config
	disk   *disk

	ops        int  // done so far
	crashed    bool // no more operations are carried out
	firstStart bool // the operator left --first-start in place
	synced     map[string]int64
	renames    []unsynced
}

// unsynced is a rename whose folder was not synced yet: the machine may end up with the former names, or with an empty
// new file.
type unsynced struct {
	from, to string
	former   []byte // content of to; nil if it did not exist
	torn     bool   // the content was not synced before the rename
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, synced: map[string]int64{}}
	w.config = Config{Path: filepath.Join(t.TempDir(), "events.jsonl"), MaxBytes: 1_800}
	w.crashed, w.disk = false, &disk{pretend: true}
	return w
}

var (
	errCrash = errors.New("the program ended here")
	streams  = []string{"595981048477", "support"}
)

const (
	perStream = 9
	perCommit = 3
)

// drive does what a Poller would do, until each stream has all its events and one reject.
func (w *world) drive() error {
	sink := open(w.config, w.disk, quiet)
	defer sink.Close()
	logs, states := map[string]connector.Log{}, map[string]*connector.State{}
	for tries := 0; tries < 200; tries++ {
		done := 0
		for _, name := range streams {
			if logs[name] == nil {
				claim := sinktest.Claim(name, "one")
				claim.FirstStart = w.firstStart
				logs[name] = sink.Log(claim)
			}
			if w.crashed {
				return errCrash
			}
			if states[name] == nil {
				state, err := logs[name].Acquire(w.Context())
				var refusal *connector.Refusal
				if errors.As(err, &refusal) {
					return err
				}
				if err != nil {
					continue
				}
				if n := len(state.Seen); uint64(n) != state.Checkpoint.Sequence || n > 0 &&
					state.Seen[n-1].Sequence != state.Checkpoint.Sequence {
					return fmt.Errorf("%d seen, the sequence is %d", n, state.Checkpoint.Sequence)
				}
				if _, err := connector.ParseCheckpoint(must(state.Checkpoint.AppendJSON(nil, ""))); err != nil {
					return err
				}
				states[name] = &state
			}
			c := states[name].Checkpoint
			if c.Sequence == perStream {
				done++
				continue
			}
			events := sinktest.Events(sinktest.Stream(name), c.Sequence+1, min(perCommit, int(perStream-c.Sequence)))
			var rejects []connector.Reject
			if r := sinktest.Reject(sinktest.Stream(name), 1); !slices.Contains(c.Rejects, r.Key) {
				rejects = append(rejects, r)
			}
			next := sinktest.Next(c, events, rejects, c.Sequence)
			switch err := logs[name].Commit(w.Context(), events, rejects, next); {
			case err == nil:
				states[name].Checkpoint = next
			case errors.Is(err, connector.ErrNotNow):
			default:
				states[name] = nil
			}
		}
		if done == len(streams) {
			return nil
		}
	}
	return errors.New("no end")
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// check reads everything back: each event once and in order, each reject once.
func (w *world) check(label string) {
	w.Helper()
	for _, name := range streams {
		got := readEvents(w.T, w.config.Path, name)
		expected := sinktest.Events(sinktest.Stream(name), 1, perStream)
		for i := range min(len(got), len(expected)) {
			if got[i].ID != expected[i].ID || got[i].Sequence != uint64(i+1) || string(got[i].Data) != string(expected[i].Data) {
				w.Fatalf("%s: event %d of %s is the one with sequence %d", label, i+1, name, got[i].Sequence)
			}
		}
		if len(got) != len(expected) {
			w.Fatalf("%s: %d events of %s, want %d", label, len(got), name, len(expected))
		}
		rejects := 0
		for _, line := range readLines(w.T, w.config.Path+".quarantine.jsonl") {
			if sinktest.Quarantine(w.T, line).Source == sinktest.Stream(name).Source() {
				rejects++
			}
		}
		if rejects != 1 {
			w.Fatalf("%s: %d rejects of %s, want 1", label, rejects, name)
		}
	}
}

// The program ends at every single operation of the disk: before it, or with half of a write done; with or without what
// was not synced. Afterwards a new process continues.
func TestSink_LosesAndDoublesNothingWhereverTheProgramEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("many cases in one goroutine: not in short mode")
	}
	for _, powerLoss := range []bool{false, true} {
		for _, part := range []int{0, 1, 2} { // nothing, half, all of a write
			ended := false
			for at := 1; !ended; at++ {
				w := newWorld(t)
				w.disk.fault = func(op, path string, n int) (int, error) {
					if w.crashed {
						return 0, errCrash
					}
					if w.ops++; w.ops == at {
						w.crashed = true
						if powerLoss {
							w.losePower()
						}
						return n * part / 2, errCrash
					}
					if op == opSync {
						if info, err := os.Stat(path); err == nil {
							w.synced[path] = info.Size()
						}
					}
					switch op {
					case opRename:
						w.rename(path)
					case opSyncDir:
						w.renames = slices.DeleteFunc(w.renames, func(u unsynced) bool { return filepath.Dir(u.to) == path })
					}
					return n, nil
				}
				err := w.drive()
				label := fmt.Sprintf("end at operation %d, %d/2 of a write, power loss %t", at, part, powerLoss)
				switch {
				case err == nil && !w.crashed:
					ended = true
				case !errors.Is(err, errCrash):
					t.Fatalf("%s: %v", label, err)
				}
				w.crashed, w.disk, w.firstStart = false, &disk{pretend: true}, at%2 == 0
				if err := w.drive(); err != nil {
					t.Fatalf("%s: afterwards: %v", label, err)
				}
				w.check(label)
				if ended {
					t.Logf("%d operations, power loss %t", at-1, powerLoss)
				}
			}
		}
	}
}

// rename records a rename that is about to be made.
func (w *world) rename(to string) {
	u := unsynced{from: to + ".new", to: to}
	if strings.HasPrefix(to, w.config.Path+".") && filepath.Dir(to) == filepath.Dir(w.config.Path) {
		u.from = w.config.Path
	}
	u.former, _ = os.ReadFile(to) // there may be none
	info, err := os.Stat(u.from)
	if err != nil {
		w.Fatal(err)
	}
	u.torn = info.Size() > w.synced[u.from]
	w.synced[to] = w.synced[u.from]
	delete(w.synced, u.from)
	w.renames = append(w.renames, u)
}

// losePower removes what was written to the appended files and not synced, and the names that were not synced.
func (w *world) losePower() {
	for _, u := range slices.Backward(w.renames) {
		var err error
		switch {
		case u.torn && u.from != w.config.Path:
			err = os.WriteFile(u.to, nil, 0o600)
		case u.from == w.config.Path:
			if err = os.Rename(u.to, u.from); err == nil {
				w.synced[u.from] = w.synced[u.to]
			}
		case u.former == nil:
			err = os.Remove(u.to)
		default:
			err = os.WriteFile(u.to, u.former, 0o600)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.Fatal(err)
		}
	}
	for _, path := range []string{w.config.Path, w.config.Path + ".quarantine.jsonl"} {
		if info, err := os.Stat(path); err == nil && info.Size() > w.synced[path] {
			if err := os.Truncate(path, w.synced[path]+(info.Size()-w.synced[path])/3); err != nil {
				w.Fatal(err)
			}
		}
	}
}

// One or several operations of the disk fail, and the program continues.
func TestSink_LosesAndDoublesNothingWhateverTheDiskRefuses(t *testing.T) {
	if testing.Short() {
		t.Skip("many cases in one goroutine: not in short mode")
	}
	for _, many := range []int{1, 2, 3, 5} {
		for part := range 2 {
			ended := false
			for at := 1; !ended; at++ {
				w := newWorld(t)
				failed := 0
				w.disk.fault = func(op, path string, n int) (int, error) {
					if w.ops++; w.ops >= at && w.ops < at+many {
						failed++
						return n * part / 2, syscall.ENOSPC
					}
					return n, nil
				}
				label := fmt.Sprintf("%d refused from operation %d on, %d/2 of a write", many, at, part)
				if err := w.drive(); err != nil {
					t.Fatalf("%s: %v", label, err)
				}
				w.check(label)
				// A restart finds all of it.
				w.crashed, w.disk = false, &disk{pretend: true}
				if err := w.drive(); err != nil {
					t.Fatalf("%s: after a restart: %v", label, err)
				}
				w.check(label)
				ended = failed == 0
			}
		}
	}
}

func TestSink_FullDiskIsNotNow(t *testing.T) {
	w := newWorld(t)
	sink := open(w.config, w.disk, quiet)
	defer sink.Close()
	log := sink.Log(sinktest.Claim("595981048477", "one"))
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events := sinktest.Events(sinktest.Stream("595981048477"), 1, 3)
	next := sinktest.Next(state.Checkpoint, events, nil, 0)
	for _, full := range []string{w.config.Path, filepath.Join(w.config.Path+".checkpoint", "595981048477.json.new")} {
		w.disk.fault = func(op, path string, n int) (int, error) {
			if op == opWrite && path == full {
				return n / 2, syscall.ENOSPC
			}
			return n, nil
		}
		for range 3 {
			if err := log.Commit(t.Context(), events, nil, next); !errors.Is(err, connector.ErrNotNow) ||
				!errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("no room for %s: %v, want ErrNotNow and the cause", filepath.Base(full), err)
			}
		}
		if got := readLines(t, w.config.Path); len(got) != 0 {
			t.Fatalf("%d lines are left of a commit that failed", len(got))
		}
	}
	w.disk.fault = nil
	if err := log.Commit(t.Context(), events, nil, next); err != nil { // the same again, with no Acquire in between
		t.Fatal(err)
	}
	if got := readEvents(t, w.config.Path, "595981048477"); len(got) != 3 {
		t.Fatalf("%d events, want 3", len(got))
	}
}

func TestSink_AfterAnUnclearCommitOnlyAcquireHelps(t *testing.T) {
	w := newWorld(t)
	sink := open(w.config, w.disk, quiet)
	defer sink.Close()
	log, beside := sink.Log(sinktest.Claim("595981048477", "one")), sink.Log(sinktest.Claim("support", "one"))
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events := sinktest.Events(sinktest.Stream("595981048477"), 1, 3)
	next := sinktest.Next(state.Checkpoint, events, nil, 0)
	// everything is written, the sync fails, and so does undoing the write
	w.disk.fault = func(op, path string, n int) (int, error) {
		if path == w.config.Path && (op == opSync || op == opTruncate) {
			return 0, syscall.EIO
		}
		return n, nil
	}
	if err := log.Commit(t.Context(), events, nil, next); err == nil || errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("got %v, want an unclear outcome", err)
	}
	w.disk.fault = nil
	if _, err := beside.Acquire(t.Context()); err != nil { // another stream has opened the file again
		t.Fatal(err)
	}
	if err := log.Commit(t.Context(), events, nil, next); err == nil || errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("got %v, want that it has to be acquired first", err)
	}
	if state, err = log.Acquire(t.Context()); err != nil || state.Checkpoint.Sequence != 3 {
		t.Fatalf("sequence %d, %v; want 3, adopted", state.Checkpoint.Sequence, err)
	}
	if got := readEvents(t, w.config.Path, "595981048477"); len(got) != 3 {
		t.Fatalf("%d events, want 3", len(got))
	}
}

// What does not pass by itself is reported for a person: which folder, and what to do about it.
func TestLog_FolderThatMayNotBeWrittenIsRefusedByName(t *testing.T) {
	for _, cause := range []error{syscall.EROFS, syscall.EACCES} {
		for _, failing := range []string{opOpen, opRename} {
			w := newWorld(t)
			w.disk.fault = func(op, _ string, n int) (int, error) {
				if op == failing {
					return 0, &fs.PathError{Op: op, Path: "/somewhere", Err: cause}
				}
				return n, nil
			}
			sink := open(w.config, w.disk, quiet)
			_, err := sink.Log(sinktest.Claim(streams[0], "one")).Acquire(t.Context())
			var refusal *connector.Refusal
			if !errors.As(err, &refusal) || refusal.Thing != "folder "+filepath.Dir(w.config.Path) ||
				!strings.Contains(refusal.Hint, "right to write") {
				t.Errorf("%v at %s: got %v, want a refusal that names the folder and what to do", cause, failing, err)
			}
			w.disk.fault = nil
			if _, err := sink.Log(sinktest.Claim(streams[0], "one")).Acquire(t.Context()); err != nil {
				t.Errorf("once it may: %v", err)
			}
			if err := sink.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Somebody replaces the file at the very moment in which it is written: what went into the former file does not count
// as delivered.
func TestLog_FileExchangedWhileItIsWrittenLosesNothing(t *testing.T) {
	w := newWorld(t)
	w.config.MaxBytes = 0
	sink := open(w.config, w.disk, quiet)
	defer sink.Close()
	log := sink.Log(sinktest.Claim(streams[0], "one"))
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events := sinktest.Events(sinktest.Stream(streams[0]), 1, 4)
	held := sinktest.Next(state.Checkpoint, events[:2], nil, 2)
	if err := log.Commit(t.Context(), events[:2], nil, held); err != nil {
		t.Fatal(err)
	}
	w.disk.fault = func(op, path string, n int) (int, error) {
		if op == opWrite && path == w.config.Path {
			copied, err := os.ReadFile(path)
			if err == nil {
				err = errors.Join(os.WriteFile(path+".copy", copied, 0o600), os.Rename(path+".copy", path))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return n, nil
	}
	next := sinktest.Next(held, events[2:], nil, 2)
	if err := log.Commit(t.Context(), events[2:], nil, next); err == nil || errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("got %v, want an unclear outcome", err)
	}
	w.disk.fault = nil
	if state, err = log.Acquire(t.Context()); err != nil || state.Checkpoint.Sequence != 2 {
		t.Fatalf("sequence %d, %v; want 2, what the file holds", state.Checkpoint.Sequence, err)
	}
	if err := log.Commit(t.Context(), events[2:], nil, sinktest.Next(state.Checkpoint, events[2:], nil, 2)); err != nil {
		t.Fatal(err)
	}
	if got := readEvents(t, w.config.Path, streams[0]); len(got) != 4 || got[3].ID != events[3].ID {
		t.Fatalf("%d events, want 4", len(got))
	}
}

// The replacement of a file is on disk before it gets the name, and the name is on disk before anyone relies on it.
func TestDisk_ReplacesInAnOrderThatLastsThroughAPowerLoss(t *testing.T) {
	var done []string
	d := &disk{pretend: true, fault: func(op, path string, n int) (int, error) {
		done = append(done, op+" "+filepath.Base(path))
		return n, nil
	}}
	dir := t.TempDir()
	if _, err := d.replace(filepath.Join(dir, "a"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	want := []string{"open a.new", "write a.new", "sync a.new", "rename a", "sync folder " + filepath.Base(dir)}
	if !slices.Equal(done, want) {
		t.Fatalf("done in this order: %q, want %q", done, want)
	}
	d.fault = func(op, _ string, n int) (int, error) {
		if op == opSyncDir {
			return 0, syscall.EIO
		}
		return n, nil
	}
	if unclear, err := d.replace(filepath.Join(dir, "a"), []byte("y")); err == nil || !unclear {
		t.Fatalf("unclear %t, %v: want that the new one may be in place", unclear, err)
	}
}
