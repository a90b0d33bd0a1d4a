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

// adopt finds what was appended and not recorded, and records it: each stream's last line is its log's end.
func (j *journal) adopt(ctx context.Context, f *folder, mark position, typePrefix string) error {
	found := map[string][]connector.Seen{}
	err := j.each(ctx, mark, func(line []byte) error {
		h, err := parseHead(line)
		if err == nil {
			found[h.stream] = append(found[h.stream], h.seen)
		}
		return err
	})
	if err != nil {
		return j.foreign(err)
	}
	rejects := map[string][]connector.Key{}
	_, err = scan(ctx, j.quarantine.f, min(mark.Quarantine, j.quarantine.size), func(line []byte) error {
		stream, key, err := parseReject(line)
		if err == nil {
			rejects[stream] = append(rejects[stream], key)
			if _, ok := found[stream]; !ok {
				found[stream] = nil
			}
		}
		return nil // the quarantine is there for people: they may write into it
	})
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	for stream, seen := range found {
		r, recorded, err := f.load(stream)
		if err != nil {
			return err
		}
		if !recorded {
			continue // orphans, if anyone asks for the stream
		}
		// The position in the record stays: were it the file's end, another stream's lines before it would be passed over if
		// the program ended here. What is known already is passed over instead.
		seen = slices.DeleteFunc(seen, func(s connector.Seen) bool { return s.Sequence <= r.checkpoint.Sequence })
		for i, s := range seen {
			if s.Sequence != r.checkpoint.Sequence+1+uint64(i) {
				return j.foreign(errForeign)
			}
		}
		news := len(seen)
		r.adopt(seen)
		for _, key := range rejects[stream] {
			if !slices.Contains(r.checkpoint.Rejects, key) {
				r.checkpoint.Rejects = append(r.checkpoint.Rejects, key)
				r.checkpoint.Counters.Rejected++
				news++
			}
		}
		if news == 0 {
			continue
		}
		j.logger.Info("events adopted that were written before the last end", "stream", stream, "events", len(seen), "rejects", news-len(seen))
		if _, err := f.save(stream, r, typePrefix); err != nil {
			return err
		}
	}
	return nil
}

// each visits the lines after a position, oldest first.
func (j *journal) each(ctx context.Context, from position, visit func(line []byte) error) error {
	numbers, err := rotated(j.path)
	if err != nil {
		return fmt.Errorf("list the files: %w", plain(err))
	}
	for _, n := range append(numbers, j.number) {
		if n < from.Part {
			continue
		}
		offset := int64(0)
		if n == from.Part {
			offset = from.End
		}
		path := part(j.path, n)
		if n == j.number {
			path = j.path
		}
		if err := scanFile(ctx, path, offset, visit); err != nil {
			return err
		}
	}
	return nil
}

func scanFile(ctx context.Context, path string, offset int64, visit func(line []byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("open: %w", plain(err))
	}
	defer f.Close() // only read
	rest, err := scan(ctx, f, offset, visit)
	if err != nil {
		return err
	}
	// A torn line is ours too, if it begins like one.
	if n := min(len(rest), len(lineStart)); string(rest[:n]) != lineStart[:n] {
		return errForeign
	}
	return nil
}

// scanAll finds the newest events of every stream in all parts.
func (j *journal) scanAll(ctx context.Context) (map[string][]connector.Seen, error) {
	newest := map[string][]connector.Seen{}
	err := j.each(ctx, position{}, func(line []byte) error {
		h, err := parseHead(line)
		if err != nil {
			return err
		}
		stream := strings.Clone(h.stream)
		seen := append(newest[stream], h.seen)
		if len(seen) >= 2*seenBelow {
			seen = append(seen[:0], seen[len(seen)-seenBelow:]...)
		}
		newest[stream] = seen
		return nil
	})
	if err != nil {
		return nil, j.foreign(err)
	}
	return newest, nil
}

// orphans scans the whole file the first time that a stream without a record is asked for: nothing else tells a new stream
// from one whose checkpoint was lost.
func (j *journal) orphans(ctx context.Context, stream string) ([]connector.Seen, error) {
	if j.unrecorded == nil {
		found, err := j.scanAll(ctx)
		if err != nil {
			return nil, err
		}
		j.unrecorded = found
	}
	seen := j.unrecorded[stream]
	slices.SortFunc(seen, func(a, b connector.Seen) int {
		if a.Sequence < b.Sequence {
			return -1
		}
		return 1
	})
	return seen, nil
}

// foreign is the refusal of a file in which someone else wrote.
func (j *journal) foreign(err error) error {
	if !errors.Is(err, errForeign) {
		return err
	}
	return &connector.Refusal{Thing: "file " + j.path, Cause: "it holds " + errForeign.Error(), Mend: "remove that line, or name another file in `path`"}
}
