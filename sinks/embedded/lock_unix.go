//go:build unix

package embedded

import (
	"errors"
	"os"
	"syscall"
)

var errInUse = errors.New("in use")

// lock is a file that one process at a time can hold. It is released with the process, however that ends.
type lock struct{ file *os.File }

func takeLock(path string) (*lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		closeErr := file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errInUse
		}
		return nil, errors.Join(err, closeErr)
	}
	return &lock{file}, nil
}

func (l *lock) release() error { return l.file.Close() }
