package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/twochat-connector/twochat-connector/connector"
)

// journal is the events' file, with its rotated parts, and the quarantine beside it. The store allows one call at a
// time.
type journal struct {
	disk     *disk
	path     string
	maxBytes int64 // a part is rotated before it gets larger than this; 0 for never
	keep     int   // number of rotated parts to keep; 0 for all
	logger   *slog.Logger

	number     int // of the current part: when rotated, it becomes path.number
	events     appender
	quarantine appender
	unrecorded map[string][]connector.Seen // of streams without a record; nil until needed
	folder     *folder
	back       *recall // what was read back from the files; nil until needed
}

// position is the size of the files when a checkpoint was written: every line before it is accounted for by some
// checkpoint.
type position struct {
	Part       int    `json:"part"`
	End        int64  `json:"end"`
	Sum        string `json:"sum,omitempty"` // over the last bytes before End: it shows that the file is still the same
	Quarantine int64  `json:"quarantine"`
}

// sumBytes is how many bytes at the end of the file a position's sum covers.
const sumBytes = 1 << 10

// quarantineSuffix is appended to the path of the events for the quarantine.
const quarantineSuffix = ".quarantine.jsonl"

func (j *journal) quarantinePath() string { return j.path + quarantineSuffix }

func (j *journal) open(ctx context.Context, f *folder, positions []json.RawMessage, claim connector.Claim) error {
	err := j.reopen(ctx, f, positions, claim)
	if err != nil {
		err = errors.Join(err, j.close())
	}
	return err
}

func (j *journal) reopen(ctx context.Context, f *folder, positions []json.RawMessage, claim connector.Claim) error {
	if err := j.close(); err != nil {
		return err
	}
	mark, err := newest(positions)
	if err != nil {
		return err
	}
	parts, err := rotated(j.path)
	if err != nil {
		return fmt.Errorf("list the files: %w", plain(err))
	}
	j.number, j.unrecorded, j.back = max(1, mark.Part), nil, nil
	if len(parts) > 0 {
		j.number = max(j.number, parts[len(parts)-1]+1)
	}
	accepted := false
	if err := j.verify(mark); err != nil {
		var refusal *connector.Refusal
		if !claim.FirstStart || !errors.As(err, &refusal) {
			return err
		}
		accepted, mark = true, position{Quarantine: mark.Quarantine} // the operator declared the log complete
	}
	if mark.End == 0 {
		// Before anything is cut off, this makes sure that the file is ours.
		if j.unrecorded, err = j.scanAll(ctx); err != nil {
			return err
		}
	}
	if j.events, err = openAppender(ctx, j.disk, j.path, j.logger); err != nil {
		return err
	}
	if j.quarantine, err = openAppender(ctx, j.disk, j.quarantinePath(), j.logger); err != nil {
		return err
	}
	if err := j.disk.syncDir(filepath.Dir(j.path)); err != nil {
		return fmt.Errorf("sync folder: %w", plain(err))
	}
	return j.adopt(ctx, f, mark, claim, accepted)
}

// withoutRecord is the hint for a broken record: to continue after the newest event of its stream in the file.
func (j *journal) withoutRecord(path string, raw []byte) string {
	var last uint64
	newest, err := j.scanAll(context.Background())
	if err != nil {
		return withoutRecord(path, raw)
	}
	for stream, seen := range newest {
		if filepath.Base(j.folder.file(stream)) != filepath.Base(path) {
			continue
		}
		for _, s := range seen {
			last = max(last, s.Sequence)
		}
	}
	return continueWithout(path, last)
}

// newest is the position that was recorded last.
func newest(positions []json.RawMessage) (position, error) {
	var mark position
	for _, raw := range positions {
		var p position
		if err := json.Unmarshal(raw, &p); err != nil {
			return mark, fmt.Errorf("decode position: %w", err)
		}
		if p.Part > mark.Part || p.Part == mark.Part && p.End > mark.End {
			mark.Part, mark.End, mark.Sum = p.Part, p.End, p.Sum
		}
		mark.Quarantine = max(mark.Quarantine, p.Quarantine)
	}
	return mark, nil
}

