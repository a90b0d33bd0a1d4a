package main

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/demo"
)

const aboutDemo = `
Shows the connector at work on this machine: no account, no broker, no Docker. A fake 2Chat lists invented conversations of a
bicycle shop and misbehaves like the real one: its list moves between any two requests, messages come late or hundreds at once,
answers fail. The real pipeline turns it into events in a real NATS JetStream server inside this process, whose data go to a
temporary folder. Everything is reached on loopback, on free ports.

It ends after --for, or at ctrl-c. Then the stream is read back with a plain NATS client and held against what the fake listed:
the exit code is 3 where anything was lost, doubled, changed or out of order.

--json prints one JSON object a line: the events as they are stored but for line breaks, and the summary last.
`

// runDemo is the command demo.
func runDemo(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	length := flags.Duration("for", 0, "`how long` to go on, such as 20s; 0 is until ctrl-c")
	seed := flags.Uint64("seed", 0, "`number` that decides what the fake does; 0 is a new one each time")
	asJSON := flags.Bool("json", false, "print JSON, one object a line")
	if err := p.Parse(flags, args, aboutDemo); err != nil {
		return err
	}
	if *length < 0 {
		return cli.Usage("flag --for: expected a length of time such as 20s")
	}
	if *seed == 0 {
		*seed = uint64(rand.Uint32()) + 1
	}
	d, err := demo.New(p, *seed, *asJSON)
	if err != nil {
		return err
	}
	wrong, err := d.Run(ctx, *length)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	if wrong {
		return cli.ErrFoundWrong
	}
	return nil
}
