//go:build unix

package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// Anything else in the place of the file, or of the folder of checkpoints, is refused by Check, by CheckAcquire and by
// Acquire, with the same message and at once.
func TestSink_RefusesWhatIsNoFile(t *testing.T) {
	for _, test := range []struct {
		name  string
		make  func(path string) error
		cause string
	}{
		{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }, "it is not a regular file"},
		{"a named pipe", func(path string) error { return syscall.Mkfifo(path, 0o600) }, "it is not a regular file"},
		{
			"a link that leads nowhere", func(path string) error {
				return os.Symlink(filepath.Join(path+"-missing", "real"), path)
			},
			"it is a link to a file that does not exist",
		},
		{
			"checkpoints that are a file", func(path string) error { return os.WriteFile(path+".checkpoint", nil, 0o600) },
			"it is not a folder",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			s, err := Open(Config{Path: path}, connector.Encoding{TypePrefix: sinktest.TypePrefix}, quiet)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			claim := sinktest.Claim("shop", "one")
			took := time.AfterFunc(30*time.Second, func() { panic("it waits for what never comes") })
			defer took.Stop()
			findings, err := s.Check(t.Context(), []connector.Claim{claim})
			if err != nil {
				t.Fatal(err)
			}
			judged := s.CheckAcquire(t.Context(), claim)
			_, acquired := s.Log(claim).Acquire(t.Context())
			refusals := map[string]error{"check": judged, "acquire": acquired}
			if _, err := os.Lstat(path); err == nil { // the folder of checkpoints is not read back
				refusals["read back"] = s.ReadBack(t.Context(), "shop", func(connector.StoredRecord) error { return nil },
					func([]byte) error { return nil })
			}
			if refusals["read back"] != nil {
				refusals["read the quarantine"] = s.ReadBack(t.Context(), "", nil, func([]byte) error { return nil })
			}
			for who, err := range refusals {
				var refusal *connector.Refusal
				if !errors.As(err, &refusal) || refusal.Cause != test.cause || refusal.Hint == "" {
					t.Errorf("%s: got %v, want that it is refused", who, err)
				}
			}
			refused := findings[0].Level == connector.FindingRefused && strings.Contains(findings[0].Text, test.cause)
			if !refused && !strings.HasPrefix(test.name, "checkpoints") && test.name != "a folder" {
				t.Errorf("check found %+v", findings)
			}
		})
	}
}
