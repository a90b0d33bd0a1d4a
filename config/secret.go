package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// FileSecret is a secret that stands in a file. It prints as its path where that is one: somebody may have written the
// secret itself there (secret.Shown). The zero value names no file.
type FileSecret struct {
	path string
	held *heldSecret
}

// heldSecret is what was last read of the file, shared by all copies of a FileSecret.
type heldSecret struct {
	mu    sync.Mutex
	info  fs.FileInfo
	value string
}

// NewFileSecret names the file; nothing is read.
func NewFileSecret(path string) FileSecret {
	if path == "" {
		return FileSecret{}
	}
	return FileSecret{path: path, held: &heldSecret{}}
}

// UnmarshalText is NewFileSecret.
func (f *FileSecret) UnmarshalText(text []byte) error {
	*f = NewFileSecret(string(text))
	return nil
}

// MarshalText is String.
func (f FileSecret) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// Set reports whether a file is named.
func (f FileSecret) Set() bool { return f.path != "" }

// String is the path as it may be printed.
func (f FileSecret) String() string {
	if !f.Set() {
		return ""
	}
	return secret.Shown(f.path)
}

// GoString keeps %#v from the secret behind the path.
func (f FileSecret) GoString() string { return fmt.Sprintf("%q", f.String()) }

// Read returns the secret without one trailing newline. The file is read again where its time of change, size or inode
// is another than before, so that a rotated key needs no restart; otherwise a call costs one stat. An unreadable or
// empty file is an error even where an earlier secret is known: a withdrawn key is not used on. Safe for concurrent
// use.
func (f FileSecret) Read() (string, error) {
	if !f.Set() {
		return "", errors.New("read secret: no file is named")
	}
	f.held.mu.Lock()
	defer f.held.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return "", fmt.Errorf("read secret: %s: %w", f, secret.Cause(err))
	}
	if f.held.info != nil && sameFile(f.held.info, info) {
		return f.held.value, nil
	}
	content, info, err := secret.Raw(f.path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	f.held.value = strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")
	f.held.info = info
	return f.held.value, nil
}

// Line is Read for a secret of printable characters in a line of its own: a byte order mark, UTF-16 and white space
// around it are those of an editor.
func (f FileSecret) Line() (string, error) {
	content, err := f.Read()
	if err != nil {
		return "", err
	}
	line, err := secret.Trim([]byte(content))
	if err != nil {
		return "", fmt.Errorf("read secret: %s %w", f, err)
	}
	return line, nil
}

func sameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
