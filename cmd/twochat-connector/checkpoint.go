package main

import (
	"context"
	"slices"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/checkpoint"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
)

const aboutCheckpoint = `
Looks at what the sink records of each stream: how far its log has got, and
what the next start needs. No message and no number of a customer is in it.

    checkpoint show [--stream NAME]   what it records, in words

show changes nothing and may run beside an instance. It ends with exit code 3
where a stream has no checkpoint, or has one that this configuration could not
go on from.
`

// checkpointVerbs are what there is to do with a checkpoint.
var checkpointVerbs = []string{"show"}

// runCheckpoint is the command checkpoint.
func runCheckpoint(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	stream := flags.String("stream", "", "the stream of this `name`; show: all that are configured, if left out")
	asJSON := flags.Bool("json", false, "print it as JSON")
	words, err := p.ParseWords(flags, args, aboutCheckpoint)
	if err != nil {
		return err
	}
	verb := append(words, "")[0]
	switch {
	case !slices.Contains(checkpointVerbs, verb):
		return p.WrongWord(verb, checkpointVerbs, "`twochat-connector help checkpoint` says what they do")
	case len(words) > 1:
		return cli.Usage("expected no more than flags after checkpoint show")
	}
	c, named, err := p.LoadKeyless(settings)
	if err != nil {
		return err
	}
	engine, err := checkpoint.New(p, c, named, *asJSON)
	if err != nil {
		return err
	}
	return engine.Show(ctx, *stream)
}
