package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/twochat-connector/twochat-connector/connector"
)

// CheckAcquire returns the error that Log.Acquire would, and changes nothing.
func (s *Sink) CheckAcquire(ctx context.Context, claim connector.Claim) error {
	looking := open(s.config, &disk{readOnly: true}, slog.New(slog.DiscardHandler))
	return looking.store.CheckAcquire(ctx, claim)
}

// CheckAcquire returns the error that Log.Acquire would, and changes nothing.
func (s *Stdout) CheckAcquire(ctx context.Context, claim connector.Claim) error {
	return NewStateStore(s.config.State, limits, s.write).CheckAcquire(ctx, claim)
}

// CheckAcquire makes an Acquire that changes nothing, and returns its error. The store must not be used for anything
// else.
func (l *StateStore) CheckAcquire(ctx context.Context, claim connector.Claim) error {
	if l.folder != nil {
		l.folder.disk.readOnly = true
	}
	log := l.Log(claim)
	_, err := log.Acquire(ctx)
	return errors.Join(err, log.Close(), l.Close())
}

// InUse returns a *connector.Refusal if another process writes to the file now. It changes nothing.
func (s *Sink) InUse() error { return s.store.InUse() }

// InUse returns a *connector.Refusal if another process writes with the same state now. It changes nothing.
func (s *Stdout) InUse() error { return s.store.InUse() }

// InUse returns a *connector.Refusal if another process has the store open. It changes nothing.
func (l *StateStore) InUse() error {
	if l.folder == nil {
		return nil
	}
	look := *l.folder
	look.disk, look.held = &disk{readOnly: true}, nil
	return look.openReadOnly()
}

// openReadOnly opens the store without creating anything. It holds the lock only long enough to see that no other
// process does.
func (f *folder) openReadOnly() error {
	info, err := os.Stat(f.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // it is created if its parent folder is writable, which Check checks
	case err != nil:
		return fmt.Errorf("look at the folder of checkpoints: %w", plain(err))
	case !info.IsDir():
		return notFolder(f.dir)
	}
	path := filepath.Join(f.dir, lockName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	held, busy, err := lock(path)
	switch {
	case busy:
		return f.busy()
	case err != nil:
		return fmt.Errorf("lock the folder of checkpoints: %w", plain(err))
	}
	return held.Close()
}

// busy is the refusal of a folder that another process has locked.
func (f *folder) busy() error {
	cause, stop := "another process is writing here", "stop that process: `run` ends after its commit in progress when it gets SIGTERM"
	if pid := holder(filepath.Join(f.dir, lockName)); pid > 0 {
		cause = fmt.Sprintf("another process is writing here, with the id %d", pid)
		stop = fmt.Sprintf("stop that process: `kill %d` lets `run` end after its commit in progress", pid)
	}
	return &connector.Refusal{
		Thing: "folder " + f.dir, Cause: cause,
		Hint: stop + "; then give the same command again. Only a second `run` would need another path",
	}
}

// CheckCreate checks that Create would succeed.
func (s *Sink) CheckCreate(context.Context) error {
	return CanMake("path", filepath.Dir(s.config.Path))
}

// CheckCreate checks that Create would succeed.
func (s *Stdout) CheckCreate(context.Context) error { return s.store.CheckCreate() }

// CheckCreate checks that Create would succeed.
func (l *StateStore) CheckCreate() error {
	if l.folder == nil {
		return nil
	}
	return CanMake("state", filepath.Dir(l.folder.dir))
}

// CanMake checks whether a folder can be created in its nearest existing parent.
func CanMake(thing, dir string) error {
	above := dir
	for {
		if _, err := os.Stat(above); !errors.Is(err, fs.ErrNotExist) || above == filepath.Dir(above) {
			break
		}
		above = filepath.Dir(above)
	}
	for _, finding := range checkFolder(thing, above, above) {
		if finding.Level == connector.FindingRefused {
			return &connector.Refusal{
				Thing: thing, Cause: "the folder " + dir + " cannot be created: " + finding.Text,
				Hint: finding.Hint,
			}
		}
	}
	return nil
}
