package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
)

const aboutStatus = `
Shows the state of a running instance's streams, from its admin server. The exit
code is 3 if anything is not as it should be. With --wait it asks again, once a
second, until all is as it should be or the time has passed.
`

// runStatus is the command status.
func runStatus(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := &config.Flags{}
	flags.StringVar(&settings.Config, "config", "",
		"configuration `file` whose admin.listen is asked; by default twochat-connector.yaml in this folder, else /etc/twochat-connector/config.yaml")
	named := admin.TargetFlags(flags)
	asJSON := flags.Bool("json", false, "print the server's answer")
	patience := flags.Duration("wait", 0, "`how long` to wait until all is as it should be, such as 30s")
	if err := p.Parse(flags, args, aboutStatus); err != nil {
		return err
	}
	if *patience < 0 {
		return cli.Usage("flag --wait: expected a duration such as 30s")
	}
	target, err := admin.TargetOf(p, named, settings)
	if err != nil {
		return err
	}
	body, r, err := target.StatusWithin(ctx, *patience)
	if err != nil {
		return err
	}
	if *asJSON {
		_, err = p.Out.Write(body)
	} else {
		err = printReport(p.Out, r)
	}
	if err != nil {
		return fmt.Errorf("print status: %w", err)
	}
	if !r.Ready || !r.Healthy {
		return cli.ErrFoundWrong
	}
	return nil
}

// printReport prints the report as a table, followed by what is wrong.
func printReport(to io.Writer, r pipeline.Report) error {
	verdict := "all is well"
	switch {
	case !r.Ready || !r.Healthy:
		verdict = "not as it should be"
	case r.Waiting():
		verdict = "ready, but waiting for something"
	}
	fmt.Fprintf(to, "%s: twochat-connector %s, up %s, sink %s", verdict, r.Version, text.Span(r.Now.Sub(r.Started)),
		r.Sink.Kind)
	if len(r.Accounts) == 0 {
		fmt.Fprint(to, ", ")
		printAccount(to, r.AccountReport, r.Now)
	}
	for _, account := range r.Accounts {
		fmt.Fprintf(to, "\n\naccount %s: ", account.Name)
		printAccount(to, account, r.Now)
	}
	fmt.Fprint(to, "\n\n")
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STREAM\tSTATE\tFOR\tNEWEST MESSAGE\tLAST GOOD WALK\tIN THE LOG\tNOT CERTIFIED\tLATE\tQUARANTINED\tHELD\tCALLS\tINTERVAL")
	for _, s := range r.Streams {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", s.Stream, pipeline.StateText(s.Status),
			text.Span(r.Now.Sub(s.Since)), text.Ago(s.NewestMessage, r.Now),
			text.Ago(s.LastSuccessfulPoll, r.Now), s.Sequence, s.Unconfirmed, s.Counters.Late, s.Counters.Rejected,
			s.Counters.Held, s.Requests, text.Interval(s.Interval))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(r.NotReady)+len(r.Wedged) > 0 {
		fmt.Fprintln(to)
	}
	for _, text := range append(r.Wedged, r.NotReady...) {
		fmt.Fprintln(to, "✗", text)
	}
	for _, s := range r.Streams {
		if s.Counters.Empty > 0 {
			fmt.Fprintf(to, "! stream %s: %s messages were listed before their content, and are empty in the log\n", s.Stream,
				text.Thousands(s.Counters.Empty))
		}
		if s.Counters.Suppressed > 0 {
			fmt.Fprintf(to, "! stream %s: items without an id that vary, or of which there are too many, were read %s times and not quarantined again\n", s.Stream, text.Thousands(s.Counters.Suppressed))
		}
		if s.EndOpen {
			fmt.Fprintf(to, "· stream %s: where its list ended at the first start is checked again for some minutes\n", s.Stream)
		}
		if s.Horizon {
			fmt.Fprintf(to, "! stream %s: all that was delivered is gone from the list; older messages are held, and `run --accept-history` delivers them\n", s.Stream)
		}
		if text := pipeline.AcceptingText(s.Accepting); text != "" {
			fmt.Fprintf(to, "! stream %s: %s\n", s.Stream, text)
		}
	}
	printShape(to, r.AccountReport)
	for _, account := range r.Accounts {
		printShape(to, account)
	}
	return nil
}

// printAccount prints what the streams of an account share.
func printAccount(to io.Writer, r pipeline.AccountReport, now time.Time) {
	fmt.Fprintf(to, "%d requests a minute", r.RequestsPerMinute)
	if a := r.Account; a != nil {
		fmt.Fprintf(to, ", %s of %s calls used this month (asked %s)", text.Thousands(a.CallsUsed),
			text.Thousands(a.CallsAllowed), text.Ago(a.Asked, now))
	}
	if r.Budget.Text != "" {
		fmt.Fprintf(to, "\nbudget %s", r.Budget.Text)
	}
	if r.SweepEvery > 0 {
		fmt.Fprintf(to, "\nlate messages are searched for every %s", text.Interval(r.SweepEvery))
	}
}

// printShape prints what an account's answers have otherwise than is known of them.
func printShape(to io.Writer, r pipeline.AccountReport) {
	if len(r.ShapeChanges) == 0 {
		return
	}
	answers := "2Chat's answers"
	if r.Name != "" {
		answers += " to account " + r.Name
	}
	fmt.Fprintf(to, "! %s have a different shape than is known:\n", answers)
	for _, change := range r.ShapeChanges {
		fmt.Fprintf(to, "    %s, since %s UTC\n", change, change.Since.UTC().Format(time.DateTime))
	}
	fmt.Fprintln(to, "  →", pipeline.ShapeHint)
}
