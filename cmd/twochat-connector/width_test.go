package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// What commands print is in testdata, and fits a terminal of 80 columns.
func TestWidth_Testdata(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wantFits(t, file, string(content))
	}
}

// The help of every command fits.
func TestWidth_Help(t *testing.T) {
	finishAtTerminal(t, "help")
	for _, c := range commands() {
		finishAtTerminal(t, "help", c.name)
	}
}

// What the commands print that somebody needs at night fits, whatever they find.
func TestWidth_Commands(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 5, History: 150})
	for _, kind := range twochattest.Poisons() {
		fake.Poison("", kind)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "events.jsonl")
	path := configure(t, url, "file: { path: "+file+" }", "privacy: { identifiers: clear }")
	early := [][]string{
		{"audit", "--all"},
		{"backfill", "--all"},
		{"checkpoint", "show"},
		{"quarantine", "list"},
		{"erase", "--chat", "x", "--yes"},
		{"explain"},
		{"check"},
		{"check", "--offline"},
		{"status"},
		{"audit"},
		{"explain", "--sink", "kafka://127.0.0.1:1/t"},
		{"explain", "--sink", "nats://127.0.0.1:1"},
		{"check", "--sink", "kafka://127.0.0.1:1/t"},
		{"check", "--sink", "nats://127.0.0.1:1"},
		{"check", "--sink", "-"},
	}
	for _, args := range early {
		finishAtTerminal(t, append(args, "--config", path)...)
	}
	wantCode(t, liveStream(t, path).end(), cli.ExitFine)
	exported := filepath.Join(dir, "support.json")
	for _, args := range append(early, [][]string{
		{"audit", "--all", "--dry-run"},
		{"audit", "--all", "--report", filepath.Join(dir, "report")},
		{"backfill", "--all", "--dry-run"},
		{"quarantine", "list", "--show"},
		{"quarantine", "show", "reject-"},
		{"quarantine", "replay", "--dry-run"},
		{"quarantine", "replay"},
		{"preview", "--last", "9"},
		{"checkpoint", "export", "--stream", "support", "--out", exported},
		{"checkpoint", "import", exported},
		{"checkpoint", "rename", "support", "sales"},
		{"checkpoint", "move", "--from", "http://127.0.0.1:1"},
		{"erase", "--chat", "+15550106666", "--dry-run"},
		{"init"},
	}...) {
		finishAtTerminal(t, append(args, "--config", path)...)
	}
	_, list, _ := finish(t, "quarantine", "list", "--json", "--config", path)
	_, id, _ := strings.Cut(list, `"id":"`)
	_, shown, _ := finishAtTerminal(t, "quarantine", "show", id[:30], "--config", path)
	if !strings.Contains(shown, "sha256") {
		t.Errorf("nothing is shown of %.80s: %s", id, shown)
	}
	replace(t, path, "poll:", "pol:")
	for _, args := range [][]string{{"check"}, {"run"}, {"status"}} {
		finishAtTerminal(t, append(args, "--config", path)...)
	}
}
