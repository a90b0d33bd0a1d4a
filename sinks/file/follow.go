package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// followInterval is how often a follower looks for new lines.
const followInterval = 100 * time.Millisecond

// Follow calls each with the newest events and then with every further one. It takes no lock: another process may be
// writing.
func (s *Sink) Follow(ctx context.Context, stream string, last int, each func(event []byte) error) error {
	f := &follower{path: s.config.Path, stream: stream, each: each}
	defer f.close()
	err := f.follow(ctx, last)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// follower reads a file as it grows.
type follower struct {
	path   string
	stream string
	each   func(event []byte) error
	f      *os.File // nil while there is none
	offset int64    // all whole lines before it have been read
}

func (f *follower) close() {
	if f.f != nil {
		f.f.Close() // only read
	}
	f.f, f.offset = nil, 0
}

func (f *follower) wanted(line []byte) bool {
	h, err := parseHead(line)
	return err == nil && (f.stream == "" || h.stream == f.stream)
}

func (f *follower) follow(ctx context.Context, last int) error {
	if err := f.reach(ctx, last); err != nil {
		return err
	}
	ticker := time.NewTicker(followInterval)
	defer ticker.Stop()
	for {
		if err := f.advance(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// reach opens the file and gives the newest `last` events in it and in its rotated parts.
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

// advance reads what is new, and goes on to the next file where this one was rotated.
func (f *follower) advance(ctx context.Context) error {
	for {
		if f.f == nil {
			if err := f.open(); f.f == nil || err != nil {
				return err
			}
		}
		// This is looked at before reading: if the file was rotated already, nothing more will be written to it.
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

// next opens the file that came after ours: a rotated one, where there were several rotations since.
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
		if !f.wanted(line) {
			return nil
		}
		return f.each(line)
	})
	return err
}
