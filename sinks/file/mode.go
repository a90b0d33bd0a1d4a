package file

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// defaultMode allows only the owner to read and write, as the events are people's messages.
const defaultMode = 0o600

// modeForm is a mode that may allow others to read, but only the owner to write.
var modeForm = regexp.MustCompile(`^0?6[04][04]$`)

// mode is the mode of new files of events and rejects; ok is false if the setting is not valid.
func (c Config) mode() (mode fs.FileMode, ok bool) {
	if c.Mode == "" {
		return defaultMode, true
	}
	bits, err := strconv.ParseUint(c.Mode, 8, 9)
	return fs.FileMode(bits), err == nil && modeForm.MatchString(c.Mode)
}

// folderMode is the mode that a folder needs for those who may read a file in it.
func folderMode(mode fs.FileMode) fs.FileMode {
	return 0o700 | mode&0o044 | mode&0o044>>2
}

// openMade opens a file for appending, and creates it if it is missing. A new file gets the mode regardless of the
// process's umask.
func openMade(path string, mode fs.FileMode) (*os.File, error) {
	const flags = os.O_RDWR | os.O_APPEND
	f, err := os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		// It exists, perhaps behind a link.
		return os.OpenFile(path, flags|os.O_CREATE, mode)
	}
	if mode == defaultMode {
		return f, nil
	}
	if err := f.Chmod(mode); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// checkMode warns if existing files have another mode than the configured one, which is applied only when they are
// created, and if their folder keeps out those who may read them.
func (c Config) checkMode() []connector.Finding {
	want, _ := c.mode()
	if c.Mode == "" || runtime.GOOS == "windows" { // files have no mode there
		return nil
	}
	paths := []string{c.Path, c.Path + quarantineSuffix}
	numbers, err := rotated(c.Path)
	if err != nil {
		return nil // the check of the folder reports why it cannot be read
	}
	for _, number := range numbers {
		paths = append(paths, part(c.Path, number))
	}
	var others []string
	var has fs.FileMode // of the first of them
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() == want {
			continue
		}
		if others = append(others, path); len(others) == 1 {
			has = info.Mode().Perm()
		}
	}
	var findings []connector.Finding
	warn := func(text, hint string) {
		findings = append(findings,
			connector.Finding{Level: connector.FindingWarning, Thing: "mode", Text: text, Hint: hint})
	}
	dir := filepath.Dir(c.Path)
	switch len(others) {
	case 0:
	case 1:
		warn(fmt.Sprintf("%s has the mode %#o, and sink.file.mode is %#o", others[0], has, want),
			fmt.Sprintf("chmod %#o %s", want, quote(others[0])))
	default:
		warn(fmt.Sprintf("%d files have another mode than sink.file.mode, which is %#o; %s has %#o", len(others), want,
			others[0], has),
			fmt.Sprintf("find %s -maxdepth 1 -type f -name %s -exec chmod %#o {} +", quote(dir),
				quote(filepath.Base(c.Path)+"*"), want))
	}
	if info, err := os.Stat(dir); err == nil && want != defaultMode && info.Mode().Perm()&0o011 == 0 {
		warn("the folder "+dir+" keeps out everybody but its owner, so nobody else can read the file",
			fmt.Sprintf("chmod %#o %s", folderMode(want), quote(dir)))
	}
	return findings
}

// quote quotes a text as one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
