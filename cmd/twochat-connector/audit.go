package main

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/audit"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector"
)

const aboutAudit = `
Holds what 2Chat lists against what is in the log, and says what is missing,
doubled, out of order, changed or erased, message by message. The exit code is 3
where anything is. It reads the whole log, and of the list as much as is asked
for, as the connector itself reads it: messages that come in meanwhile do no
harm, and ` + "`run`" + ` may go on beside it.

    twochat-connector audit --stream support --since 720h --report audit

A page of 100 messages costs a little more than one call, while nothing comes
in, and up to seven while the list never rests; each call costs a credit.
--dry-run says how many it will be. It takes what live polling leaves of the
account's rate limit, waits out what passes, and ends with exit code 1 rather
than to touch the reserve of the month's budget, as backfill does.

What is not wrong is told apart: messages that are not delivered yet, that were
listed before the stream's first start, that are in the quarantine or held, and
those that are only in the log, as 2Chat does not list them any more. A message
that was edited in 2Chat after its delivery shows as changed: which of the two
sides was changed cannot be told.

--repair puts back what is missing, and nothing else: at the end of the log,
with the next sequences, marked late. It takes the stream over for that. An
instance that runs meanwhile stands down and goes on by itself after a few
intervals (--take-over, where it answers); a file has to be given up by ` + "`run`" + `
first. It may be killed at any time: the same command goes on, and puts nothing
back twice.
`

// runAudit is the command audit.
func runAudit(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	var back windowFlags
	back.add(flags)
	var o audit.Options
	stream := flags.String("stream", "", "only the stream of this `name`; all that are configured, if left out")
	flags.BoolVar(&o.Repair, "repair", false, "put back what is missing")
	flags.BoolVar(&o.TakeOver, "take-over", false, "repair although a running instance answers: it stands down meanwhile")
	flags.StringVar(&o.Report, "report", "", "write the report as JSON and as a page: to `FILE`.json and FILE.html")
	flags.BoolVar(&o.DryRun, "dry-run", false, "say how much it is and what it costs, and read no list")
	flags.BoolVar(&o.JSON, "json", false, "print the report as JSON")
	if err := p.Parse(flags, args, aboutAudit); err != nil {
		return err
	}
	var err error
	if o.Start, err = back.start(time.Now()); err != nil {
		return err
	}
	if o.TakeOver && !o.Repair {
		return cli.Usage("flag --take-over: expected beside --repair alone")
	}
	c, err := p.Load(settings)
	if err != nil {
		return err
	}
	o.Streams = c.Streams()
	if *stream != "" {
		one, err := streamNamed(c, *stream)
		if err != nil {
			return err
		}
		o.Streams = []connector.Stream{one}
	}
	p.SaveMemory(c)
	return audit.New(p, c, o).Run(ctx)
}
