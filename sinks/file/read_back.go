package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/twochat-connector/twochat-connector/connector"
)

// ReadBack reads the rotated parts and the file, then the quarantine. It takes no lock: another process may be writing.
func (s *Sink) ReadBack(
	ctx context.Context, stream string, event func(connector.StoredRecord) error, reject func(reject []byte) error,
) error {
	readEvents := func() error {
		parts, err := openParts(s.config.Path)
		defer func() {
			for _, f := range parts {
				f.Close() // only read
			}
		}()
		if err != nil {
			return err
		}
		for i, f := range parts {
			record := connector.StoredRecord{Position: connector.RecordPosition{Container: f.Name() + ", byte"}}
			give := func(line []byte) error {
				record.Event, record.Fault, record.Unclaimed = line, nil, false
				h, err := parseHead(line)
				if err != nil {
					record.Event, record.Fault = nil, err
					h.stream, record.Unclaimed = streamNamedIn(line)
				}
				err = nil
				if record.Unclaimed || h.stream == stream && !isErased(line) {
					err = event(record)
				}
				record.Position.At += int64(len(line)) + 1
				return err
			}
			rest, err := scan(ctx, f, 0, give)
			if err == nil && len(rest) > 0 && i < len(parts)-1 { // a rotated part is never continued
				record.Event, record.Fault = nil, errForeign
				of, unclaimed := streamNamedIn(rest)
				if record.Unclaimed = unclaimed; unclaimed || of == stream {
					err = event(record)
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	readRejects := func() error {
		quarantine, err := os.Open(s.config.Path + quarantineSuffix)
		if err != nil {
			return ignoreMissing(err)
		}
		defer quarantine.Close() // only read
		_, err = scan(ctx, quarantine, 0, func(line []byte) error {
			if of, _, ours := connector.RejectKey(line); stream != "" && (!ours || of != stream) || isErased(line) {
				return nil
			}
			return reject(line)
		})
		return err
	}
	err := errors.Join(regular(s.config.Path), regular(s.config.Path+quarantineSuffix))
	if err == nil && event != nil {
		err = readEvents()
	}
	if err == nil {
		err = readRejects()
	}
	if err != nil {
		return fmt.Errorf("read back: %w", plain(err))
	}
	return nil
}

// openParts opens the files that hold the events, oldest first. The newest is opened before the others are listed: it
// may be rotated meanwhile, and is then found among them again.
func openParts(path string) ([]*os.File, error) {
	newest, err := os.Open(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var parts []*os.File
	numbers, err := rotated(path)
	for i := 0; i < len(numbers) && err == nil; i++ {
		var f *os.File
		switch f, err = os.Open(part(path, numbers[i])); {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile, as configured
			err = nil
		case err == nil && same(f, newest):
			err = f.Close()
		case err == nil:
			parts = append(parts, f)
		}
	}
	if newest != nil {
		parts = append(parts, newest)
	}
	return parts, err
}

func same(a, b *os.File) bool {
	if b == nil {
		return false
	}
	of, err := a.Stat()
	other, otherErr := b.Stat()
	return err == nil && otherErr == nil && os.SameFile(of, other)
}
