package checkpoint

import (
	"fmt"
	"strings"

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
	var out strings.Builder
	for _, r := range results {
		fmt.Fprintln(&out, r.Text)
		for i := range r.Notes {
			r.Notes[i] = e.program.Hint(r.Notes[i])
			fmt.Fprintf(&out, "  · %s\n", r.Notes[i])
		}
	}
	if e.options.JSON {
		return cli.PrintJSON(e.program.Out, results)
	}
	return e.program.Print(out.String())
}
