package checkpoint

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	fileFormat  = "twochat-connector checkpoint"
	fileVersion = 1
)

// File is a checkpoint outside of a sink. It contains ids of messages and a hash of the number, but no number, chat or
// text.
type File struct {
	Format   string    `json:"format"`
	Version  int       `json:"version"`
	Program  string    `json:"program"`
	Exported time.Time `json:"exported"`
	Stream   string    `json:"stream"`
	Sequence uint64    `json:"sequence"`
	// Sink describes the sink that the checkpoint was in, for people: its kind, and its address without credentials.
	Sink string `json:"sink,omitempty"`
	// Checkpoint is the sink's checkpoint, without the part that belongs to the sink.
	Checkpoint json.RawMessage `json:"checkpoint"`
	// SHA256 is the hash of the checkpoint without white space between its tokens.
	SHA256 string `json:"sha256"`
}

// digest is the SHA-256 of a JSON text without the white space between its tokens.
func digest(text []byte) (string, error) {
	var plain bytes.Buffer
	if err := json.Compact(&plain, text); err != nil {
		return "", err
	}
	sum := sha256.Sum256(plain.Bytes())
	return hex.EncodeToString(sum[:]), nil
}

// Export writes a stream's checkpoint to a file that must not exist, or to the standard output if path is "".
func (e *Engine) Export(ctx context.Context, stream, path string) error {
	if err := e.open(true); err != nil {
		return err
	}
	defer e.close()
	claim := connector.Claim{Stream: connector.Stream{Name: stream}, TypePrefix: e.config.Events.TypePrefix}
	c, found, err := e.peek(ctx, claim)
	switch {
	case err != nil:
		return err
	case !found:
		return cli.Hinted(fmt.Errorf("the sink holds no checkpoint of stream %s", stream),
			"`twochat-connector checkpoint show` lists those of the configured streams")
	case c.RenamedTo != "":
		return cli.Hinted(fmt.Errorf("stream %s was renamed to %s", stream, c.RenamedTo), "export that one")
	}
	if err := (&guard{e, isLeftOut}).unanswered(ctx, stream); err != nil {
		return err
	}
	if err := (&guard{e, isLeftOut}).inUse(ctx, &c); err != nil {
		return err
	}
	held, err := e.held(ctx, &c)
	if err != nil {
		return err
	}
	if held.highest > c.Sequence {
		return cli.Hinted(fmt.Errorf("the log of stream %s goes on to sequence %d, and its checkpoint ends at %d", stream, held.highest, c.Sequence),
			"start `twochat-connector run` once: it records what was written last; then stop it, and export again")
	}
	if err := e.settle(ctx, &c); err != nil {
		return err
	}
	file, err := fileOf(c)
	if err != nil {
		return err
	}
	file.Sink = e.sinkName()
	if path == "" {
		return cli.PrintJSON(e.program.Out, file)
	}
	if err := writeNew(path, file); err != nil {
		return err
	}
	return e.print(Result{Stream: stream, Sequence: c.Sequence, File: path, Text: fmt.Sprintf(
		"stream %s: the checkpoint of sequence %d is in %s", stream, c.Sequence, path), Notes: []string{
		"what an instance delivers from now on is not in it: let none run on this sink any more",
		"`twochat-connector checkpoint import " + path + " --config FILE` goes on from it, with a FILE that names the other sink",
	}})
}

// settle counts those quarantined messages that were erased on request as settled: the records of erasures stay in the
// sink, and another one could not tell.
func (e *Engine) settle(ctx context.Context, c *connector.Checkpoint) error {
	erased, err := e.erased(ctx, c)
	if err == nil {
		c.Counters.Settled += c.Counters.InQuarantine(nil) - c.Counters.InQuarantine(erased)
	}
	return err
}

// erased is what was erased of a checkpoint's stream, under all its names.
func (e *Engine) erased(ctx context.Context, c *connector.Checkpoint) ([]connector.Seen, error) {
	return pipeline.ErasedUnder(ctx, e.sink, append(slices.Clone(c.FormerNames), c.Stream))
}

// sinkName describes the configured sink for people.
func (e *Engine) sinkName() string {
	return e.config.Sink.Chosen()[0] + " " + e.config.Sink.Address()
}

func fileOf(c connector.Checkpoint) (*File, error) {
	c.Sink = nil
	text, err := json.Marshal(&c)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	sum, err := digest(text)
	return &File{
		Format: fileFormat, Version: fileVersion, Program: cli.Version(), Exported: time.Now().UTC().Truncate(time.Second),
		Stream: c.Stream, Sequence: c.Sequence, Checkpoint: text, SHA256: sum,
	}, err
}

// writeNew writes a file that does not exist yet.
func writeNew(path string, file *File) error {
	var content bytes.Buffer
	if err := cli.PrintJSON(&content, file); err != nil {
		return err
	}
	err := cli.WriteNew(path, content.Bytes())
	switch {
	case errors.Is(err, fs.ErrExist):
		return cli.Hinted(fmt.Errorf("there is a file %s already", path), "name another one, or remove it")
	case err != nil:
		return cli.Hinted(fmt.Errorf("export: %w", err),
			"name a file in a folder that this user may write to, and that has room")
	}
	return nil
}

// readFile reads what Export wrote, with the name of the sink that it was in.
func (e *importer) readFile(path string) (c connector.Checkpoint, sink string, err error) {
	const most = 64 << 20
	from := e.program.In
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return c, "", fmt.Errorf("import: %w", err)
		}
		defer f.Close() // only read
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, most))
	if err != nil {
		return c, "", fmt.Errorf("import: %w", err)
	}
	c, sink, err = checkpointIn(text)
	if err != nil {
		return c, "", cli.Hinted(fmt.Errorf("file %s: %w", path, err),
			"name a file that checkpoint export wrote, as it wrote it")
	}
	return c, sink, nil
}

// checkpointIn returns a file's checkpoint, and the sink that it was in; "" if an earlier version wrote the file.
func checkpointIn(text []byte) (c connector.Checkpoint, sink string, err error) {
	var file File
	if err := json.Unmarshal(text, &file); err != nil || file.Format != fileFormat {
		return c, "", errors.New("it is no exported checkpoint")
	}
	if file.Version > fileVersion {
		return c, "", fmt.Errorf("it has version %d, and this program knows up to %d: use the newer version of the program", file.Version, fileVersion)
	}
	sum, err := digest(file.Checkpoint)
	if err != nil || sum != file.SHA256 {
		return c, "", errors.New("it was changed after it was written: its checksum is another")
	}
	// It is checked like a checkpoint in a sink: for contradictions, and for a newer version.
	c, err = connector.ParseCheckpoint([]byte(`{"data":` + string(file.Checkpoint) + `}`))
	if err != nil {
		return c, "", err
	}
	if c.Stream == "" || !c.Started {
		return c, "", errors.New("it is of a stream that never started: there is nothing to go on from")
	}
	return c, file.Sink, nil
}
