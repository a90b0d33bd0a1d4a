package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Erase overwrites in place the lines of a stream's events and rejects that a choice selects. First it records their
// keys, and then what is to be overwritten: if the program ends in the middle, the next owner of the file finishes.
func (s *Sink) Erase(ctx context.Context, claim connector.Claim, choice connector.Choice) (connector.ErasedCounts, error) {
	var counts connector.ErasedCounts
	_, leave, err := s.store.enter(ctx, claim.Stream.Name)
	if err != nil {
		return counts, fmt.Errorf("erase: %w", err)
	}
	defer leave()
	if err := s.store.open(ctx, claim); err != nil {
		return counts, s.store.forbidden(err)
	}
	j := s.journal
	e := &erasing{TypePrefix: claim.TypePrefix}
	keys, err := e.choose(ctx, j, claim.Stream.Name, choice)
	if err != nil || len(keys) == 0 {
		return counts, err
	}
	for _, key := range keys {
		if key.Sequence > 0 {
			counts.Events++
		} else {
			counts.Rejects++
		}
	}
	if err := j.folder.recordErased(claim, keys); err != nil {
		return connector.ErasedCounts{}, fmt.Errorf("erase: %w", plain(err))
	}
	if err := e.begin(j.folder); err != nil {
		return connector.ErasedCounts{}, fmt.Errorf("erase: %w", plain(err))
	}
	j.back, j.unrecorded = nil, nil
	if err := (eraser{j}).finish(); err != nil {
		return connector.ErasedCounts{}, err
	}
	return counts, nil
}

// Erased returns what was erased of a stream on request. It takes no lock.
func (s *Sink) Erased(_ context.Context, stream string) ([]connector.Seen, error) {
	return s.journal.folder.erased(stream)
}

// erasedSuffix ends the name of the file with what was erased of a stream.
const erasedSuffix = ".erased"

func (f *folder) erasedPath(stream string) string {
	return strings.TrimSuffix(f.file(stream), recordSuffix) + erasedSuffix
}

// erased reads what was erased of a stream.
func (f *folder) erased(stream string) ([]connector.Seen, error) {
	path := f.erasedPath(stream)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was erased: %w", plain(err))
	}
	object, err := Unseal(raw, "")
	if err == nil {
		var erased []connector.Seen
		if erased, err = connector.ParseErasure(object); err == nil {
			return erased, nil
		}
	}
	return nil, &connector.Refusal{
		Thing: "file " + path, Cause: err.Error(),
		Hint: "restore it from a copy; without it, what was erased may be delivered again if the list still shows it",
	}
}

// recordErased adds to the record of what was erased of a stream.
func (f *folder) recordErased(claim connector.Claim, more []connector.Seen) error {
	erased, err := f.erased(claim.Stream.Name)
	if err != nil {
		return err
	}
	all := connector.Erasure{
		Stream: claim.Stream.Name, Time: time.Now().UTC(), Erased: connector.SortErased(append(erased, more...)),
	}
	object, err := all.AppendJSON(nil, claim.TypePrefix)
	if err != nil {
		return err
	}
	_, err = f.disk.replace(f.erasedPath(claim.Stream.Name), Seal(object))
	return err
}

// erasing is an erasure in progress.
type erasing struct {
	TypePrefix string       `json:"type_prefix"`
	Lines      []erasedSpan `json:"lines"`
}

// erasedSpan is the place of a line to be overwritten, without its line end.
type erasedSpan struct {
	Part   int   `json:"part,omitempty"` // 0 is the file being written
	Reject bool  `json:"reject,omitempty"`
	At     int64 `json:"at"`
	Length int   `json:"length"`
	// Kept is the final content of the line, without its blanks.
	Kept string `json:"kept"`
}

// choose finds the lines to be erased, and the keys of what they hold.
func (e *erasing) choose(
	ctx context.Context, j *journal, stream string, choice connector.Choice,
) (keys []connector.Seen, err error) {
	take := func(at erasedSpan, line []byte, chosen func([]byte) bool) error {
		key, ours := erasable(line, stream, at.Reject)
		if !ours || !chosen(line) {
			return nil
		}
		kept, err := erasedLine(line, e.TypePrefix)
		if err != nil {
			return err
		}
		at.Length, at.Kept = len(line), strings.TrimRight(string(kept), " ")
		e.Lines, keys = append(e.Lines, at), append(keys, key)
		return nil
	}
	err = j.each(ctx, position{}, func(part int, at int64, line []byte) error {
		if part == j.number {
			part = 0
		}
		return take(erasedSpan{Part: part, At: at}, line, choice.Event)
	})
	if err != nil {
		return nil, fmt.Errorf("erase: %w", j.refuse(err, position{}))
	}
	at := int64(0)
	_, err = scan(ctx, j.quarantine.f, 0, func(line []byte) error {
		err := take(erasedSpan{Reject: true, At: at}, line, choice.Reject)
		at += int64(len(line)) + 1
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("erase from the quarantine: %w", err)
	}
	return keys, nil
}

func (f *folder) erasingPath() string { return filepath.Join(f.dir, "erasing") }

// erasing reports whether an erasure was interrupted. The next owner finishes it; a reader leaves that to the owner.
func (f *folder) erasing() bool {
	_, err := os.Stat(f.erasingPath())
	return err == nil
}

// begin records what is about to be overwritten.
func (e *erasing) begin(f *folder) error {
	object, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode what is about to be erased: %w", err)
	}
	_, err = f.disk.replace(f.erasingPath(), Seal(object))
	return err
}

