package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// An export need not wait after a run that has ended, and refuses beside one that goes on, whether or not that answers.
func TestExport_AfterARunThatHasEnded(t *testing.T) {
	t.Parallel()
	for name, sink := range map[string]string{
		"file":      "file: { path: " + filepath.Join(t.TempDir(), "events.jsonl") + " }",
		"jetstream": "jetstream: { url: '" + natsAt(t, "jetstream { store_dir: STORE }") + "', create: true }",
		"stdout":    "stdout: { state: " + filepath.Join(t.TempDir(), "state") + " }",
	} {
		t.Run(name, func(t *testing.T) {
			_, api := fakeAPI(t, twochattest.Options{Seed: 98, History: 20})
			path := configure(t, api, sink)
			replace(t, path, "max_interval: 1s", "max_interval: 1h")
			live := start(t, "run", "--config", path) // with a port that the configuration does not name
			admin := live.admin()
			until(t, "the history", func() bool {
				_, body := get(t, admin+"/status")
				return strings.Contains(body, `"certified": 20`)
			})
			export := func() (code int, errOut string) {
				code, _, errOut = finish(t, "checkpoint", "export", "--config", path, "--stream", "support")
				return code, errOut
			}
			if name == "jetstream" {
				until(t, "the announcement", func() bool {
					code, errOut := export()
					return code == cli.ExitFailed && strings.Contains(errOut, "an instance is running on this sink")
				})
			} else {
				code, errOut := export()
				wantCode(t, code, cli.ExitFailed)
				clitest.WantText(t, "export", errOut, "another process is writing here")
			}
			wantCode(t, live.end(), cli.ExitFine)
			if code, errOut := export(); code != cli.ExitFine {
				t.Errorf("after the run: %d: %s", code, errOut)
			}
		})
	}
}
