//go:build unix

package main

import (
	"syscall"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
)

// Opening a named pipe would block forever, and not even a signal would end it.
func TestTail_NamedPipe(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := syscall.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{nil, {"--stream", "x"}, {"--no-follow"}, {"--since", "1h"}} {
		code, _, errOut := finish(t, append([]string{"tail", "--sink", "file:pipe"}, more...)...)
		wantCode(t, code, cli.ExitFailed)
		clitest.WantText(t, "tail", errOut, "file pipe: it is not a regular file\n  → name a regular file")
	}
}
