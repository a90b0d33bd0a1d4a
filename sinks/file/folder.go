package file

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// record is the file that a folder keeps for a stream.
type record struct {
	checkpoint connector.Checkpoint
	// seen lists the newest events in log order: all above the certified sequence, and seenBelow below it. A sink that
	// stores the events knows more of them (effects.recall).
	seen []connector.Seen
}

// seenBelow is how many certified events a record remembers: at least twice what the walk needs.
const seenBelow = 1_000

// add is the record after a commit of events with the checkpoint next. It remembers at most as many events as a window
// needs.
func (r record) add(events []connector.Event, next connector.Checkpoint, window int) record {
	seen := make([]connector.Seen, 0, len(r.seen)+len(events))
	seen = append(seen, r.seen...)
	for i := range events {
		seen = append(seen, connector.Seen{Key: events[i].Key, Sequence: events[i].Sequence, Late: events[i].Late})
	}
	seen = trim(seen, next.Certified)
	return record{checkpoint: next, seen: seen[max(0, len(seen)-window):]}
}

func trim(seen []connector.Seen, certified uint64) []connector.Seen {
	ground := 0
	for ground < len(seen) && seen[ground].Sequence <= certified {
		ground++
	}
	return seen[max(0, ground-seenBelow):]
}

// run is a part of the seen events without a gap, in its stored form.
type run struct {
	From uint64         `json:"from"`
	Keys connector.Keys `json:"keys"`
	Late []int          `json:"late,omitempty"`
}

func runs(seen []connector.Seen) []run {
	var list []run
	for i, s := range seen {
		if i == 0 || s.Sequence != seen[i-1].Sequence+1 {
			list = append(list, run{From: s.Sequence})
		}
		last := &list[len(list)-1]
		if s.Late {
			last.Late = append(last.Late, len(last.Keys))
		}
		last.Keys = append(last.Keys, s.Key)
	}
	return list
}

func (r record) encode(typePrefix string) ([]byte, error) {
	event, err := r.checkpoint.AppendJSON(nil, typePrefix)
	if err != nil {
		return nil, err
	}
	object, err := json.Marshal(struct {
		Checkpoint json.RawMessage `json:"checkpoint"`
		Seen       []run           `json:"seen"`
	}{event, runs(r.seen)})
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	return Seal(object), nil
}

// formerRecord is the beginning of records that were written before they had a checksum.
const formerRecord = `{"checkpoint":`

// unsealRecord reads a record's file.
func unsealRecord(raw []byte) (record, error) {
	object, err := Unseal(raw, formerRecord)
	if err != nil {
		return record{}, err
	}
	return decodeRecord(object)
}

func decodeRecord(raw []byte) (record, error) {
	var stored struct {
		Checkpoint json.RawMessage `json:"checkpoint"`
		Seen       []run           `json:"seen"`
	}
	if err := json.Unmarshal(raw, &stored); err != nil {
		return record{}, fmt.Errorf("decode record: %w", err)
	}
	checkpoint, err := connector.ParseCheckpoint(stored.Checkpoint)
	if err != nil {
		return record{}, err
	}
	r := record{checkpoint: checkpoint}
	var last uint64
	for _, run := range stored.Seen {
		if run.From <= last || run.From > checkpoint.Sequence || uint64(len(run.Keys)) > checkpoint.Sequence-run.From+1 {
			return record{}, errors.New("decode record: the seen events are not in order")
		}
		at := len(r.seen)
		for i, key := range run.Keys {
			last = run.From + uint64(i)
			r.seen = append(r.seen, connector.Seen{Key: key, Sequence: last})
		}
		for _, place := range run.Late {
			if place < 0 || place >= len(run.Keys) {
				return record{}, errors.New("decode record: a late place outside of its run")
			}
			r.seen[at+place].Late = true
		}
	}
	return r, nil
}

// folder keeps one record for each stream, in a file of its own that is replaced as a whole.
type folder struct {
	disk *disk
	dir  string
	held *os.File // the lock; nil while it is not held
	// wayOn returns the hint for continuing without a broken record.
	wayOn func(path string, raw []byte) string
	// finish completes what was in progress when the folder was last closed; nil if there is no such thing.
	finish func() error
}

// recordSuffix ends the name of a record's file.
const recordSuffix = ".json"

// lockName is the name of the file that is locked.
const lockName = "lock"

