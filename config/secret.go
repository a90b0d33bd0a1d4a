package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector"
)

// FileSecret is a secret that stands in a file. Its path is no secret, so it may be printed. The zero value names no file.
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

// maxSecret is far above any key or token.
const maxSecret = 64 << 10

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

// MarshalText is the path.
func (f FileSecret) MarshalText() ([]byte, error) { return []byte(f.path), nil }

// Set tells whether a file is named.
func (f FileSecret) Set() bool { return f.path != "" }

// Path is the file's.
func (f FileSecret) Path() string { return f.path }

// String is the path.
func (f FileSecret) String() string { return f.path }

// GoString keeps %#v from the secret behind the path.
func (f FileSecret) GoString() string { return fmt.Sprintf("%q", f.path) }

// Read returns the secret without one trailing newline. The file is read again where its time of change, size or inode is
// another than before, so that a rotated key needs no restart; otherwise a call costs one stat. An unreadable or empty
// file is an error even where an earlier secret is known: a withdrawn key is not used on. Safe for concurrent use.
func (f FileSecret) Read() (string, error) {
	if !f.Set() {
		return "", errors.New("read secret: no file is named")
	}
	f.held.mu.Lock()
	defer f.held.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if f.held.info != nil && sameFile(f.held.info, info) {
		return f.held.value, nil
	}
	value, info, err := readSecret(f.path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	f.held.value, f.held.info = value, info
	return value, nil
}

func sameFile(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// readSecret returns the state of the very file that it read: the name may mean another one a moment later.
func readSecret(path string) (string, fs.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", nil, err
	}
	content, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	switch {
	case err != nil:
		return "", nil, err
	case len(content) > maxSecret:
		return "", nil, fmt.Errorf("%s holds more than %d bytes, which is no key", path, maxSecret)
	}
	content = bytes.TrimSuffix(bytes.TrimSuffix(content, []byte("\n")), []byte("\r"))
	if len(content) == 0 {
		return "", nil, fmt.Errorf("%s is empty", path)
	}
	return string(content), info, nil
}

// findings says what is wrong with the file itself, now.
func (f FileSecret) findings(key string) []connector.Finding {
	if !f.Set() {
		return nil
	}
	info, err := os.Stat(f.path)
	switch {
	case err != nil:
		return []connector.Finding{{
			Level: connector.FindingRefused, Thing: key, Text: fmt.Sprintf("the file cannot be read: %v", err),
			Mend: "put the secret into " + f.path,
		}}
	case info.Mode().Perm()&0o004 != 0:
		return []connector.Finding{{
			Level: connector.FindingWarning, Thing: key, Text: "every user of this machine may read the file",
			Mend: "chmod 0400 " + f.path + ", or defaultMode: 0440 for a Secret's volume",
		}}
	}
	return nil
}
