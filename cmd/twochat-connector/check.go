package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

const aboutCheck = `
Checks whether run can start with this configuration, as run itself does: the
configuration, the API key, page 0 of every stream, the address of the admin
server, the sink, its settings, rights and checkpoints. It prints one line for
each, with what to do if something is wrong. It changes nothing, and costs one
call for the key of each account and one for each stream. With --offline it makes
no request and checks only the configuration.

The exit code is 0 if run can start, and 3 if something is refused; warnings
only weaken the promise.
`

// check is a check in progress.
type check struct {
	p        *cli.Program
	json     bool
	config   *config.Config
	words    pipeline.Overrides
	findings []connector.Finding
	refused  int
}

// runCheck is the command check.
func runCheck(ctx context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	cli.StartFlag(flags, settings)
	w := pipeline.OverrideFlags(flags, settings)
	asJSON := flags.Bool("json", false, "print the findings as JSON")
	offline := flags.Bool("offline", false, "make no request and read no key: check only the configuration")
	learn := flags.Bool("learn", false,
		"test what this program assumes about the live API, with about five more calls on the first stream, and print a redacted shape for a bug report")
	probe := flags.Bool("probe", false, "test on the brokers what the promise depends on (kafka)")
	if err := p.Parse(flags, args, aboutCheck); err != nil {
		return err
	}
	load := p.Load
	if *offline {
		load = p.WithoutKey().Load
	}
	c, err := load(settings)
	if err == nil {
		err = w.Apply(c)
	}
	if err != nil {
		return wrongConfiguration(p, err, *asJSON)
	}
	k := &check{p: p, json: *asJSON, config: c, words: *w}
	k.configuration(settings.Config, *offline)
	k.traces()
	if *offline {
		return k.finish(pipeline.FreshCosts(c, time.Now()), true)
	}
	logger := cli.QuietLogger()
	// The embedded server is checked separately, as it may run in another process.
	set, wrong := openResources(c, func() (sinks.Sink, error) {
		if c.Sink.Embedded != nil {
			return nil, nil
		}
		return sinks.Open(c.Sink, c.Encoding(), logger)
	})
	k.openingErrors(ctx, wrong)
	costs := k.accounts(ctx, set.sources, *learn)
	claims := pipeline.Claims(set.sources, "check", k.words)
	if c.Sink.Embedded != nil {
		k.embedded(ctx, claims)
	} else if set.sink != nil {
		k.sink(ctx, set.sink, claims, *probe)
	}
	if err := set.close(); err != nil {
		k.add(pipeline.ErrorFinding("sink "+c.Sink.Chosen()[0], err))
	}
	if ctx.Err() != nil {
		return errors.New("interrupted before everything was checked")
	}
	return k.finish(costs, false)
}

// verdict is the result of a check, as JSON.
type verdict struct {
	// Ready means that run can start. Fine is the former name of Ready.
	Ready    bool                `json:"ready"`
	Fine     bool                `json:"fine"`
	Findings []connector.Finding `json:"findings"`
	// Cost is that of the only account if twochat is configured. Otherwise Costs has one for each account.
	Cost  *pipeline.Cost  `json:"cost,omitempty"`
	Costs []pipeline.Cost `json:"costs,omitempty"`
	// Error is the failure that every command reports in JSON. Here it is set if the configuration is wrong.
	Error *cli.Failure `json:"error,omitempty"`
}

// wrongConfiguration prints the problems of the configuration as findings in JSON.
func wrongConfiguration(p *cli.Program, err error, asJSON bool) error {
	if !asJSON {
		return err
	}
	v := verdict{Error: p.Failure(err)}
	for _, g := range cli.Problems(err) {
		v.Findings = append(v.Findings, connector.Finding{
			Level: connector.FindingRefused, Thing: "configuration",
			Text: g.Text, Hint: g.Hint,
		})
	}
	if printing := cli.PrintJSON(p.Out, v); printing != nil {
		return printing
	}
	return cli.Logged(err)
}

// add records a finding and, for a person, prints it.
func (k *check) add(findings ...connector.Finding) {
	for _, finding := range findings {
		finding = k.hinted(finding)
		k.findings = append(k.findings, finding)
		if finding.Level == connector.FindingRefused {
			k.refused++
		}
		if !k.json {
			printFinding(k.p.Out, finding)
		}
	}
}

// hinted is a finding with its hint for the configuration in force.
func (k *check) hinted(finding connector.Finding) connector.Finding {
	finding.Hint = k.p.Hint(finding.Hint)
	return finding
}

// addOnce is add, unless the same thing was refused before, so that a fault is reported once.
func (k *check) addOnce(finding connector.Finding) {
	if !k.refuses(finding.Thing) {
		k.add(finding)
	}
}

func (k *check) ok(thing, format string, args ...any) {
	k.add(connector.Finding{Level: connector.FindingOK, Thing: thing, Text: fmt.Sprintf(format, args...)})
}

// printFinding prints a finding, and its hint on the next line.
func printFinding(to io.Writer, finding connector.Finding) {
	words := map[connector.FindingLevel]string{
		connector.FindingOK: "ok     ", connector.FindingWarning: "warning", connector.FindingRefused: "refused",
	}
	word, arrow := words[finding.Level], "         → "
	if text.IsTerminal(to) && os.Getenv("NO_COLOR") == "" {
		word = map[connector.FindingLevel]string{
			connector.FindingOK: "\x1b[32m✓\x1b[0m", connector.FindingWarning: "\x1b[33m!\x1b[0m",
			connector.FindingRefused: "\x1b[31m✗\x1b[0m",
		}[finding.Level]
		arrow = "   → "
	}
	line, hint := finding.Thing+": "+finding.Text, ""
	if finding.Level != connector.FindingOK {
		hint = finding.Hint
	}
	columns := text.Columns(to)
	fmt.Fprintln(to, text.Fold(line, word+"  ", columns))
	if hint != "" {
		fmt.Fprintln(to, text.Fold(hint, arrow, columns))
	}
}

