package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

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
