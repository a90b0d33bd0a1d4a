//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// Each signal that asks a program to end drains it. SIGHUP from a closed terminal must not leave a commit unclear
// either. If there is a configuration file, SIGHUP reloads it, and the program goes on.
func TestMain_SignalsDrain(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 21, History: 20})
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
			var log clitest.Output
			cmd := exec.Command(executable)
			cmd.Dir = t.TempDir()
			cmd.Env = append(os.Environ(), roleVariable+"=program run --config "+path)
			if signal == syscall.SIGHUP {
				cmd.Env = append(os.Environ(), roleVariable+"=program run --sink file:events.jsonl", "TWOCHAT_API_KEY="+testKey,
					"TWOCHAT_CONNECTOR_TWOCHAT_BASE_URL="+url, "TWOCHAT_CONNECTOR_ADMIN_LISTEN=127.0.0.1:0",
					"TWOCHAT_CONNECTOR_TWOCHAT_STREAMS="+twochattest.DefaultNumber)
			}
			cmd.Stderr, cmd.SysProcAttr = &log, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			until(t, "the stream", func() bool { return strings.Contains(log.String(), `"msg":"stream acquired"`) })
			if signal == syscall.SIGTERM {
				if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
					t.Fatal(err)
				}
				until(t, "the file to be reloaded", func() bool { return strings.Contains(log.String(), "configuration reloaded") })
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil {
				t.Errorf("it ends with %v", err)
			}
			clitest.WantText(t, "the log", log.String(), `"msg":"stopped"`)
		})
	}
}
