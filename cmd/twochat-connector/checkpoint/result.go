package checkpoint

import (
	"fmt"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
)

// Result is what was done to a stream's checkpoint.
type Result struct {
	Stream string `json:"stream"`
	// Former is the name that it had.
	Former   string `json:"former,omitempty"`
	Sequence uint64 `json:"sequence"`
	File     string `json:"file,omitempty"`
	Text     string `json:"text"`
	// Notes are the consequences.
	Notes []string `json:"notes,omitempty"`
}

func (r *Result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (e *Engine) print(results ...Result) error {
	if e.options.JSON {
		return cli.PrintJSON(e.program.Out, results)
	}
	for _, r := range results {
		if _, err := fmt.Fprintln(e.program.Out, r.Text); err != nil {
			return err
		}
		for _, note := range r.Notes {
			if _, err := fmt.Fprintf(e.program.Out, "  · %s\n", note); err != nil {
				return err
			}
		}
	}
	return nil
}
