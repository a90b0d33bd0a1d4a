package cli

import (
	"testing"

	"github.com/twochat-connector/twochat-connector/config"
)

// The commands of a hint are about the file that the program was started with.
func TestWithConfig(t *testing.T) {
	for _, c := range []struct{ hint, file, want string }{
		{"`twochat-connector check --learn` says", "/x/y.yaml", "`twochat-connector check --config /x/y.yaml --learn` says"},
		{"`twochat-connector quarantine list`", "/x", "`twochat-connector quarantine list --config /x`"},
		{"`twochat-connector check`", "it's", "`twochat-connector check --config 'it'\\''s'`"},
		{"`twochat-connector check --config a`", "b", "`twochat-connector check --config a`"},
		{"`twochat-connector check`", config.DefaultPath, "`twochat-connector check`"},
		{"`twochat-connector check`", "", "`twochat-connector check`"},
		{"see `twochat-connector help audit`, check", "/x", "see `twochat-connector help audit`, check"},
	} {
		if got := WithConfig(c.hint, c.file); got != c.want {
			t.Errorf("%q of %q is %q, want %q", c.hint, c.file, got, c.want)
		}
	}
}
