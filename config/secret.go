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

// FileSecret is a secret in a file. It prints as its path if that is safe, as somebody may have written the secret
// itself there (secret.Shown). The zero value names no file.
type FileSecret struct {
	path string
	held *heldSecret
}

// heldSecret is what was last read from the file, shared by all copies of a FileSecret.
type heldSecret struct {
	mu    sync.Mutex
	info  fs.FileInfo
	value string
}

// NewFileSecret names the file without reading it.
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

// String is the path in a form that is safe to print.
func (f FileSecret) String() string {
	if !f.Set() {
		return ""
	}
	return secret.Shown(f.path)
}

// GoString hides the secret from %#v.
func (f FileSecret) GoString() string { return fmt.Sprintf("%q", f.String()) }

// Read returns the secret without one trailing newline. It reads the file again if its modification time, size or inode
// has changed, so that a rotated key needs no restart; otherwise a call costs one stat. An unreadable or empty file is
// an error even if an earlier secret is known, as a withdrawn key must not be used any longer. It is safe for
// concurrent use.
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

// Line is Read for a secret of printable characters on a single line. It removes what an editor adds: a byte order
// mark, UTF-16, and white space around the secret.
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
