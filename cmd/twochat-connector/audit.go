package main

import (
	"context"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/audit"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

const aboutAudit = `
Compares what 2Chat lists with what is in the log, and reports each message that
is missing, doubled, out of order, changed or erased. It reads the whole log, and
as much of the list as --since or --all says, one of which is required. It reads
the list as the connector does: new messages do no harm, and ` + "`run`" + ` may go on
beside it.

    twochat-connector audit --stream support --since 720h --report audit

A page of 100 messages costs a little more than one call if no messages come in,
and up to seven if the list changes all the time; each call costs a credit.
--dry-run estimates the calls. Like backfill, audit uses what live polling leaves
of the account's rate limit, waits out temporary failures, and ends with exit
code 1 before it uses the reserve of the month's budget.

Some differences are reported apart, as they are no fault: messages that are not
delivered yet, that were listed before the stream's first start, that are in the
quarantine or held, that were delivered to another sink before a checkpoint was
imported, and messages that are only in the log because 2Chat does not list them
any more. After a rekey, another chat token is no change. A message that was
edited in 2Chat after its delivery is reported as changed: audit cannot tell which
of the two sides was changed.

--repair restores what is missing, and nothing else: at the end of the log, with
the next sequences, marked late. It takes over the stream for that. A running
instance stands down and continues by itself after a few poll intervals (if one
answers, --take-over is required); for a file, stop ` + "`run`" + ` first. The repair may be
killed at any time: the same command continues, and restores nothing twice.

The exit code is 0 if nothing is wrong, also after a repair that restored all that
was missing; 3 if anything is wrong that was not restored: missing messages that
are left, and what a repair leaves as it is (doubled, out of order, changed,
erased, unreadable); 1 if the audit or the repair failed, or if a stream could not
be audited while nothing is wrong with the others; 2 if the command line or the
configuration is wrong.

--stream NAME-history audits what backfill delivered: it compares what is listed
below the beginning of the stream NAME with the history. --repair takes over the
history alone, so ` + "`run`" + ` is not touched.
`

// runAudit is the command audit.
func runAudit(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	var back windowFlags
	back.add(flags)
	var o audit.Options
	stream := flags.String("stream", "", "audit only the stream of this `name`; by default all configured streams. NAME-history is what backfill delivered of it")
	account := flags.String("account", "", "audit only the streams of the account of this `name`; by default all accounts")
	flags.BoolVar(&o.Repair, "repair", false, "restore what is missing")
	flags.BoolVar(&o.TakeOver, "take-over", false, "repair although a running instance answers; it stands down meanwhile")
	flags.StringVar(&o.Report, "report", "", "write the report as JSON and as a web page, to `FILE`.json and FILE.html")
	flags.BoolVar(&o.DryRun, "dry-run", false, "estimate the messages and calls, and read no list")
	flags.BoolVar(&o.JSON, "json", false, "print the report as JSON")
	if err := p.Parse(flags, args, aboutAudit); err != nil {
		return err
	}
	var err error
	if o.Start, err = back.start(time.Now()); err != nil {
		return err
	}
	if o.TakeOver && !o.Repair {
		return cli.Usage("flag --take-over: expected only together with --repair")
	}
	c, err := p.Load(settings)
	if err != nil {
		return err
	}
	if o.Streams, err = streamsOf(c, *account); err != nil {
		return err
	}
	if *stream != "" && *account != "" {
		return cli.Usage("expected either --stream or --account: a stream is of one account")
	}
	if *stream != "" {
		one, err := streamNamed(c, *stream)
		suffix := connector.HistoryStream(connector.Stream{}).Name
		if live, is := strings.CutSuffix(*stream, suffix); err != nil && is && live != "" {
			one, err = streamNamed(c, live)
			o.History = true
		}
		if err != nil {
			return err
		}
		o.Streams = []connector.Stream{one}
	}
	p.SaveMemory(c)
	return audit.New(p, c, o).Run(ctx)
}

// streamsOf are the streams of the account with a name or, without a name, of all.
func streamsOf(c *config.Config, name string) ([]connector.Stream, error) {
	if name == "" {
		return c.Streams(), nil
	}
	var names []string
	for _, one := range c.ByAccount() {
		if one.Account() == name {
			return one.Streams(), nil
		}
		names = append(names, one.Account())
	}
	if len(c.Accounts) == 0 {
		return nil, cli.Usage("flag --account: expected only where the configuration has accounts")
	}
	return nil, cli.Usage("flag --account: expected the name of a configured account: %s", strings.Join(names, ", "))
}
