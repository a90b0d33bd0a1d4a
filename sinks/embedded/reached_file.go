package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/file"
)

// reachedFile records, in DIR.reached beside the data folder, how far each stream has got. A missing stream is
// recreated, so without this file a folder that was removed, replaced or restored between two runs would pass for a new
// one. The file does not help if it is removed together with the folder (one volume, one `rm`), or if it cannot be
// written beside the folder.
type reachedFile struct {
	path   string
	logger *slog.Logger

	mu      sync.Mutex
	note    note
	written map[string]uint64 // what the file contains
	last    time.Time         // time of the last write
	kept    bool              // something was recorded by this process
	unable  bool              // the file cannot be written
}

// note is the file's contents.
type note struct {
	// Closed means that the numbers are exact; otherwise a stream may be ahead by noteStep and a commit.
	Closed  bool              `json:"closed"`
	Streams map[string]uint64 `json:"streams"`
}

const (
	// noteStep is how many events a stream may have more than its note, and noteEvery how long a smaller change waits.
	noteStep  = 1_000
	noteEvery = 10 * time.Second
	// noteSlack is more than noteStep and the largest commit.
	noteSlack = 2 * noteStep
)

// loadReachedFile reads the file beside a folder.
func loadReachedFile(dir string, logger *slog.Logger) (*reachedFile, error) {
	r := &reachedFile{
		path: dir + ".reached", logger: logger, note: note{Streams: map[string]uint64{}},
		written: map[string]uint64{},
	}
	raw, err := os.ReadFile(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read how far the streams have come: %w", err)
	}
	object, err := file.Unseal(raw, "")
	if err == nil {
		err = json.Unmarshal(object, &r.note)
	}
	if err != nil {
		return nil, &connector.Refusal{
			Thing: "file " + r.path, Cause: "it records how far the streams in the data folder had got, and " + err.Error(),
			Hint: fmt.Sprintf("restore it from a copy; or, if the data folder is unchanged, remove it: rm '%s'",
				r.path),
		}
	}
	if r.note.Streams == nil {
		r.note.Streams = map[string]uint64{}
	}
	for stream, sequence := range r.note.Streams {
		r.written[stream] = sequence
	}
	return r, nil
}

// admit refuses a log that is shorter than it was, unless the operator decided how to continue.
func (r *reachedFile) admit(dir string, claim connector.Claim, found uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.note.Streams[claim.Stream.Name]
	if claim.FirstStart || found >= known {
		return nil
	}
	after := known
	if !r.note.Closed {
		after += noteSlack
	}
	return wentBack(dir, claim.Stream.Name, known, found, after)
}

func wentBack(dir, stream string, known, found, after uint64) error {
	return &connector.Refusal{
		Thing: "data folder " + dir,
		Cause: fmt.Sprintf("the log of stream %s went back from %d to %d: the folder was removed, replaced or restored",
			stream, known, found),
		Hint: "restore the former folder; or continue after the delivered events with " +
			connector.FirstStartAfter(stream, after) + ", with the flag once for each such stream",
	}
}

// known is how far a stream is known to have got.
func (r *reachedFile) known(stream string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.note.Streams[stream]
}

// keep records how far a stream has got, and writes the file if that has changed enough.
func (r *reachedFile) keep(stream string, sequence uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note.Streams[stream], r.kept = sequence, true
	written, known := r.written[stream]
	news := sequence != written || !known && sequence > 0
	if news && (sequence >= written+noteStep || sequence < written || time.Since(r.last) >= noteEvery) {
		r.write(false)
	}
}

// close writes the note with the final numbers.
func (r *reachedFile) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept {
		r.write(true)
	}
}

// write replaces the file. The caller holds the lock. If the file cannot be written, only this safeguard is lost.
func (r *reachedFile) write(closed bool) {
	if r.unable {
		return
	}
	r.note.Closed, r.last = closed, time.Now()
	object, err := json.Marshal(r.note)
	if err == nil {
		err = replace(r.path, file.Seal(object))
	}
	if err == nil {
		for stream, sequence := range r.note.Streams {
			r.written[stream] = sequence
		}
		return
	}
	r.unable = errors.Is(err, fs.ErrPermission) || readOnly(err)
	r.logger.Info("a data folder that is replaced between two runs would not be noticed: how far the streams have "+
		"got cannot be recorded",
		"file", r.path, "error", plain(err).Error())
}

// replace replaces the content of a file, completely or not at all.
func replace(path string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}
