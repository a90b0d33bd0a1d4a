package file

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// record is what a folder keeps of a stream.
type record struct {
	checkpoint connector.Checkpoint
	// seen lists the newest events in log order: all above the certified sequence, and seenBelow below.
	seen []connector.Seen
}

// seenBelow is how many certified events a record remembers: twice what the walk asks for at least.
const seenBelow = 1_000

// add is the record after a commit of events with the checkpoint next. It remembers as many events as a window asks for at most.
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

// run is a part of the seen events without a gap, as it is written.
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
	return json.Marshal(struct {
		Checkpoint json.RawMessage `json:"checkpoint"`
		Seen       []run           `json:"seen"`
	}{event, runs(r.seen)})
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

// folder keeps one record a stream, each in a file of its own that is replaced whole.
type folder struct {
	disk *disk
	dir  string
	held *os.File // the lock; nil while it is not held
}

// recordSuffix ends the name of a record's file.
const recordSuffix = ".json"

// open makes the folder where it is missing and takes its lock.
func (f *folder) open() error {
	if f.held != nil {
		return nil
	}
	err := os.Mkdir(f.dir, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		return &connector.Refusal{Thing: "folder " + filepath.Dir(f.dir), Cause: "it does not exist", Mend: "make it, or set `create: true`"}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the folder of checkpoints: %w", plain(err))
	}
	held, busy, err := lock(filepath.Join(f.dir, "lock"))
	switch {
	case busy:
		return &connector.Refusal{
			Thing: "folder " + f.dir, Cause: "another process is writing here",
			Mend: "end the other process, or give this one another path",
		}
	case err != nil:
		return fmt.Errorf("lock the folder of checkpoints: %w", err)
	}
	f.held = held
	return nil
}

func (f *folder) close() error {
	if f.held == nil {
		return nil
	}
	err := f.held.Close()
	f.held = nil
	return err
}

// file is where a stream's record lies. Names that are too long for a file system are cut and told apart by their hash.
func (f *folder) file(stream string) string {
	token := connector.SubjectToken(stream)
	if len(token) > 200 {
		token = fmt.Sprintf("%s=%x", token[:150], sha256.Sum256([]byte(stream)))
	}
	return filepath.Join(f.dir, token+recordSuffix)
}

// load reads a stream's record; found is false where there is none. Another process may be writing it.
func (f *folder) load(stream string) (r record, found bool, err error) {
	r, err = readRecord(f.file(stream))
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, false, nil
	}
	return r, err == nil, err
}

func readRecord(path string) (record, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return record{}, fmt.Errorf("read checkpoint: %w", err)
	}
	r, err := decodeRecord(raw)
	if err != nil {
		return r, &connector.Refusal{Thing: "file " + path, Cause: err.Error(), Mend: "restore it; or remove it and go on after the newest event with `run --first-start`"}
	}
	return r, nil
}

// save replaces a stream's record. unclear says, with an error, that it may be in place nevertheless.
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
	if err != nil {
		return fmt.Errorf("read the folder of checkpoints: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !strings.HasSuffix(e.Name(), recordSuffix) })
	for _, entry := range entries {
		r, err := readRecord(filepath.Join(f.dir, entry.Name()))
		if err != nil {
			return err
		}
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}
