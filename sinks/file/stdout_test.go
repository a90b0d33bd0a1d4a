package file

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// output is a standard output and a log that can be read.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Split(strings.TrimSuffix(o.text.String(), "\n"), "\n")
}

func TestStdout_KeepsTheContract(t *testing.T) {
	sinktest.Run(t, sinktest.Suite{
		Promise: sinktest.BestEffort, Exclusive: true, Unkept: true, NoFollow: true, NoQuarantine: true,
		New: func(t *testing.T) sinktest.Storage {
			out := &output{}
			config := StdoutConfig{State: filepath.Join(t.TempDir(), "whatsapp.state")}
			return sinktest.Storage{
				Open: func(t *testing.T) sinktest.Sink { return openStdout(config, out, quiet) },
				Read: func(t *testing.T, stream string) (list []sinktest.Stored) {
					for _, line := range out.lines() {
						if line == "" {
							continue
						}
						if e := sinktest.Structured(t, []byte(line)); e.Source == sinktest.Stream(stream).Source() {
							list = append(list, e)
						}
					}
					return list
				},
			}
		},
	})
}

func TestStdout_WithoutStateRemembersNothingAndNumbersNothing(t *testing.T) {
	out := &output{}
	for range 2 {
		sink := openStdout(StdoutConfig{}, out, quiet)
		log := sink.Log(sinktest.Claim("595981048477", "one"))
		if _, found, err := log.Peek(t.Context()); err != nil || found {
			t.Fatalf("Peek: %t, %v", found, err)
		}
		state, err := log.Acquire(t.Context())
		if err != nil || state.Checkpoint.Sequence != 0 {
			t.Fatalf("sequence %d, %v", state.Checkpoint.Sequence, err)
		}
		events := sinktest.Events(sinktest.Stream("595981048477"), 1, 2)
		if err := log.Commit(t.Context(), events, nil, sinktest.Next(state.Checkpoint, events, nil, 0)); err != nil {
			t.Fatal(err)
		}
		// Within the process it does remember.
		if state, err = log.Acquire(t.Context()); err != nil || state.Checkpoint.Sequence != 2 || len(state.Seen) != 2 {
			t.Fatalf("sequence %d, %d seen, %v", state.Checkpoint.Sequence, len(state.Seen), err)
		}
		if err := errors.Join(log.Close(), sink.Close()); err != nil {
			t.Fatal(err)
		}
	}
	lines := out.lines()
	if len(lines) != 4 {
		t.Fatalf("%d lines, want 4", len(lines))
	}
	for _, line := range lines {
		if _, has := sinktest.Structured(t, []byte(line)).Attributes["sequence"]; has {
			t.Fatalf("a sequence in %s", line)
		}
	}
}

func TestStdout_ClosedPipeIsRefusedInPlainWords(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	err = commitTo(t, t.Context(), w)
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(refusal.Cause, "closed") {
		t.Fatalf("got %v, want a refusal that names the closed pipe", err)
	}
}

func TestStdout_ReaderThatDoesNotReadHoldsUpNothingElse(t *testing.T) {
	r, w := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := commitTo(t, ctx, w); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("got %v, want an unclear outcome", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Fatalf("it took %v", took)
	}
	if err := r.Close(); err != nil { // the write in progress ends
		t.Fatal(err)
	}
}

func commitTo(t *testing.T, ctx context.Context, to io.Writer) error {
	t.Helper()
	sink := openStdout(StdoutConfig{}, to, quiet)
	defer sink.Close()
	log := sink.Log(sinktest.Claim("595981048477", "one"))
	defer log.Close()
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events := sinktest.Events(sinktest.Stream("595981048477"), 1, 2)
	return log.Commit(ctx, events, nil, sinktest.Next(state.Checkpoint, events, nil, 0))
}
