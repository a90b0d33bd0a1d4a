//go:build unix

package file

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// permissions are those of the file or folder at a path.
func permissions(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// Files of events, rejects and rotated parts are created with the mode, whatever the process's mask; checkpoints are
// readable by the owner only, and an existing file keeps its mode.
func TestMode(t *testing.T) {
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	for text, want := range map[string]fs.FileMode{"": 0o600, "0600": 0o600, "0640": 0o640, "644": 0o644} {
		t.Run("mode "+text, func(t *testing.T) {
			c := Config{Path: filepath.Join(t.TempDir(), "new", "events.jsonl"), MaxBytes: 1 << 20, Mode: text}
			sink, err := Open(c, connector.Encoding{}, quiet)
			if err != nil {
				t.Fatal(err)
			}
			defer sink.Close()
			syscall.Umask(0)
			if err := sink.Create(t.Context()); err != nil {
				t.Fatal(err)
			}
			syscall.Umask(0o077)
			dir := filepath.Dir(c.Path)
			if got, want := permissions(t, dir), 0o700|want&0o044|want&0o044>>2; got != want {
				t.Errorf("folder: %#o, want %#o", got, want)
			}
			log := sink.Log(connector.Claim{Stream: sinktest.Stream("a"), TypePrefix: sinktest.TypePrefix})
			defer log.Close()
			state, err := log.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			next := state.Checkpoint
			for _, e := range sinktest.Events(sinktest.Stream("a"), 1, 3) {
				e.Data = []byte(`"` + strings.Repeat("x", 900_000) + `"`)
				next.Sequence = e.Sequence
				if err := log.Commit(t.Context(), []connector.Event{e}, nil, next); err != nil {
					t.Fatal(err)
				}
			}
			for _, path := range []string{c.Path, c.Path + ".1", c.Path + ".2", c.Path + ".quarantine.jsonl"} {
				if got := permissions(t, path); got != want {
					t.Errorf("%s: %#o, want %#o", filepath.Base(path), got, want)
				}
			}
			if got := permissions(t, c.Path+".checkpoint"); got != 0o700 {
				t.Errorf("checkpoints: %#o", got)
			}
			findings, err := sink.Check(t.Context(), nil)
			if err != nil || len(findings) != 1 || findings[0].Level != connector.FindingOK {
				t.Errorf("%+v, %v", findings, err)
			}
		})
	}
}

func TestMode_OfWhatIsThere(t *testing.T) {
	c := Config{Path: filepath.Join(t.TempDir(), "it's.jsonl"), Mode: "0640"}
	dir := filepath.Dir(c.Path)
	if err := os.WriteFile(c.Path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check := func() []connector.Finding {
		t.Helper()
		sink, err := Open(c, connector.Encoding{}, quiet)
		if err != nil {
			t.Fatal(err)
		}
		defer sink.Close()
		findings, err := sink.Check(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return findings[1:]
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	got := check()
	if len(got) != 2 || got[0].Thing != "mode" || got[0].Level != connector.FindingWarning ||
		got[0].Text != c.Path+" has the mode 0600, and sink.file.mode is 0640" ||
		!strings.HasPrefix(got[0].Hint, "chmod 0640 '") || !strings.Contains(got[0].Hint, `it'\''s.jsonl`) ||
		!strings.Contains(got[1].Text, "keeps out") || got[1].Hint != "chmod 0750 '"+dir+"'" {
		t.Errorf("%+v", got)
	}
	f, err := (&disk{mode: 0o640}).openAppend(c.Path)
	if err != nil || f.Close() != nil || permissions(t, c.Path) != 0o600 {
		t.Errorf("%v, mode %#o", err, permissions(t, c.Path))
	}
	if err := os.WriteFile(c.Path+".7", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got = check(); len(got) != 2 || !strings.Contains(got[0].Hint, "find '"+dir+"' ") {
		t.Errorf("%+v", got)
	}
	c.Mode = ""
	if got = check(); len(got) != 0 {
		t.Errorf("not asked for: %+v", got)
	}
	// A link is followed.
	link := filepath.Join(t.TempDir(), "link.jsonl")
	if err := os.Symlink(c.Path, link); err != nil {
		t.Fatal(err)
	}
	if f, err = (&disk{mode: 0o644}).openAppend(link); err != nil || f.Close() != nil || permissions(t, c.Path) != 0o600 {
		t.Errorf("%v, mode %#o", err, permissions(t, c.Path))
	}
}

func TestConfig_Mode(t *testing.T) {
	for text, ok := range map[string]bool{
		"": true, "0600": true, "600": true, "0640": true, "0644": true, "0604": true, "0660": false, "0666": false,
		"0440": false, "0755": false, "416": false, "00640": false, "u=rw": false, "0o640": false, "1640": false,
		" 0640": false, "-600": false,
	} {
		if got := len(Config{Path: "x", Mode: text}.Validate()) == 0; got != ok {
			t.Errorf("%q: %t", text, got)
		}
	}
}
