package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// If the operator names the last used sequence number, no number is used a second time.
func TestRun_FirstStartAfterASequence(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 5, History: 7})
	for word, first := range map[string]string{
		"--first-start=30": "31", "--first-start": "1", "--first-start=true": "1",
		"--first-start=1": "2",
	} {
		t.Run(word, func(t *testing.T) {
			events := filepath.Join(t.TempDir(), "events.jsonl")
			path := configure(t, url, "file: { path: "+events+" }")
			r := start(t, "run", "--config", path, word)
			lines := func() []string {
				content, _ := os.ReadFile(events)
				return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
			}
			until(t, "seven events", func() bool { return len(lines()) == 7 && lines()[6] != "" })
			wantCode(t, r.end(), cli.ExitFine)
			var event struct{ Sequence string }
			if err := json.Unmarshal([]byte(lines()[0]), &event); err != nil || strings.TrimLeft(event.Sequence, "0") != first {
				t.Errorf("the first event has sequence %s (%v), want %s", event.Sequence, err, first)
			}
		})
	}
	for _, word := range []string{"--first-start=-1", "--first-start=x", "--first-start="} {
		code, _, errOut := finish(t, "run", "--config", configure(t, url, "stdout: {}"), word)
		wantCode(t, code, cli.ExitUsage)
		clitest.WantText(t, "stderr", errOut, "the last sequence that was used before, such as support:30")
	}
}
