package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// StdoutConfig is the configuration of the standard output.
type StdoutConfig struct {
	// State is a folder for the checkpoints. Without it every start is a first start, and events have no sequence.
	State string `yaml:"state"`
}

// Address is where events go.
func (StdoutConfig) Address() string { return "the standard output" }

// Validate returns nothing, as no setting can be wrong.
func (StdoutConfig) Validate() []connector.Finding { return nil }

// closeTimeout is how long Close waits for a reader that does not read.
const closeTimeout = time.Second

// Stdout writes events to the standard output, a line each. It is a sinks.Sink.
type Stdout struct {
	config StdoutConfig
	to     io.Writer
	logger *slog.Logger
	store  *StateStore

	turn chan struct{} // holds one token during a write, which lasts until somebody reads
}

// OpenStdout returns the sink. It does no I/O. The program has to ignore SIGPIPE; otherwise it ends without a message
// when the reader closes the pipe.
func OpenStdout(c StdoutConfig, _ connector.Encoding, logger *slog.Logger) (*Stdout, error) {
	return openStdout(c, os.Stdout, logger), nil
}

func openStdout(c StdoutConfig, to io.Writer, logger *slog.Logger) *Stdout {
	s := &Stdout{config: c, to: to, logger: logger, turn: make(chan struct{}, 1)}
	s.store = NewStateStore(c.State, limits, s.write)
	return s
}

// Log returns a stream's log.
func (s *Stdout) Log(claim connector.Claim) connector.Log { return s.store.Log(claim) }

// write writes events as lines. Rejects are not written to the output but mentioned in the program's log.
func (s *Stdout) write(
	ctx context.Context, stream connector.Stream, events []connector.Event, rejects []connector.Reject,
) error {
	var lines []byte
	for i := range events {
		e := events[i]
		if s.config.State == "" {
			e.Sequence = 0 // it would start again at each start of the program
		}
		lines = appendLine(lines, &e)
	}
	for _, r := range rejects {
		s.logger.Warn("message rejected", "stream", stream.Name, "reason", r.Reason, "bytes", r.Length, "sha256", r.Hash)
	}
	if len(lines) == 0 {
		return nil
	}
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", connector.ErrNotNow, ctx.Err())
	}
	// A write to a pipe that nobody reads blocks forever, and cannot be cancelled.
	done := make(chan error, 1)
	go func() {
		_, err := s.to.Write(lines)
		<-s.turn
		done <- err
	}()
	select {
	case err := <-done:
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
			return &connector.Refusal{
				Thing: "standard output", Cause: "its reader has closed it",
				Hint: "restart the connector with a reader that stays",
			}
		}
		if err != nil {
			return fmt.Errorf("write: %w", plain(err))
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write: %w", ctx.Err())
	}
}

// Create creates the parent of the state's folder.
func (s *Stdout) Create(context.Context) error {
	return s.store.Create()
}

// Check checks that the state can be written.
func (s *Stdout) Check(context.Context, []connector.Claim) ([]connector.Finding, error) {
	if s.config.State == "" {
		return []connector.Finding{{
			Level: connector.FindingWarning, Thing: "state",
			Text: "nothing is stored: every start is a first start", Hint: "set `sink.stdout.state` to a folder",
		}}, nil
	}
	return CheckState(s.config.State), nil
}

// CheckState checks that a folder of checkpoints can be written, or created.
func CheckState(dir string) []connector.Finding {
	dir = filepath.Clean(dir)
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return checkFolder("state", dir, dir)
	} else if err == nil {
		return []connector.Finding{{
			Level: connector.FindingRefused, Thing: "state",
			Text: dir + " is a file, but a folder is expected", Hint: "set another path",
		}}
	}
	return checkFolder("state", filepath.Dir(dir), dir)
}

// Follow returns a refusal, as the output is not kept.
func (s *Stdout) Follow(context.Context, connector.FollowOptions, func(event []byte) error) error {
	return &connector.Refusal{
		Thing: "standard output", Cause: "its contents cannot be read again",
		Hint: "check its reader, or use the sink file",
	}
}

// ReadBack returns a refusal, as Follow does.
func (s *Stdout) ReadBack(
	ctx context.Context, stream string, _ func(connector.StoredRecord) error, _ func([]byte) error,
) error {
	return s.Follow(ctx, connector.FollowOptions{Stream: stream}, nil)
}

// Promise returns the delivery guarantee of the output.
func (s *Stdout) Promise() connector.Promise {
	p := connector.Promise{Text: "Best effort: each message is written to the standard output; nothing confirms that " +
		"it was read."}
	if s.config.State == "" {
		p.Exceptions = []string{
			"Nothing is stored (`sink.stdout.state` is not set): every start is a first start, and whether messages from the " +
				"time between are delivered depends on the key start.",
			"Events have no sequence, so gaps cannot be detected.",
		}
		return p
	}
	p.Exceptions = []string{
		"A crash between the output and the state doubles the events of one commit.",
		"Events that the reader had not read when it ended are lost.",
	}
	return p
}

// Close releases the state. It waits briefly for a write in progress.
func (s *Stdout) Close() error {
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case s.turn <- struct{}{}:
		<-s.turn
	case <-timer.C:
		s.logger.Warn("nobody reads the standard output: its last events are dropped")
	}
	return s.store.Close()
}
