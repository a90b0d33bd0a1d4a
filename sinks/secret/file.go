package secret

import (
	"errors"
	"syscall"
)

// FileError is a file that the configuration names and that cannot be used.
type FileError struct {
	// Key names it, without the section of the sink.
	Key string
	Err error
}

func (e *FileError) Error() string { return "read " + e.Key + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Hint says what to do. It takes the whole key, and what the file should hold.
func (e *FileError) Hint(key, content string) string {
	var errno syscall.Errno
	if errors.As(e.Err, &errno) {
		return "put " + content + " into a file that this user may read, and the file's path into " + key
	}
	return "write " + content + " into the file that " + key + " names"
}
