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
the real one: its list changes between any two requests, messages come late or
hundreds at once, answers fail. The real pipeline turns it into events in a real
NATS JetStream server inside this process, which keeps its data in a temporary
folder. Everything is on loopback, on free ports.

With --sink the events go to your broker or file, and stay there, so that you can
try out what reads them. Missing topics and streams are created. Each demo writes
to a new stream: bicycle-shop, then bicycle-shop-2 and so on.
--history 10000 begins with as many messages, --data row writes them as rows for
a table. A broker that requires credentials cannot be named so: for that, let
"twochat-connector fake" serve the messages, and let "twochat-connector run" read
them with a configuration.

The demo ends after --for, or at ctrl-c. Then it reads the events back, from NATS
with a plain client, and compares them with what the fake listed: the exit code
is 3 if anything was lost, doubled, changed or out of order. If its output is
closed, the demo ends at once without a report.

--json prints one JSON object a line: the events as they are stored, except for
line breaks, and the summary last.
`

// maxDemoHistory messages make a topic of about 100 MB.
const maxDemoHistory = 100_000

// runDemo is the command demo.
func runDemo(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	length := flags.Duration("for", 0, "`how long` to run, such as 20s; 0 is until ctrl-c")
	sink := flags.String("sink", "",
		"`where` to deliver, instead of to a NATS server in this process: nats://host:4222 (JetStream), kafka://host:9092/topic or file:events.jsonl")
	history := flags.Int("history", demo.DefaultHistory, "`how many` messages are listed at the start")
	data := cli.Choice(flags, "data", "`what` the data of an event is: item, as 2Chat has it, or row, for tables",
		string(config.DataItem), string(config.DataRow))
	seed := flags.Uint64("seed", 0, "`number` that determines what the fake does; 0 is a new one each time")
	asJSON := flags.Bool("json", false, "print JSON, one object a line")
	if err := p.Parse(flags, args, aboutDemo); err != nil {
		return err
	}
	if *history < 0 || *history > maxDemoHistory {
		return cli.Usage("flag --history: expected 0 to %d", maxDemoHistory)
	}
	if *length < 0 {
		return cli.Usage("flag --for: expected a duration such as 20s")
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
