package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// A record holds few of the events below the certified sequence, as it is written completely at each commit. When a
// stream is acquired, the rest of its window is read back from the events' files.

// recallBytes is the most bytes of the files that are read back after a start. Events further back count as forgotten.
const recallBytes = 512 << 20

// recall reads the events' files backwards, once for all streams: each stream that needs it reads on from where the
// previous one stopped. It holds at most a window of each stream.
type recall struct {
	journal *journal
	parts   []int // not read to their beginning yet, oldest first
	end     int64 // up to where the last of them is still unread; -1 if it was not opened yet
	read    int64
	found   map[string]*recalled
}

// recalled is what was read back of a stream.
type recalled struct {
	seen    []connector.Seen // newest first
	window  int
	stopped bool // what is further back does not continue it
	taken   bool
}

func (e *recalled) full() bool {
	return e.stopped || len(e.seen) >= e.window || len(e.seen) > 0 && e.seen[len(e.seen)-1].Sequence == 1
}

func (j *journal) recall(
	ctx context.Context, stream string, seen []connector.Seen, window int,
) ([]connector.Seen, error) {
	if len(seen) >= window || len(seen) > 0 && seen[0].Sequence == 1 {
		return seen, nil
	}
	if j.back == nil || j.back.of(stream, window).taken {
		parts, err := rotated(j.path)
		if err != nil {
			return nil, fmt.Errorf("list the files: %w", plain(err))
		}
		j.back = &recall{journal: j, parts: append(parts, j.number), end: -1, found: map[string]*recalled{}}
	}
	e := j.back.of(stream, window)
	if err := j.back.fill(ctx, e); err != nil {
		return nil, err
	}
	older := e.below(seen)
	e.taken, e.seen = true, nil
	if len(seen)+len(older) > window {
		older = older[len(seen)+len(older)-window:]
	}
	return append(older, seen...), nil
}

func (b *recall) of(stream string, window int) *recalled {
	e := b.found[stream]
	if e == nil {
		e = &recalled{window: window}
		b.found[strings.Clone(stream)] = e
	}
	return e
}

// below returns the events that were read back below the oldest known one, oldest first. It returns nothing if the
// files contradict what is known.
func (e *recalled) below(known []connector.Seen) []connector.Seen {
	var older []connector.Seen
	for _, s := range slices.Backward(e.seen) {
		if len(known) == 0 || s.Sequence < known[0].Sequence {
			older = append(older, s)
			continue
		}
		if at := int(s.Sequence - known[0].Sequence); at < len(known) && known[at].Sequence == s.Sequence && known[at] != s {
			return nil
		}
	}
	return older
}

// fill reads on until a stream's window is full, or there is nothing left to read.
func (b *recall) fill(ctx context.Context, e *recalled) error {
	for len(b.parts) > 0 && !e.full() && b.read < recallBytes {
		more, err := b.readPart(ctx, e)
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			b.journal.logger.Warn("what was delivered could not be read back further", "error", plain(err).Error())
			b.parts = nil
			return nil
		}
		if more {
			b.parts, b.end = b.parts[:len(b.parts)-1], -1
		}
	}
	return nil
}

// readPart reads on in one file; more means that its beginning was reached.
func (b *recall) readPart(ctx context.Context, e *recalled) (more bool, err error) {
	j, number := b.journal, b.parts[len(b.parts)-1]
	path := part(j.path, number)
	if number == j.number {
		path = j.path
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // it was removed by rotation
	}
	if err != nil {
		return false, fmt.Errorf("open: %w", err)
	}
	defer f.Close() // only read
	if b.end < 0 {
		info, err := f.Stat()
		if err != nil {
			return false, fmt.Errorf("look at the file: %w", err)
		}
		if b.end, err = lastBreak(ctx, f, info.Size()); err != nil {
			return false, err
		}
	}
	damaged := 0
	more, err = backward(ctx, f, b.end, func(line []byte) (bool, error) {
		b.end -= int64(len(line)) + 1
		b.read += int64(len(line)) + 1
		if !b.take(line, e.window) {
			damaged++
		}
		return !e.full() && b.read < recallBytes, nil
	})
	if damaged > 0 {
		j.logger.Warn("lines that are damaged, or that are not events of this connector, count as erased", "file", path, "lines",
			damaged)
	}
	return more, err
}

// take adds a line to its stream's window if it is needed there. It returns false if that cannot be told, or if the
// line was changed. The event of such a line counts as missing.
func (b *recall) take(line []byte, window int) bool {
	if len(b.found) > 1 { // the line may belong to a stream that needs no more
		h, err := parseHead(line)
		if err != nil {
			return false
		}
		if e := b.of(h.stream, window); e.full() || e.taken {
			return true
		}
	}
	read := verified
	if isErased(line) {
		read = parseHead
	}
	h, err := read(line)
	if err != nil {
		return false
	}
	e := b.of(h.stream, window)
	if n := len(e.seen); n > 0 && h.seen.Sequence >= e.seen[n-1].Sequence {
		e.stopped = true
		return true
	}
	e.seen = append(e.seen, h.seen)
	return true
}
