package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/twochat-connector/twochat-connector/connector"
)

// appender is an append-only file.
type appender struct {
	disk *disk
	f    *os.File
	size int64
}

// openAppender opens a file and cuts off a torn last line.
func openAppender(ctx context.Context, d *disk, path string, logger *slog.Logger) (a appender, err error) {
	if err := regular(path); err != nil {
		return a, err
	}
	f, err := d.openAppend(path)
	if err != nil {
		return a, fmt.Errorf("open: %w", plain(err))
	}
	if f == nil { // opened only for a check, and missing
		return a, nil
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return a, fmt.Errorf("look at the file: %w", plain(err))
	}
	if !info.Mode().IsRegular() {
		return a, irregular(path)
	}
	size, err := lastBreak(ctx, f, info.Size())
	if err != nil {
		return a, err
	}
	if size < info.Size() {
		logger.Warn("torn last line cut", "file", path, "bytes", info.Size()-size)
		if err := d.truncate(f, size); err != nil {
			return a, fmt.Errorf("cut a torn line: %w", plain(err))
		}
	}
	return appender{disk: d, f: f, size: size}, nil
}

// lastBreak is the offset after the last line break.
func lastBreak(ctx context.Context, f *os.File, size int64) (int64, error) {
	const block = 64 << 10
	data := make([]byte, block)
	for end := size; end > 0; {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		begin := max(0, end-block)
		n, err := f.ReadAt(data[:end-begin], begin)
		if err != nil {
			return 0, plain(err) // it names the operation
		}
		for i := n - 1; i >= 0; i-- {
			if data[i] == '\n' {
				return begin + int64(i) + 1, nil
			}
		}
		end = begin
	}
	return 0, nil
}

// append writes and syncs. The error wraps connector.ErrNotNow if the file was restored to its former end.
func (a *appender) append(data []byte) (undo func() error, err error) {
	before := a.size
	undo = func() error {
		if a.size == before {
			return nil
		}
		if err := a.disk.truncate(a.f, before); err != nil {
			return fmt.Errorf("undo: %w", plain(err))
		}
		a.size = before
		return nil
	}
	if len(data) == 0 {
		return undo, nil
	}
	a.size += int64(len(data))
	if err = a.disk.write(a.f, data); err == nil {
		err = a.disk.sync(a.f)
	}
	if err == nil {
		return undo, nil
	}
	err = fmt.Errorf("append: %w", plain(err))
	if undone := undo(); undone != nil {
		return nil, errors.Join(err, undone)
	}
	return nil, fmt.Errorf("%w: %w", connector.ErrNotNow, err)
}

func sumBefore(f *os.File, end int64) (string, error) {
	if end == 0 {
		return "", nil
	}
	data := make([]byte, min(end, sumBytes))
	if _, err := f.ReadAt(data, end-int64(len(data))); err != nil {
		return "", fmt.Errorf("read back: %w", plain(err))
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16]), nil
}
