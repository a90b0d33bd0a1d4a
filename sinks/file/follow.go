package file

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// followInterval is how often a follower looks for new lines.
const followInterval = 100 * time.Millisecond

// Follow calls each with the newest events and then with every later one. It takes no lock: another process may be
// writing.
func (s *Sink) Follow(ctx context.Context, options connector.FollowOptions, each func(event []byte) error) error {
	f := &follower{path: s.config.Path, options: options, each: each}
	defer f.close()
	if err := f.findable(); err != nil {
		return err
	}
	err := f.follow(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// follower reads a file as it grows.
type follower struct {
	path    string
	options connector.FollowOptions
	each    func(event []byte) error
	f       *os.File // nil if there is none
	offset  int64    // all whole lines before it have been read
}

func (f *follower) close() {
	if f.f != nil {
		f.f.Close() // only read
	}
	f.f, f.offset = nil, 0
}

func (f *follower) wanted(line []byte) bool {
	h, err := parseHead(line)
	return err == nil && (f.options.Stream == "" || h.stream == f.options.Stream) && !isErased(line)
}

// findable refuses what cannot be followed: a named pipe would block forever, and a missing file has no end to read to.
func (f *follower) findable() error {
	if err := regular(f.path); err != nil {
		return err
	}
	if _, err := os.Stat(f.path); !f.options.Once || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	numbers, err := rotated(f.path)
	if err != nil || len(numbers) > 0 {
		return nil // in the middle of a rotation
	}
	return &connector.Refusal{
		Thing: "file " + f.path, Cause: "there is no such file",
		Hint: "name the file that the connector writes; it is created with the first event",
	}
}

func (f *follower) follow(ctx context.Context) error {
	var err error
	if f.options.Since.IsZero() {
		err = f.reach(ctx, f.options.Last)
	} else {
		err = f.reread(ctx)
	}
	if err != nil {
		return err
	}
	if f.options.Once && f.options.Since.IsZero() {
		return nil
	}
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		if err := f.advance(ctx); err != nil || f.options.Once {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// reach opens the file and passes on the newest `last` events in it and in its rotated parts.
func (f *follower) reach(ctx context.Context, last int) error {
	var found [][]byte // newest first
	collect := func(file *os.File, size int64) error {
		_, err := backward(ctx, file, size, func(line []byte) (bool, error) {
			if len(found) < last && f.wanted(line) {
				found = append(found, bytes.Clone(line))
			}
			return len(found) < last, nil
		})
		return err
	}
	if err := f.open(); err != nil {
		return err
	}
	if f.f != nil {
		info, err := f.f.Stat()
		if err != nil {
			return fmt.Errorf("follow: %w", plain(err))
		}
		if f.offset, err = lastBreak(ctx, f.f, info.Size()); err != nil {
			return err
		}
		if err := collect(f.f, f.offset); err != nil {
			return err
		}
	}
	numbers, err := rotated(f.path)
	if err != nil {
		return fmt.Errorf("follow: %w", plain(err))
	}
	for i := len(numbers) - 1; i >= 0 && len(found) < last; i-- {
		rotated, err := os.Open(part(f.path, numbers[i]))
		if err != nil {
			return fmt.Errorf("follow: %w", plain(err))
		}
		info, err := rotated.Stat()
		if err == nil {
			err = collect(rotated, info.Size())
		}
		if err = errors.Join(err, rotated.Close()); err != nil {
			return fmt.Errorf("follow: %w", plain(err))
		}
	}
	for i := len(found) - 1; i >= 0; i-- {
		if err := f.each(found[i]); err != nil {
			return err
		}
	}
	return nil
}

// reread passes on what was recorded since a time in the rotated parts. The file itself is then read from its
// beginning.
func (f *follower) reread(ctx context.Context) error {
	if err := f.open(); err != nil {
		return err
	}
	numbers, err := rotated(f.path)
	if err != nil {
		return fmt.Errorf("follow: %w", plain(err))
	}
	for _, n := range numbers {
		if err := f.rereadPart(ctx, part(f.path, n)); err != nil {
			return err
		}
	}
	return nil
}

func (f *follower) rereadPart(ctx context.Context, path string) error {
	rotated, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("follow: %w", plain(err))
	}
	defer rotated.Close()
	info, err := rotated.Stat()
	if err != nil {
		return fmt.Errorf("follow: %w", plain(err))
	}
	// Nothing in a part is younger than its last line. If it was rotated since it was opened, it is read as the current
	// file.
	if info.ModTime().Before(f.options.Since.Add(-connector.ClockMargin)) {
		return nil
	}
	if f.f != nil {
		if ours, err := f.f.Stat(); err == nil && os.SameFile(ours, info) {
			return nil
		}
	}
	_, err = scan(ctx, rotated, 0, f.give)
	return err
}

// give passes on a line if it is wanted.
func (f *follower) give(line []byte) error {
	if !f.wanted(line) || recordedBefore(line, f.options.Since) {
		return nil
	}
	return f.each(line)
}

// recordedBefore reports whether an event was recorded before a time; always false for the zero time.
func recordedBefore(line []byte, since time.Time) bool {
	var attributes struct{ RecordedTime time.Time }
	return !since.IsZero() && json.Unmarshal(withoutData(line), &attributes) == nil &&
		attributes.RecordedTime.Before(since)
}

func (f *follower) open() error {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("follow: %w", plain(err))
	}
	f.f, f.offset = file, 0
	return nil
}

// advance reads what is new, and continues with the next file if this one was rotated.
func (f *follower) advance(ctx context.Context) error {
	for {
		if f.f == nil {
			if err := f.open(); f.f == nil || err != nil {
				return err
			}
		}
		// This is checked before reading: if the file was rotated already, nothing more will be written to it.
		rotated, err := f.moved()
		if err != nil {
			return err
		}
		if err := f.read(ctx); err != nil || !rotated {
			return err
		}
		if err := f.next(); err != nil {
			return err
		}
	}
}

// next opens the file after ours: a rotated one if there were several rotations since.
func (f *follower) next() error {
	ours, err := f.f.Stat()
	if err != nil {
		return fmt.Errorf("follow: %w", plain(err))
	}
	numbers, err := rotated(f.path)
	if err != nil {
		return fmt.Errorf("follow: %w", plain(err))
	}
	f.close()
	for i, n := range numbers {
		info, err := os.Stat(part(f.path, n))
		if err != nil || !os.SameFile(ours, info) || i+1 == len(numbers) {
			continue
		}
		if f.f, err = os.Open(part(f.path, numbers[i+1])); err != nil {
			return fmt.Errorf("follow: %w", plain(err))
		}
		return nil
	}
	return f.open()
}

func (f *follower) moved() (bool, error) {
	ours, err := f.f.Stat()
	if err != nil {
		return false, fmt.Errorf("follow: %w", plain(err))
	}
	f.offset = min(f.offset, ours.Size()) // what could not be synced was cut off
	named, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // in the middle of a rotation
	}
	if err != nil {
		return false, fmt.Errorf("follow: %w", plain(err))
	}
	return !os.SameFile(ours, named), nil
}

func (f *follower) read(ctx context.Context) error {
	_, err := scan(ctx, f.f, f.offset, func(line []byte) error {
		f.offset += int64(len(line)) + 1
		return f.give(line)
	})
	return err
}
