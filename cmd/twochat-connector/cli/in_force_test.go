package cli

import (
	"testing"

	"github.com/twochat-connector/twochat-connector/config"
)

// The commands of a hint are about the configuration that the program was started with.
func TestInForce_Commands(t *testing.T) {
	file := func(path string) InForce { return InForce{File: path} }
	short := InForce{Numbers: []string{"+595981", "+595982"}, Sink: "file:e v.jsonl"}
	for _, c := range []struct {
		hint  string
		force InForce
		want  string
	}{
		{"`twochat-connector check --learn` says", file("/x/y.yaml"), "`twochat-connector check --config /x/y.yaml --learn` says"},
		{"`twochat-connector quarantine list`", file("/x"), "`twochat-connector quarantine list --config /x`"},
		{"`twochat-connector quarantine --json`", file("/x"), "`twochat-connector quarantine --config /x --json`"},
		{"`twochat-connector check`", file("it's"), "`twochat-connector check --config 'it'\\''s'`"},
		{"`twochat-connector check --config a`", file("b"), "`twochat-connector check --config a`"},
		{"`twochat-connector check`", file(config.DefaultPath), "`twochat-connector check`"},
		{"`twochat-connector check`", InForce{}, "`twochat-connector check`"},
		{"see `twochat-connector help audit`, check", file("/x"), "see `twochat-connector help audit`, check"},
		{"`run` does, `run --rekey` too", file("/x"), "`run` does, `twochat-connector run --config /x --rekey` too"},
		{
			"`mv a b && twochat-connector run`", file("/x"), "`mv a b && twochat-connector run --config /x`",
		},
		{
			"`twochat-connector checkpoint rename a b`", short,
			"`twochat-connector checkpoint rename --number +595981 --number +595982 --sink 'file:e v.jsonl' a b`",
		},
		{"`twochat-connector status --all`", short, "`twochat-connector status --all`"},
		{"`twochat-connector status --all`", file("/x"), "`twochat-connector status --config /x --all`"},
		{"`twochat-connector status --admin URL`", file("/x"), "`twochat-connector status --admin URL`"},
	} {
		got := c.force.Commands(c.hint)
		if got != c.want {
			t.Errorf("%q of %+v is %q, want %q", c.hint, c.force, got, c.want)
		}
		if again := c.force.Commands(got); again != got {
			t.Errorf("%q again is %q", got, again)
		}
	}
	if got, want := file("/x").Command("audit", "--stream", "a b", "--repair"),
		"`twochat-connector audit --config /x --stream 'a b' --repair`"; got != want {
		t.Errorf("a command is %s, want %s", got, want)
	}
}
