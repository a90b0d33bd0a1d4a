package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
)

// QuietLogger returns a logger that discards everything.
func QuietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// PrintJSON prints a value as indented JSON.
func PrintJSON(to io.Writer, value any) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("print JSON: %w", err)
	}
	return nil
}

// Print prints a text for a person, its lines no wider than the output is, and its commands about the configuration in
// force.
func (p *Program) Print(said string) error { return text.Print(p.Out, p.Hint(said)) }

// WriteNew writes a file that does not exist yet, and that only this user may read. It fails with fs.ErrExist if
// something has the name. What could not be written whole is gone, as it would keep the next attempt off.
func WriteNew(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		_ = os.Remove(path) // it was made here
	}
	return err
}
