package sinktest_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/file"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// A sink's test defines an empty storage for each case, how the sink is opened there, and how the storage is read by
// other means than the sink's. Each clause that does not apply to a sink is excused by name, in the test's log.
func ExampleRun() {
	_ = func(t *testing.T) { // the body of a test of a sink
		sinktest.Run(t, sinktest.Suite{Promise: sinktest.Prefix, Exclusive: true, New: func(t *testing.T) sinktest.Storage {
			path := filepath.Join(t.TempDir(), "events.jsonl")
			open := func(t *testing.T) sinktest.Sink {
				sink, err := file.Open(file.Config{Path: path}, connector.Encoding{TypePrefix: sinktest.TypePrefix},
					slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				return sink
			}
			read := func(t *testing.T, stream string) (stored []sinktest.Stored) {
				lines, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				for line := range bytes.Lines(lines) {
					if event := sinktest.Structured(t, line); event.Source == sinktest.Stream(stream).Source() {
						stored = append(stored, event)
					}
				}
				return stored
			}
			return sinktest.Storage{Open: open, Read: read}
		}})
	}
}
