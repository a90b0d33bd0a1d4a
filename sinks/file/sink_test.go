package file

import (
	"bufio"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

func TestMain(m *testing.M) {
	// Thousands of folders are written: in memory, if there is a file system for that.
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		if err := os.Setenv("TMPDIR", "/dev/shm"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

var (
	_     sinktest.Sink = (*Sink)(nil)
	quiet               = slog.New(slog.DiscardHandler)
)

func TestSink_KeepsTheContract(t *testing.T) {
	for name, config := range map[string]Config{"one file": {}, "rotated often": {MaxBytes: 2_000}} {
		t.Run(name, func(t *testing.T) {
			sinktest.Run(t, sinktest.Suite{
				Promise:   sinktest.Prefix,
				Exclusive: true,
				New: func(t *testing.T) sinktest.Storage {
					c := config
					c.Path = filepath.Join(t.TempDir(), "events.jsonl")
					return sinktest.Storage{
						Folder: filepath.Dir(c.Path),
						Open: func(t *testing.T) sinktest.Sink {
							s, err := Open(c, connector.Encoding{TypePrefix: sinktest.TypePrefix}, quiet)
							if err != nil {
								t.Fatal(err)
							}
							return s
						},
						Read: func(t *testing.T, stream string) []sinktest.Stored { return readEvents(t, c.Path, stream) },
						Quarantined: func(t *testing.T, stream string) (list []sinktest.Quarantined) {
							for _, line := range readLines(t, c.Path+".quarantine.jsonl") {
								if q := sinktest.Quarantine(t, line); q.Source == sinktest.Stream(stream).Source() {
									list = append(list, q)
								}
							}
							return list
						},
						Intrude: func(t *testing.T, _ string, record []byte) { appendTo(t, c.Path, append(record, '\n')) },
						Forget: func(t *testing.T, stream string) {
							if err := os.Remove(filepath.Join(c.Path+".checkpoint", connector.SubjectToken(stream)+".json")); err != nil {
								t.Fatal(err)
							}
						},
						Vanish: func(t *testing.T) {
							if err := errors.Join(os.RemoveAll(c.Path+".checkpoint"), os.Remove(c.Path)); err != nil {
								t.Fatal(err)
							}
						},
						Copy: func(t *testing.T) func(t *testing.T) {
							copied := take(t, filepath.Dir(c.Path))
							return func(t *testing.T) { copied.putBack(t, filepath.Dir(c.Path)) }
						},
					}
				},
			})
		})
	}
}

// appendTo writes at the end of a file, as another program would.
func appendTo(t *testing.T, path string, text []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.Write(text)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// readEvents reads a stream's events from all parts, without using the sink's code, except for the names of the parts.
func readEvents(t *testing.T, path, stream string) (list []sinktest.Stored) {
	t.Helper()
	parts, err := filepath.Glob(path + ".[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(parts) {
		list = append(list, readPart(t, part(path, n+1), stream)...)
	}
	return append(list, readPart(t, path, stream)...)
}

func readPart(t *testing.T, path, stream string) (list []sinktest.Stored) {
	t.Helper()
	for _, line := range readLines(t, path) {
		e := sinktest.Structured(t, line)
		if e.Source == sinktest.Stream(stream).Source() && e.Attributes["type"] != sinktest.TypePrefix+".connector.erased" {
			list = append(list, e)
		}
	}
	return list
}

func readLines(t *testing.T, path string) (lines [][]byte) {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		lines = append(lines, append([]byte(nil), scanner.Bytes()...))
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// The torn end of a rotated part is not a line that somebody is still writing, so it is reported. That of the file
// itself is left out.
func TestSink_ReadBackOfTornLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	for name, content := range map[string]string{path + ".1": "\n{", path: "x\n{"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(Config{Path: path}, connector.Encoding{TypePrefix: sinktest.TypePrefix}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var places []string
	err = s.ReadBack(t.Context(), "support", func(record connector.StoredRecord) error {
		places = append(places, record.Position.String())
		return nil
	}, func([]byte) error { return nil })
	want := []string{path + ".1, byte 0", path + ".1, byte 1", path + ", byte 0"}
	if err != nil || !slices.Equal(places, want) {
		t.Errorf("%v, %q, want %q", err, places, want)
	}
}
