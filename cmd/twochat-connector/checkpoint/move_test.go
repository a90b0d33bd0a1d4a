package checkpoint

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector"
)

// A move that ends half-way says what was moved and what was not, and that the same command goes on.
func TestHalfMoved(t *testing.T) {
	var plan []planned
	for _, name := range []string{"a", "b", "c", "d"} {
		p := planned{done: name == "b"} // b was moved by an earlier run
		p.claim.Stream.Name = name
		plan = append(plan, p)
	}
	full := &connector.Refusal{Thing: "sink", Cause: "it is full", Hint: "make room"}
	for want, c := range map[string]struct {
		failed int
		err    error
	}{
		"nothing was moved; not moved: a, c, d, because of stream a: sink: it is full → make room; then run the same": {0, full},
		"moved so far: a; not moved: c, d, because of stream c: boom → run the same":                                  {2, errors.New("boom")},
		"moved so far: a, c; not moved: d, because of stream d: it was interrupted → run the same":                    {3, context.Canceled},
	} {
		problems := cli.Problems(halfMoved(plan, c.failed, c.err))
		if got := problems[0].Text + " → " + problems[0].Hint; len(problems) != 1 || !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
