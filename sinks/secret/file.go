package secret

import (
	"errors"
	"syscall"
)

// FileError means that a file named in the configuration cannot be used.
type FileError struct {
	// Key is its configuration key, without the section of the sink.
	Key string
	Err error
}

func (e *FileError) Error() string { return "read " + e.Key + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Hint returns what to do. It takes the full key, and what the file should contain.
func (e *FileError) Hint(key, content string) string {
	var errno syscall.Errno
	if errors.As(e.Err, &errno) {
		return "put " + content + " into a file that this user may read, and the file's path into " + key
	}
	return "write " + content + " into the file that " + key + " names"
}
