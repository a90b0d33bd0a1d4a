//go:build linux

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binaries are the programs under test, built as a user would build them.
type binaries struct{ connector, nats string }

func Build(t *testing.T) binaries {
	t.Helper()
	folder := t.TempDir()
	b := binaries{connector: filepath.Join(folder, "twochat-connector"), nats: filepath.Join(folder, "nats-server")}
	for path, pkg := range map[string]string{b.connector: ".", b.nats: "github.com/nats-io/nats-server/v2"} {
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, pkg).CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", pkg, err, out)
		}
	}
	return b
}

type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// launch starts a program whose output is appended to a file. The program ends with the test process at the latest,
// however that ends.
func launch(t *testing.T, log string, env []string, name string, args ...string) *process {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p := &process{cmd: exec.CommandContext(context.WithoutCancel(t.Context()), name, args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", filepath.Base(name), err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // the result is in cmd.ProcessState
	}()
	return p
}

// running reports whether the process has not ended.
func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal sends a signal to a process that may already have ended.
func (p *process) signal(s syscall.Signal) {
	if p.running() {
		_ = p.cmd.Process.Signal(s)
	}
}

// kill sends kill -9, and waits for the end.
func (p *process) kill() {
	if p != nil {
		p.signal(syscall.SIGKILL)
		<-p.ended
	}
}

// exit waits for the end and returns the exit code; 128 and more is a signal. ok is false if it does not end in time.
func (p *process) exit(within time.Duration) (code int, ok bool) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		return 0, false
	}
	status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal()), true
	}
	return status.ExitStatus(), true
}

// peakResident is the peak of the process's resident memory, in bytes.
func (p *process) peakResident(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("no VmHWM in /proc")
	return 0
}

// pause waits. It returns false if the context ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// eventually polls until yes returns true, and reports whether that was in time.
func eventually(ctx context.Context, within time.Duration, yes func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for !yes() {
		if !pause(ctx, 20*time.Millisecond) {
			return yes()
		}
	}
	return true
}

// tail returns the end of a log, for the report of a failed test.
func tail(path string, lines int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	var last []string
	scanner := bufio.NewScanner(bytes.NewReader(content))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		if last = append(last, scanner.Text()); len(last) > lines {
			last = last[1:]
		}
	}
	return strings.Join(last, "\n")
}
