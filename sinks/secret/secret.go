// Package secret reads secrets from files as people and their editors write them, and never shows anything that may be
// a secret.
//
// Sooner or later somebody writes a secret itself where the path of its file belongs. So no error of this package shows
// a path that may be a secret, nor any contents of a file.
package secret

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf16"
)

// MaxBytes is the largest file that is read. It is far above any key, token or chain of certificates.
const MaxBytes = 64 << 10

// hidden replaces a path that may be a secret.
const hidden = "the file that it names (not shown, as the name may be the secret itself)"

// Shown returns a path in a form that is safe to print. It is unchanged if the file exists, or if a folder above it
// exists, other than the root and the current one. Anything else may be a secret that was written where a path belongs,
// and is replaced.
func Shown(path string) string {
	if _, err := os.Lstat(path); err == nil {
		return path
	}
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if dir == "." || dir == filepath.Dir(dir) {
			return hidden
		}
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return path
		}
	}
}

// Raw returns the contents of the file and the state of that same file, as the name may mean another file a moment
// later.
func Raw(path string) ([]byte, fs.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, wrong(path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, wrong(path, err)
	}
	content, err := io.ReadAll(io.LimitReader(file, MaxBytes+1))
	switch {
	case err != nil:
		return nil, nil, wrong(path, err)
	case len(content) > MaxBytes:
		return nil, nil, fmt.Errorf("%s has more than %d bytes, too many for a secret", Shown(path), MaxBytes)
	case len(bytes.TrimSpace(content)) == 0:
		return nil, nil, fmt.Errorf("%s is empty", Shown(path))
	}
	return content, info, nil
}

// wrong is an error about a file, without the path that the system puts into it.
func wrong(path string, err error) error {
	return fmt.Errorf("%s: %w", Shown(path), Cause(err))
}

// Cause is an error about a file without the file's path.
func Cause(err error) error {
	var about *fs.PathError
	if errors.As(err, &about) {
		return about.Err
	}
	return err
}

// Text reads a file of several lines, such as keys and certificates in PEM or credentials of NATS. It may be UTF-8 with
// or without a byte order mark, or UTF-16 with one, as editors on Windows write it.
func Text(path string) (string, error) {
	content, _, err := Raw(path)
	if err != nil {
		return "", err
	}
	text, err := Decode(content)
	if err != nil {
		return "", fmt.Errorf("%s %w", Shown(path), err)
	}
	return text, nil
}

// Line reads a file with a single secret: a key, a token, a password. It removes white space and invisible characters
// around the secret, which editors and `echo` add.
func Line(path string) (string, error) {
	content, _, err := Raw(path)
	if err != nil {
		return "", err
	}
	line, err := Trim(content)
	if err != nil {
		return "", fmt.Errorf("%s %w", Shown(path), err)
	}
	return line, nil
}

// Trim returns the single secret in a text. The error's text continues a sentence that begins with the name of the
// source.
func Trim(content []byte) (string, error) {
	text, err := Decode(content)
	if err != nil {
		return "", err
	}
	text = strings.TrimFunc(text, unseen)
	switch {
	case text == "":
		return "", errors.New("is empty")
	case strings.ContainsAny(text, "\r\n"):
		return "", errors.New("has several lines, where only the secret is expected")
	}
	return text, nil
}

// unseen reports whether a character is invisible: a blank, or a character that joins, separates or marks text.
func unseen(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }

// Decode converts a text to UTF-8 by its byte order mark; a text without one is taken as UTF-8.
func Decode(content []byte) (string, error) {
	text := string(content)
	switch {
	case strings.HasPrefix(text, "\xef\xbb\xbf"):
		text = text[3:]
	case strings.HasPrefix(text, "\xff\xfe"):
		text = wide(content[2:], binary.LittleEndian)
	case strings.HasPrefix(text, "\xfe\xff"):
		text = wide(content[2:], binary.BigEndian)
	}
	if strings.Contains(text, "\x00") {
		return "", errors.New("has NUL characters: it is UTF-16 without a byte order mark, or not a text; save it as UTF-8")
	}
	return text, nil
}

// wide converts UTF-16 to UTF-8, without an incomplete character at the end.
func wide(content []byte, order binary.ByteOrder) string {
	units := make([]uint16, 0, len(content)/2)
	for ; len(content) > 1; content = content[2:] {
		units = append(units, order.Uint16(content))
	}
	return string(utf16.Decode(units))
}

// KeyPair is a certificate and its private key, each in a file in PEM.
func KeyPair(certificate, key string) (tls.Certificate, error) {
	public, err := Text(certificate)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate: %w", err)
	}
	private, err := Text(key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key: %w", err)
	}
	pair, err := tls.X509KeyPair([]byte(public), []byte(private))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate and key: %w", err)
	}
	return pair, nil
}
