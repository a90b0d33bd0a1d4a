package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Names in the page's commands, and what replaces them here.
const (
	printedBroker = "127.0.0.1:9092"
	printedGroup  = "my-group"
)

// block is the commands on the consumers' page for one runtime.
type block struct {
	codecs bool // below the heading about other codecs
	fetch  string
	build  []string
	read   []string

	preparing <-chan preparation
}

// blocks parses the blocks of a page. In each, the first command fetches packages, and those that name a broker read.
func blocks(page string) ([]block, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	var out []block
	codecs, inside := false, false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		command, isCommand := strings.CutPrefix(line, "$ ")
		switch {
		case strings.HasPrefix(line, "## "):
			codecs = line == "## Other codecs"
		case line == "```console":
			out, inside = append(out, block{codecs: codecs}), true
		case line == "```":
			inside = false
		case inside && !isCommand:
			return nil, fmt.Errorf("%s: a command does not begin with a dollar: %s", page, line)
		case inside:
			b := &out[len(out)-1]
			switch {
			case strings.Contains(command, printedBroker):
				b.read = append(b.read, command)
			case b.fetch == "":
				b.fetch = command
			default:
				b.build = append(b.build, command)
			}
		}
	}
	for _, b := range out {
		if b.fetch == "" || len(b.read) == 0 {
			return nil, fmt.Errorf("%s: a block of commands fetches or reads nothing", page)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no commands", page)
	}
	return out, nil
}

// errMissing says that something is not available here.
var errMissing = errors.New("cannot be had")

// preparation is the result of fetching and building.
type preparation struct {
	took time.Duration
	err  error
}

// prepare starts fetching and building what the block needs.
func (b *block) prepare(ctx context.Context, folder string) {
	done := make(chan preparation, 1)
	b.preparing = done
	go func() {
		began := time.Now()
		err := b.fetchAndBuild(ctx, folder)
		done <- preparation{time.Since(began), err}
	}()
}

// prepared waits for the preparation.
func (b *block) prepared() (took time.Duration, err error) {
	p := <-b.preparing
	return p.took, p.err
}

func (b *block) fetchAndBuild(ctx context.Context, folder string) error {
	runtime, _, _ := strings.Cut(b.fetch, " ")
	if !strings.Contains(runtime, "/") {
		if _, err := exec.LookPath(runtime); err != nil {
			return fmt.Errorf("%w: %s is not here", errMissing, runtime)
		}
	} else if _, err := os.Stat(filepath.Join(folder, runtime)); err != nil {
		return fmt.Errorf("%w: %s is not here", errMissing, runtime)
	}
	if _, err := shell(ctx, folder, b.fetch); err != nil {
		return fmt.Errorf("%w: %s", errMissing, strings.Join(strings.Fields(err.Error()), " ")) // one line
	}
	for _, command := range b.build {
		if _, err := shell(ctx, folder, command); err != nil {
			return err
		}
	}
	return nil
}

// programs returns the files that the block runs.
func (b *block) programs() []string {
	var out []string
	for _, command := range b.read {
		if name := program(command); !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// shell runs a command of the page in the page's folder.
func shell(ctx context.Context, folder, line string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-c", line)
	command.Dir = folder
	// Processes that the command starts end with it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = time.Second
	var out, told bytes.Buffer
	command.Stdout, command.Stderr = &out, &told
	if err := command.Run(); err != nil {
		said := strings.TrimSpace(told.String())
		if len(said) > 2000 {
			said = said[:1000] + " […] " + said[len(said)-1000:]
		}
		return nil, fmt.Errorf("%s: %w: %s", line, err, said)
	}
	return out.Bytes(), nil
}

// program returns the file that a command runs.
func program(command string) string {
	for _, word := range strings.Fields(command) {
		switch name := filepath.Base(word); {
		case strings.HasPrefix(word, "127."), strings.HasPrefix(word, "-"), strings.HasPrefix(word, "."):
		case strings.HasSuffix(name, ".py"), strings.HasSuffix(name, ".js"), name == "KafkaClients", name == "franz-go":
			return name
		}
	}
	return command
}

// uncommitted reports whether a command leaves the isolation level to the client's default.
func uncommitted(command string) bool {
	return program(command) == "KafkaClients" && !strings.Contains(command, "read_committed")
}