// verify refuses a file that is shorter than recorded, or another file: it went back, or the checkpoints belong to
// another file.
func (j *journal) verify(mark position) error {
	if mark.End == 0 {
		return nil
	}
	path := part(j.path, mark.Part)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && mark.Part == j.number {
		path = j.path
		f, err = os.Open(path)
	}
	refuse := func(cause string) error {
		return &connector.Refusal{
			Thing: "file " + path, Cause: cause,
			Hint: "restore the former file; or " + continueAfterNewest,
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return refuse("it is gone, although there are checkpoints of written events")
	}
	if err != nil {
		return fmt.Errorf("open: %w", plain(err))
	}
	defer f.Close() // only read
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the file: %w", plain(err))
	}
	if info.Size() < mark.End {
		return refuse(fmt.Sprintf("it has %d bytes, but had %d when it was last written", info.Size(), mark.End))
	}
	sum, err := sumBefore(f, mark.End)
	if err != nil {
		return err
	}
	if sum != mark.Sum && !j.folder.erasing() {
		return refuse("it is not the file that was last written, or it was changed")
	}
	return nil
}

func (j *journal) close() error {
	var err error
	for _, a := range []*appender{&j.events, &j.quarantine} {
		if a.f != nil {
			err = errors.Join(err, a.f.Close())
		}
		*a = appender{}
	}
	return err
}

// write appends the rejects, then the events, each synced; after a failure it restores the former end at once.
func (j *journal) write(
	ctx context.Context, claim connector.Claim, events []connector.Event, rejects []connector.Reject,
) (written, error) {
	if err := ctx.Err(); err != nil {
		return written{}, fmt.Errorf("%w: %w", connector.ErrNotNow, err)
	}
	var lines, records []byte
	for i := range events {
		lines = appendLine(lines, &events[i])
	}
	for i := range rejects {
		var err error
		if records, err = rejects[i].AppendJSON(records, claim.Stream, claim.TypePrefix); err != nil {
			return written{}, &connector.Rejected{Key: rejects[i].Key, Reason: err.Error()}
		}
		records = append(records, '\n')
	}
	if err := j.unchanged(); err != nil {
		return written{}, err
	}
	if j.maxBytes > 0 && j.events.size > 0 && len(lines) > 0 && j.events.size+int64(len(lines)) > j.maxBytes {
		if err := j.rotate(); err != nil {
			return written{}, fmt.Errorf("rotate: %w", plain(err))
		}
	}
	announced := pending{j.number, newLineSet(j.events.size, lines), newLineSet(j.quarantine.size, records)}
	if err := j.folder.announce(announced); err != nil {
		return written{}, fmt.Errorf("%w: announce: %w", connector.ErrNotNow, plain(err))
	}
	undoRecords, err := j.quarantine.append(records)
	if err != nil {
		return written{}, err
	}
	undoLines, err := j.events.append(lines)
	if err != nil {
		if undone := undoRecords(); undone != nil {
			return written{}, errors.New(err.Error() + "; " + undone.Error()) // an error that is no longer "nothing was written"
		}
		return written{}, err
	}
	undo := func() error { return errors.Join(undoLines(), undoRecords()) }
	// The file may have been replaced during the write, so that what was written is in a file that nobody sees.
	if err := j.unchanged(); err != nil {
		return written{}, err
	}
	at, err := j.position()
	if err != nil {
		if undone := undo(); undone != nil {
			return written{}, errors.Join(err, undone)
		}
		return written{}, fmt.Errorf("%w: %w", connector.ErrNotNow, err)
	}
	return written{position: at, undo: undo}, nil
}

func (j *journal) position() (json.RawMessage, error) {
	sum, err := sumBefore(j.events.f, j.events.size)
	if err != nil {
		return nil, err
	}
	return json.Marshal(position{Part: j.number, End: j.events.size, Sum: sum, Quarantine: j.quarantine.size})
}

// unchanged notices a file that was moved away, replaced or written by another program.
func (j *journal) unchanged() error {
	for path, a := range map[string]*appender{j.path: &j.events, j.quarantinePath(): &j.quarantine} {
		ours, err := a.f.Stat()
		if err != nil {
			return fmt.Errorf("look at the file: %w", plain(err))
		}
		named, err := os.Stat(path)
		if err != nil || !os.SameFile(ours, named) || ours.Size() != a.size {
			return fmt.Errorf("the file %s was moved, replaced or written by another program", path)
		}
	}
	return nil
}