// begun reads what begin wrote; nil if no erasure is in progress.
func (f *folder) begun() (*erasing, error) {
	raw, err := os.ReadFile(f.erasingPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what is being erased: %w", plain(err))
	}
	e := new(erasing)
	object, err := Unseal(raw, "")
	if err == nil {
		err = json.Unmarshal(object, e)
	}
	if err != nil {
		return nil, &connector.Refusal{
			Thing: "file " + f.erasingPath(), Cause: "it cannot be read: " + err.Error(),
			Hint: "restore it from a copy",
		}
	}
	return e, nil
}

// eraser overwrites in a journal what is recorded as being erased.
type eraser struct{ *journal }

// finish overwrites what begin recorded, and updates the checkpoints' sums over the file accordingly.
func (j eraser) finish() error {
	e, err := j.folder.begun()
	if e == nil || err != nil {
		return err
	}
	paths := make(map[string][]erasedSpan)
	for _, line := range e.Lines {
		path := j.path
		switch {
		case line.Reject:
			path = j.quarantinePath()
		case line.Part > 0:
			path = part(j.path, line.Part)
		}
		paths[path] = append(paths[path], line)
	}
	for path, lines := range paths {
		if err := j.overwrite(path, lines); err != nil {
			return fmt.Errorf("erase: %w", plain(err))
		}
	}
	err = j.folder.each(func(r record) error {
		var p position
		if r.checkpoint.Sink == nil || json.Unmarshal(r.checkpoint.Sink, &p) != nil || p.End == 0 {
			return nil
		}
		sum, err := j.sumAt(p)
		if err != nil || sum == p.Sum {
			return ignoreMissing(err)
		}
		p.Sum = sum
		if r.checkpoint.Sink, err = json.Marshal(p); err != nil {
			return fmt.Errorf("encode position: %w", err)
		}
		_, err = j.folder.save(r.checkpoint.Stream, r, e.TypePrefix)
		return err
	})
	if err == nil {
		err = j.disk.remove(j.folder.erasingPath())
	}
	if err == nil {
		err = j.disk.syncDir(j.folder.dir)
	}
	if err != nil {
		return fmt.Errorf("erase: %w", plain(err))
	}
	return nil
}

// sumAt is the sum over the end of the file up to a position.
func (j eraser) sumAt(p position) (string, error) {
	f, err := os.Open(part(j.path, p.Part))
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.Open(j.path)
	}
	if err != nil {
		return "", err
	}
	defer f.Close() // only read
	return sumBefore(f, p.End)
}

// overwrite writes the final content of the lines of a file in place. A part that was removed meanwhile needs none.
func (j eraser) overwrite(path string, lines []erasedSpan) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, line := range lines {
		if !bounded(f, line) {
			return errors.Join(f.Close(), &connector.Refusal{
				Thing: "file " + path, Cause: "it was replaced while something was being erased from it",
				Hint: fmt.Sprintf("restore the former file; or give up that erasure, and repeat it later: rm '%s'",
					j.folder.erasingPath()),
			})
		}
		text := append(make([]byte, 0, line.Length), line.Kept...)
		for len(text) < line.Length {
			text = append(text, ' ')
		}
		if err := j.disk.writeAt(f, text, line.At); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(j.disk.sync(f), f.Close())
}

// bounded reports whether a whole line of this length is at its place.
func bounded(f *os.File, line erasedSpan) bool {
	at := line.At + int64(line.Length)
	end := make([]byte, 1)
	if _, err := f.ReadAt(end, at); err != nil || end[0] != '\n' || len(line.Kept) > line.Length {
		return false
	}
	if line.At == 0 {
		return true
	}
	_, err := f.ReadAt(end, line.At-1)
	return err == nil && end[0] == '\n'
}