// open creates the folder if it is missing and takes its lock.
func (f *folder) open() error {
	if f.held != nil {
		return nil
	}
	if f.disk.readOnly {
		return f.openReadOnly()
	}
	err := os.Mkdir(f.dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		return &connector.Refusal{
			Thing: "folder " + filepath.Dir(f.dir), Cause: "it does not exist",
			Hint: "create it: mkdir -p " + filepath.Dir(f.dir),
		}
	}
	if info, looked := os.Stat(f.dir); looked == nil && !info.IsDir() {
		return notFolder(f.dir)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder of checkpoints: %w", plain(err))
	}
	held, busy, err := lock(filepath.Join(f.dir, lockName))
	switch {
	case busy:
		return f.busy()
	case err != nil:
		return fmt.Errorf("lock the folder of checkpoints: %w", err)
	}
	f.held = held
	return nil
}

// lost reports whether the path leads to another folder than the locked one. Another process may hold that one.
func (f *folder) lost() bool {
	if f.held == nil {
		return false
	}
	ours, err := f.held.Stat()
	if err != nil {
		return true
	}
	named, err := os.Stat(f.held.Name())
	return err != nil || !os.SameFile(ours, named)
}

func (f *folder) close() error {
	if f.held == nil {
		return nil
	}
	err := f.held.Close()
	f.held = nil
	return err
}

// file is the path of a stream's record. Names that are too long for a file system are cut, and made distinct by a
// hash.
func (f *folder) file(stream string) string {
	token := connector.SubjectToken(stream)
	if len(token) > 200 {
		token = fmt.Sprintf("%s=%x", token[:150], sha256.Sum256([]byte(stream)))
	}
	return filepath.Join(f.dir, token+recordSuffix)
}

// load reads a stream's record; found is false if there is none. Another process may be writing it.
func (f *folder) load(stream string) (r record, found bool, err error) {
	path := f.file(stream)
	r, err = f.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, false, nil
	}
	if err == nil && r.checkpoint.Stream != stream {
		err = f.refuse(path, nil, errors.New("it is the record of another stream"))
	}
	return r, err == nil, err
}

func (f *folder) read(path string) (record, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return record{}, fmt.Errorf("read checkpoint: %w", err)
	}
	r, err := unsealRecord(raw)
	if err != nil {
		return r, f.refuse(path, raw, err)
	}
	return r, nil
}

func (f *folder) refuse(path string, raw []byte, cause error) error {
	return &connector.Refusal{
		Thing: "file " + path, Cause: cause.Error(),
		Hint: "restore it from a copy; or " + f.wayOn(path, raw),
	}
}

// withoutRecord is the hint for a lost record that was the only source of what was delivered: to continue after the
// highest sequence that can still be read in it. A number that is too high leaves a gap in the sequences, and one that
// is too low uses some twice.
func withoutRecord(path string, raw []byte) string {
	var last uint64
	for _, part := range bytes.Split(raw, []byte(`"sequence":`))[min(1, len(raw)):] {
		digits := 0
		for digits < len(part) && part[digits] >= '0' && part[digits] <= '9' {
			digits++
		}
		n, err := strconv.ParseUint(string(part[:digits]), 10, 64)
		if err == nil {
			last = max(last, n)
		}
	}
	return continueWithout(path, last)
}

// continueWithout is the hint to move away a broken record and to continue without it. Then only the number of its
// stream's delivered events is known.
func continueWithout(path string, sequence uint64) string {
	return fmt.Sprintf("move it away and continue after the delivered events: `mv '%s' '%s.broken'`, then %s", path, path,
		connector.FirstStartAfter(streamOf(path), sequence))
}

// continueAfterNewest is the hint for files that are not those of the records. It needs no numbers, as the records have
// those of all streams, and it is for all, as they share the files.
const continueAfterNewest = "continue after the delivered events with `twochat-connector run --first-start`"

// streamOf is the stream whose record has this path, or all of them if that cannot be told.
func streamOf(path string) string {
	token := strings.TrimSuffix(filepath.Base(path), recordSuffix)
	name, err := url.PathUnescape(strings.ReplaceAll(token, "=", "%"))
	if err != nil || connector.SubjectToken(name) != token {
		return connector.AllStreams
	}
	return name
}

// save replaces a stream's record. With an error, unclear means that the new record may be in place nevertheless.
func (f *folder) save(stream string, r record, typePrefix string) (unclear bool, err error) {
	raw, err := r.encode(typePrefix)
	if err != nil {
		return false, err
	}
	if unclear, err = f.disk.replace(f.file(stream), raw); err != nil {
		return unclear, fmt.Errorf("write checkpoint: %w", plain(err))
	}
	return false, nil
}

// each visits every record.
func (f *folder) each(visit func(record) error) error {
	entries, err := os.ReadDir(f.dir)
	if f.disk.readOnly && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the folder of checkpoints: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !strings.HasSuffix(e.Name(), recordSuffix) })
	for _, entry := range entries {
		r, err := f.read(filepath.Join(f.dir, entry.Name()))
		if err != nil {
			return err
		}
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}
