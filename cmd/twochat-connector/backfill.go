package main

import (
	"context"
	"flag"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/backfill"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

const aboutBackfill = `
Delivers what a stream's first start left out: the messages that were listed
before it. They go into a separate stream, NAME-history, with its own source,
sequence and checkpoint, oldest first within each chat, each once. ` + "`run`" + ` may go
on meanwhile, in another process; no message is delivered to both streams.

    twochat-connector backfill --stream support --since 720h --dry-run

Either --since or --all is required: how far back it reaches.

It ends when all of it is in the sink. It may be stopped at any time: the same
command continues where it stopped. A page of 100 messages costs one call if no
messages come in, and up to about seven if the list changes all the time; each
call costs a credit. --dry-run estimates the calls.

It uses what live polling leaves of the account's rate limit: at most three
quarters, and less if the instance that runs with this configuration answers at
its admin.listen and reports that it uses more. After either of them has hit the
limit, backfill makes no call for a minute.

It waits out temporary failures, also with --dry-run: if 2Chat does not answer,
if the rate limit is hit, and if the account's credits are used up (402). It
says so, and continues by itself, within an hour after there are credits again.
It ends with exit code 1 before it uses the reserve of the month's budget
(poll.monthly_credits), and if the key is wrong or the number is missing.
`

// runBackfill is the command backfill.
func runBackfill(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	var f backfillFlags
	f.add(flags)
	if err := p.Parse(flags, args, aboutBackfill); err != nil {
		return err
	}
	start, err := f.start(time.Now())
	if err != nil {
		return err
	}
	c, err := p.Load(settings)
	if err != nil {
		return err
	}
	live, err := streamNamed(c, f.stream)
	if err != nil {
		return err
	}
	p.SaveMemory(c)
	return backfill.New(p, c.OfStream(live.Name), live, start, f.json).Run(ctx, f.dry)
}

// backfillFlags are the flags of the command line.
type backfillFlags struct {
	windowFlags
	stream    string
	dry, json bool
}

func (f *backfillFlags) add(flags *flag.FlagSet) {
	flags.StringVar(&f.stream, "stream", "",
		"`name` of the stream whose history is wanted; may be omitted if there is only one")
	f.windowFlags.add(flags)
	flags.BoolVar(&f.dry, "dry-run", false, "estimate the messages and calls, and write nothing")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
}

// windowFlags are the flags that say how far back a list is read.
type windowFlags struct {
	since string
	all   bool
}

func (f *windowFlags) add(flags *flag.FlagSet) {
	flags.BoolVar(&f.all, "all", false, "all that is listed; either this or --since is required")
	flags.StringVar(&f.since, "since", "",
		"only messages that are not older than this: an `age` such as 720h, or a time such as 2026-01-31T00:00:00Z; either this or --all is required")
}

func (f *windowFlags) start(now time.Time) (connector.Start, error) {
	switch {
	case f.all && f.since != "":
		return connector.Start{}, cli.Usage("expected either --all or --since, not both")
	case !f.all && f.since == "":
		return connector.Start{}, cli.Usage(
			"expected --all, or --since with an age (720h) or a time (2026-01-31T00:00:00Z)")
	}
	if f.all {
		return connector.Start{Beginning: true}, nil
	}
	start, err := config.ParseStart(f.since)
	if err != nil || start.Mode != config.StartAge && start.Mode != config.StartTime {
		return connector.Start{}, cli.Usage(
			"flag --since: expected an age such as 720h, or a time such as 2026-01-31T00:00:00Z")
	}
	at := start.At(now)
	if at.Since.After(now) {
		return connector.Start{}, cli.Usage("flag --since: expected a time in the past, found %s",
			at.Since.UTC().Format(time.RFC3339))
	}
	return at, nil
}

// streamNamed returns the configured stream with a name or, without a name, the only one.
func streamNamed(c *config.Config, name string) (connector.Stream, error) {
	streams := c.Streams()
	if name == "" && len(streams) == 1 {
		return streams[0], nil
	}
	if i := slices.IndexFunc(streams, func(s connector.Stream) bool { return s.Name == name }); i >= 0 {
		return streams[i], nil
	}
	names := make([]string, len(streams))
	for i := range streams {
		names[i] = streams[i].Name
	}
	return connector.Stream{}, cli.Usage("flag --stream: expected the name of a configured stream: %s",
		strings.Join(names, ", "))
}
