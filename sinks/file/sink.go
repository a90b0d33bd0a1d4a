package file

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Config is the sink's part of the configuration.
type Config struct {
	// Path is the file of events. Its checkpoints are in the folder PATH.checkpoint, rejects in PATH.quarantine.jsonl.
	Path string `yaml:"path"`
	// MaxBytes is the size at which the file is rotated: it becomes PATH.1, PATH.2, … 0 means never.
	MaxBytes int64 `yaml:"max_bytes"`
	// Keep is how many rotated files are kept; 0 means all.
	Keep int `yaml:"keep"`
	// Mode is the mode of new files of events and rejects, in octal; empty means 0600. Only the owner can read
	// checkpoints.
	Mode string `yaml:"mode"`
}

// Address is the path of the file.
func (c Config) Address() string { return c.Path }

// Validate returns what is wrong with the settings, or nil. It does no I/O.
func (c Config) Validate() []connector.Finding {
	var findings []connector.Finding
	refuse := func(thing, text, hint string) {
		findings = append(findings, connector.Finding{Level: connector.FindingRefused, Thing: thing, Text: text, Hint: hint})
	}
	if c.Path == "" {
		refuse("path", "no file is set", "set the path of a file, like events.jsonl")
	} else if last := c.Path[len(c.Path)-1]; os.IsPathSeparator(last) {
		refuse("path", "it is a folder, but a file is expected", "add the name of a file, like events.jsonl")
	}
	if c.MaxBytes < 0 || c.MaxBytes > 0 && c.MaxBytes < 1<<20 {
		refuse("max_bytes", "expected 0 (never rotate) or at least 1048576", "remove it, or set it to 1048576 or more")
	}
	if c.Keep < 0 {
		refuse("keep", "expected 0 (keep all) or more", "remove it, or set it to 1 or more")
	}
	if _, ok := c.mode(); !ok {
		refuse("mode", "it is not a mode in which only the owner writes and others at most read",
			`set it to "0600", "0640" or "0644", in quotes`)
	}
	if c.Keep > 0 && c.MaxBytes == 0 {
		refuse("keep", "nothing is rotated without max_bytes", "set max_bytes too, or remove keep")
	}
	return findings
}

// limits of a commit, which is one write and one sync.
var limits = connector.Limits{Messages: 1_000, Bytes: 8 << 20}

// Sink writes the file. It is a sinks.Sink.
type Sink struct {
	config  Config
	disk    *disk
	journal *journal
	store   *StateStore
}

// Open returns the sink. It does no I/O; the first Acquire takes the lock. The file is always in structured mode.
func Open(c Config, _ connector.Encoding, logger *slog.Logger) (*Sink, error) {
	mode, _ := c.mode() // Validate has refused invalid modes
	return open(c, &disk{mode: mode}, logger), nil
}

func open(c Config, d *disk, logger *slog.Logger) *Sink {
	c.Path = filepath.Clean(c.Path)
	j := &journal{disk: d, path: c.Path, maxBytes: c.MaxBytes, keep: c.Keep, logger: logger}
	j.folder = &folder{disk: d, dir: c.Path + ".checkpoint", wayOn: j.withoutRecord, finish: eraser{j}.finish}
	store := newStateStore(j.folder, limits, j)
	store.turn = make(chan struct{}, 1)
	return &Sink{config: c, disk: d, journal: j, store: store}
}

// Log returns a stream's log in the file.
func (s *Sink) Log(claim connector.Claim) connector.Log { return s.store.Log(claim) }

// Create creates the folder of the file, open to those who may read the file.
func (s *Sink) Create(context.Context) error {
	mode, _ := s.config.mode()
	return makeFolder(filepath.Dir(s.config.Path), folderMode(mode))
}

// Check checks that the file can be written. It creates nothing and takes no lock.
func (s *Sink) Check(context.Context, []connector.Claim) ([]connector.Finding, error) {
	return append(checkFolder("path", filepath.Dir(s.config.Path), s.config.Path), s.config.checkMode()...), nil
}

func checkFolder(thing, dir, path string) []connector.Finding {
	finding := func(level connector.FindingLevel, text, hint string) []connector.Finding {
		return []connector.Finding{{Level: level, Thing: thing, Text: text, Hint: hint}}
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		missing := finding(connector.FindingRefused, "the folder "+dir+" does not exist", "mkdir -p "+dir)
		missing[0].Missing = true
		return missing
	case err != nil:
		return finding(connector.FindingRefused, "the folder "+dir+" cannot be examined: "+plain(err).Error(),
			"give this user access to it")
	case !info.IsDir():
		return finding(connector.FindingRefused, dir+" is not a folder", "set another path")
	}
	probe, err := os.CreateTemp(dir, ".twochat-connector-check-*")
	if err != nil {
		return finding(connector.FindingRefused, "this user cannot write into the folder "+dir+": "+plain(err).Error(),
			"give this user write access to it, or mount it writable")
	}
	if err := errors.Join(probe.Close(), os.Remove(probe.Name())); err != nil {
		return finding(connector.FindingWarning, "a file made for this check could not be removed from "+dir,
			"rm "+probe.Name())
	}
	info, err = os.Stat(path)
	var refusal *connector.Refusal
	if (err != nil || !info.IsDir()) && errors.As(regular(path), &refusal) {
		return finding(connector.FindingRefused, path+": "+refusal.Cause, refusal.Hint)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return finding(connector.FindingOK, path+" will be created", "")
	case err != nil:
		return finding(connector.FindingRefused, path+" cannot be examined: "+plain(err).Error(),
			"give this user access to it")
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		if info.IsDir() { // a folder of checkpoints
			return finding(connector.FindingOK, path+" can be written", "")
		}
		return finding(connector.FindingRefused, path+" cannot be written: "+plain(err).Error(),
			"give this user write access to it")
	}
	if err := f.Close(); err != nil {
		return finding(connector.FindingWarning, path+" could not be closed: "+plain(err).Error(), "check the disk")
	}
	return finding(connector.FindingOK, path+" can be written", "")
}

// Promise returns the delivery guarantee of a file.
func (s *Sink) Promise() connector.Promise {
	return connector.Promise{
		Once: true,
		Text: "Each message is in the file exactly once and in order, whatever crashes, for readers of the file on this " +
			"machine.",
		Exceptions: []string{
			"After a crash the file may hold only the first events of a commit; the others follow at the next start.",
			"A disk that loses data after confirming that it was synced loses events; there is only one copy.",
			"If the file is restored or removed together with its folder of checkpoints, that goes unnoticed: later events " +
				"are delivered again.",
			"If the disk is full, a reader that follows the file may see part of a line that is then removed: wait for the " +
				"line's end.",
		},
	}
}

// Close closes the file and releases its lock.
func (s *Sink) Close() error {
	if err := s.store.Close(); err != nil {
		return fmt.Errorf("close file: %w", plain(err))
	}
	return nil
}
