//go:build !unix

package embedded

import (
	"errors"
	"os"
)

var errInUse = errors.New("in use")

// lock is a file that one process at a time can hold. This system has no locks that are released automatically, but an
// open file cannot be removed; so whoever can remove it may have it.
type lock struct{ file *os.File }

func takeLock(path string) (*lock, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errInUse
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, errInUse
	}
	if err != nil {
		return nil, err
	}
	return &lock{file}, nil
}

func (l *lock) release() error { return errors.Join(l.file.Close(), os.Remove(l.file.Name())) }
