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

// adopt finds lines that were appended but not recorded, and records them: each stream's last line is the end of its
// log. With accepted, the operator vouches for the file's contents.
func (j *journal) adopt(ctx context.Context, f *folder, mark position, claim connector.Claim, accepted bool) error {
	announced, err := f.announced()
	if err != nil {
		return err
	}
	read := verified
	if accepted {
		announced, read = pending{}, parseHead
	}
	found := map[string][]connector.Seen{}
	err = j.each(ctx, mark, func(part int, at int64, line []byte) error {
		if part == announced.Part && !announced.Events.agrees(at, line) {
			return errDamaged
		}
		h, err := read(line)
		if err == nil {
			found[h.stream] = append(found[h.stream], h.seen)
		}
		return err
	})
	if err != nil {
		return j.refuse(err, mark)
	}
	rejects, err := j.adoptRejects(ctx, mark, announced.Quarantine)
	if err != nil {
		return err
	}
	for stream := range rejects {
		if _, ok := found[stream]; !ok {
			found[stream] = nil
		}
	}
	for stream, seen := range found {
		r, recorded, err := f.load(stream)
		if err != nil {
			return err
		}
		if !recorded {
			continue // orphans, which matter only if the stream is used
		}
		// The position in the record stays unchanged. If it were the file's end, another stream's lines before it would be
		// skipped if the program ended here. Lines that are already known are skipped instead.
		seen = slices.DeleteFunc(seen, func(s connector.Seen) bool { return s.Sequence <= r.checkpoint.Sequence })
		if err := j.joins(stream, r.checkpoint.Sequence, seen, claim.FirstStart); err != nil {
			return err
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
		j.logger.Info("adopted events that were written before the program last ended", "stream", stream, "events", len(seen),
			"rejects", news-len(seen))
		if _, err := f.save(stream, r, claim.TypePrefix); err != nil {
			return err
		}
	}
	return nil
}

// joins refuses lines that do not continue the checkpoint, or one another: then file and checkpoint are from different
// times. accepted means that the operator declared that events may be missing.
func (j *journal) joins(stream string, last uint64, seen []connector.Seen, accepted bool) error {
	for _, s := range seen {
		if s.Sequence != last+1 && (!accepted || s.Sequence <= last) {
			return &connector.Refusal{
				Thing: "file " + j.path,
				Cause: fmt.Sprintf("event %d of stream %s follows %d: the file and the folder %s.checkpoint are from different times",
					s.Sequence, stream, last, j.path),
				Hint: "restore file and folder from the same time; or " + continueAfterNewest,
			}
		}
		last = s.Sequence
	}
	return nil
}

// adoptRejects lists what was quarantined but not recorded. People may write into the quarantine, so a line is checked
// only if it is known what should be there.
func (j *journal) adoptRejects(
	ctx context.Context, mark position, announced lineSet,
) (map[string][]connector.Key, error) {
	rejects := map[string][]connector.Key{}
	at := min(mark.Quarantine, j.quarantine.size)
	_, err := scan(ctx, j.quarantine.f, at, func(line []byte) error {
		if !announced.agrees(at, line) {
			return &connector.Refusal{
				Thing: "file " + j.quarantinePath(), Cause: fmt.Sprintf("it contains %v, at byte %d", errDamaged, at),
				Hint: fmt.Sprintf("cut off this line and everything after it, which is written again: `truncate -s %d '%s'`", at,
					j.quarantinePath()),
			}
		}
		at += int64(len(line)) + 1
		if stream, key, ours := connector.RejectKey(line); ours {
			rejects[stream] = append(rejects[stream], key)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("quarantine: %w", err)
	}
	return rejects, nil
}

// each visits the lines after a position, oldest first, each with its part and its offset.
func (j *journal) each(ctx context.Context, from position, visit func(part int, at int64, line []byte) error) error {
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
		err := scanFile(ctx, path, offset, func(at int64, line []byte) error { return visit(n, at, line) })
		if err != nil {
			return err
		}
	}
	return nil
}

func scanFile(ctx context.Context, path string, offset int64, visit func(at int64, line []byte) error) error {
	if err := regular(path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("open: %w", plain(err))
	}
	defer f.Close() // only read
	rest, err := scan(ctx, f, offset, func(line []byte) error {
		if err := visit(offset, line); err != nil {
			return &lineFault{path, offset, err}
		}
		offset += int64(len(line)) + 1
		return nil
	})
	if err != nil {
		return err
	}
	// A torn line is also ours if its beginning is.
	if n := min(len(rest), len(lineStart)); string(rest[:n]) != lineStart[:n] {
		return &lineFault{path, offset, errForeign}
	}
	return nil
}

// scanAll finds the newest events of every stream in all parts.
func (j *journal) scanAll(ctx context.Context) (map[string][]connector.Seen, error) {
	newest := map[string][]connector.Seen{}
	err := j.each(ctx, position{}, func(_ int, _ int64, line []byte) error {
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
		return nil, j.refuse(err, position{})
	}
	return newest, nil
}

// orphans scans the whole file when it is first asked for a stream without a record: only that distinguishes a new
// stream from one whose checkpoint was lost.
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
