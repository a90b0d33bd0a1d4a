package main

import (
	"context"
	"errors"
	"math/rand/v2"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/demo"
	"github.com/twochat-connector/twochat-connector/config"
)

const aboutDemo = `
Shows the connector at work on this machine: no account, no broker, no Docker. A
fake 2Chat lists invented conversations of a bicycle shop and misbehaves like
the real one: its list moves between any two requests, messages come late or
hundreds at once, answers fail. The real pipeline turns it into events in a real
NATS JetStream server inside this process, whose data go to a temporary folder.
Everything is reached on loopback, on free ports.

With --sink the events go to a broker or a file of yours, and stay there: for
trying out what reads them. Topics and streams that are missing are made. Each
demo writes a stream of its own: bicycle-shop, then bicycle-shop-2 and so on.
--history 10000 begins with as many messages, --data row writes them as rows for
a table. A broker that wants credentials cannot be named so: let
"twochat-connector fake" serve the messages, and "twochat-connector run" read
them with a configuration.

It ends after --for, or at ctrl-c. Then the events are read back, from NATS with
a plain client, and held against what the fake listed: the exit code is 3 where
anything was lost, doubled, changed or out of order. It ends at once, and says
nothing, where nobody reads its output any more.

--json prints one JSON object a line: the events as they are stored but for line
breaks, and the summary last.
`

// maxDemoHistory is a topic of about 100 MB.
const maxDemoHistory = 100_000

// runDemo is the command demo.
func runDemo(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	length := flags.Duration("for", 0, "`how long` to go on, such as 20s; 0 is until ctrl-c")
	sink := flags.String("sink", "",
		"`where` to deliver, instead of a NATS server in this process: nats://host:4222 (JetStream), kafka://host:9092/topic or file:events.jsonl")
	history := flags.Int("history", demo.DefaultHistory, "`how many` messages are listed at the start")
	data := cli.Choice(flags, "data", "`what` an event's data is: item, as 2Chat has it, or row, for tables",
		string(config.DataItem), string(config.DataRow))
	seed := flags.Uint64("seed", 0, "`number` that decides what the fake does; 0 is a new one each time")
	asJSON := flags.Bool("json", false, "print JSON, one object a line")
	if err := p.Parse(flags, args, aboutDemo); err != nil {
		return err
	}
	if *history < 0 || *history > maxDemoHistory {
		return cli.Usage("flag --history: expected 0 to %d", maxDemoHistory)
	}
	if *length < 0 {
		return cli.Usage("flag --for: expected a length of time such as 20s")
	}
	if *seed == 0 {
		*seed = uint64(rand.Uint32()) + 1
	}
	d, err := demo.New(ctx, p, demo.Options{
		Seed: *seed, JSON: *asJSON, Sink: *sink, History: *history, Rows: *data == string(config.DataRow),
	})
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
