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

// defaultMode lets the owner alone read and write: the events are people's messages.
const defaultMode = 0o600

// modeForm is a mode that others may read by, and nobody but the owner write.
var modeForm = regexp.MustCompile(`^0?6[04][04]$`)

// mode is what the files of events and rejects are made with; ok is false where the setting is no such mode.
func (c Config) mode() (mode fs.FileMode, ok bool) {
	if c.Mode == "" {
		return defaultMode, true
	}
	bits, err := strconv.ParseUint(c.Mode, 8, 9)
	return fs.FileMode(bits), err == nil && modeForm.MatchString(c.Mode)
}

// folderMode is what a folder has to be for those who may read a file in it.
func folderMode(mode fs.FileMode) fs.FileMode {
	return 0o700 | mode&0o044 | mode&0o044>>2
}

// openMade opens a file to be appended to, and makes it where it is missing: then it has the mode, whatever the
// process's mask would take away.
func openMade(path string, mode fs.FileMode) (*os.File, error) {
	const flags = os.O_RDWR | os.O_APPEND
	f, err := os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		// It is there, perhaps behind a link.
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

// checkMode warns where files that are there have another mode than the one that is asked for, which is set where they
// are made and not changed afterwards, and where their folder keeps those out who may read them.
func (c Config) checkMode() []connector.Finding {
	want, _ := c.mode()
	if c.Mode == "" || runtime.GOOS == "windows" { // where a file has no mode
		return nil
	}
	paths := []string{c.Path, c.Path + quarantineSuffix}
	numbers, err := rotated(c.Path)
	if err != nil {
		return nil // what keeps it from being read is told by the check of the folder
	}
	for _, number := range numbers {
		paths = append(paths, part(c.Path, number))
	}
	var others []string
	var has fs.FileMode // the first of them
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
		warn("the folder "+dir+" keeps out all but its owner, so nobody else reads the file",
			fmt.Sprintf("chmod %#o %s", folderMode(want), quote(dir)))
	}
	return findings
}

// quote is a text as one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