func (k *check) configuration(path string, offline bool) {
	where := "from flags and the environment"
	if path != "" {
		where = path
	}
	if accounts := len(k.config.Accounts); accounts > 0 {
		where += fmt.Sprintf("; accounts: %d,", accounts)
	} else {
		where += ";"
	}
	k.ok("configuration", "%s streams: %d, sink: %s, start: %s", where, len(k.config.Streams()),
		k.config.Sink.Chosen()[0], k.config.Start)
	for _, finding := range k.config.Findings() {
		if offline && strings.HasSuffix(finding.Thing, "_file") && !(finding.Thing == "admin.token_file" && k.wrongToken()) {
			continue // the files are elsewhere
		}
		k.add(finding)
	}
}

// wrongToken reports whether the file of the admin server's token is here and has a content that run refuses.
func (k *check) wrongToken() bool {
	if !k.config.Admin.AsksForToken() {
		return false
	}
	_, err := k.config.Admin.Token()
	var errno syscall.Errno
	return err != nil && !errors.As(err, &errno)
}

// refuses reports whether a finding about this thing was a refusal.
func (k *check) refuses(thing string) bool {
	return slices.ContainsFunc(k.findings, func(f connector.Finding) bool {
		return f.Thing == thing && f.Level == connector.FindingRefused
	})
}

// openingErrors adds a finding for each error of openResources.
func (k *check) openingErrors(ctx context.Context, wrong []error) {
	for _, err := range wrong {
		for _, g := range cli.Problems(err) {
			finding := connector.Finding{Level: connector.FindingRefused, Thing: "start", Text: g.Text, Hint: g.Hint}
			if thing, said, ok := strings.Cut(g.Text, ": "); ok {
				finding.Thing, finding.Text = thing, said
			}
			if finding.Thing == admin.Thing && k.beside(ctx) {
				finding.Hint = "a connector is already running there: `twochat-connector status` shows its state; to start another one, stop it or set another address with admin.listen"
			}
			k.addOnce(finding)
		}
	}
}

// beside reports whether the admin server's address is in use by a running connector.
func (k *check) beside(ctx context.Context) bool {
	var r pipeline.Report
	body, err := admin.Local(k.config).Ask(ctx)
	return err == nil && json.Unmarshal(body, &r) == nil && r.Version != ""
}

func (k *check) page(thing string, page connector.Page) {
	if len(page.Messages) == 0 {
		k.add(connector.Finding{
			Level: connector.FindingWarning, Thing: thing, Text: "it can be read, and lists no messages",
			Hint: "see in 2Chat whether it should list any; send a message to the number to test it",
		})
		return
	}
	bad := 0
	var newest time.Time
	for _, m := range page.Messages {
		if m.Fault != "" {
			bad++
		}
		if m.Time.After(newest) {
			newest = m.Time
		}
	}
	said := "%d messages on page 0, none with a time"
	args := []any{len(page.Messages)}
	if !newest.IsZero() {
		said, args = "%d messages on page 0, the newest %s", append(args, text.Ago(newest, time.Now()))
	}
	k.ok(thing, said, args...)
	if bad > 0 {
		cannot := fmt.Sprintf("%d of them cannot become events and would go to the quarantine", bad)
		if bad == 1 {
			cannot = "1 of them cannot become an event and would go to the quarantine"
		}
		k.add(connector.Finding{
			Level: connector.FindingWarning, Thing: thing, Text: cannot,
			Hint: "`twochat-connector check --learn` prints the shape of the answer, for a bug report",
		})
	}
}

// finish prints the intervals in force in each account, their cost and the verdict.
func (k *check) finish(costs []pipeline.Cost, offline bool) error {
	if k.json {
		v := verdict{Ready: k.refused == 0, Fine: k.refused == 0, Findings: k.findings}
		if len(k.config.Accounts) > 0 {
			v.Costs = costs
		} else if len(costs) > 0 {
			v.Cost = &costs[0]
		}
		if err := cli.PrintJSON(k.p.Out, v); err != nil {
			return err
		}
	} else {
		var out strings.Builder
		for _, in := range costs {
			fmt.Fprintf(&out, "\n%s is read %s:\n%s.\nLate messages are searched for %s.\n%s\n", in.Each(), in.Interval(),
				in.Calls(), in.Sweeps(), in.Budget.Text)
		}
		switch {
		case k.refused == 1:
			fmt.Fprintln(&out, "\nOne thing is refused; what to do is shown above.")
		case k.refused > 1:
			fmt.Fprintf(&out, "\n%d things are refused; what to do is shown above.\n", k.refused)
		case offline:
			fmt.Fprintln(&out, "\nThe configuration is right. `twochat-connector check` without --offline tests whether it can run.")
		default:
			fmt.Fprintln(&out, "\nReady to run. `twochat-connector explain` prints what is promised.")
		}
		if err := k.p.Print(out.String()); err != nil {
			return err
		}
	}
	if k.refused > 0 {
		return cli.ErrFoundWrong
	}
	return nil
}
