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

// Each signal that asks a program to end drains it: a terminal that is closed (SIGHUP) is no reason to leave a commit
// unclear.
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
			cmd.Env = append(os.Environ(), roleVariable+"=program run --config "+path)
			cmd.Stderr, cmd.SysProcAttr = &log, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			until(t, "the stream", func() bool { return strings.Contains(log.String(), `"msg":"stream acquired"`) })
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
