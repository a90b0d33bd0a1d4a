package file

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// A refusal names the process that holds the file, where the system tells it, and says how to stop it.
func TestSink_NamesWhoHoldsTheFile(t *testing.T) {
	c := Config{Path: filepath.Join(t.TempDir(), "events.jsonl")}
	sink := open(c, &disk{pretend: true}, quiet)
	defer sink.Close()
	log := sink.Log(sinktest.Claim(stream, "one"))
	defer log.Close()
	if _, err := log.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := acquireAgain(t, c, sinktest.Claim(stream, "two"))
	told, ok := connector.DiagnosticOf(err)
	if !ok || !strings.Contains(told.Hint, "stop that process") {
		t.Fatalf("%v", err)
	}
	known := holder(filepath.Join(c.Path+".checkpoint", lockName))
	if _, err := os.Stat("/proc/locks"); runtime.GOOS == "linux" && err == nil && known != os.Getpid() {
		t.Errorf("%d has the lock, want %d", known, os.Getpid())
	}
	if known > 0 && !strings.Contains(told.Hint, "`kill "+strconv.Itoa(known)+"`") {
		t.Errorf("the hint is %q", told.Hint)
	}
	if other := holder(c.Path); other != 0 {
		t.Errorf("%d has a lock on a file that nobody locks", other)
	}
}
