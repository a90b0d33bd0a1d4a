package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/twochat-connector/twochat-connector/connector"
)

// folder identifies the data folder at the start of the server. The server would keep writing into files that were
// removed, which nobody could read.
type folder struct {
	parts map[string]os.FileInfo
}

// identify records the identities of the folder's parts.
func identify(dir string) folder {
	f := folder{parts: map[string]os.FileInfo{}}
	streams := filepath.Join(dir, "jetstream", "$G", "streams")
	for _, path := range []string{filepath.Join(dir, "lock"), filepath.Join(dir, "jetstream"), streams} {
		if info, err := os.Stat(path); err == nil {
			f.parts[path] = info
		}
	}
	return f
}

// lost reports whether a part is gone or replaced.
func (f folder) lost() bool {
	for path, info := range f.parts {
		now, err := os.Stat(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			continue // an error of looking proves nothing
		}
		if err != nil || !os.SameFile(info, now) {
			return true
		}
	}
	return false
}

func readOnly(err error) bool { return errors.Is(err, syscall.EROFS) }

// CheckAcquire returns the error that Log.Acquire would, and changes nothing.
func (s *Sink) CheckAcquire(ctx context.Context, claim connector.Claim) error {
	if err := s.Sink.CheckAcquire(ctx, claim); err != nil {
		return err
	}
	log := s.Sink.Log(claim)
	defer log.Close()
	found, _, err := log.Peek(ctx)
	if err != nil {
		return err
	}
	return s.reached.admit(s.config.Dir, claim, found.Sequence)
}
