package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
	"github.com/twochat-connector/twochat-connector/sinks/file"
)

const aboutCheck = `
Looks whether this configuration can run: the configuration itself, the API key, page 0 of every stream, the sink, its
settings and rights. One line each, with what to do where something is wrong. It changes nothing, and costs one call for
the key and one for each stream.

Ends with 3 where something is refused; warnings only weaken the promise.
`

// check is a check under way.
type check struct {
	p        *program
	json     bool
	config   *config.Config
	client   *twochat.Client
	budget   *connector.Budget
	findings []connector.Finding
	refused  int
}

// runCheck is the command check.
func runCheck(ctx context.Context, p *program, args []string) error {
	flags := newFlags(p)
	settings := configFlags(flags)
	startFlag(flags, settings)
	asJSON := flags.Bool("json", false, "print the findings as JSON")
	learn := flags.Bool("learn", false, "ask the live API, with about five further calls on the first stream, what this program assumes of it, and print a redacted shape for a bug report")
	probe := flags.Bool("probe", false, "try on the brokers themselves what the promise rests on (kafka)")
	if err := p.parse(flags, args, aboutCheck); err != nil {
		return err
	}
	c, err := p.load(settings)
	if err != nil {
		return err
	}
	privacy, err := privacyOf(c)
	if err != nil {
		return err
	}
	client, err := newClient(c, privacy)
	if err != nil {
		return err
	}
	defer client.Close()
	k := &check{p: p, json: *asJSON, config: c, client: client, budget: idleBudget(c)}
	k.configuration(settings.Config)
	rate, ok := k.key(ctx)
	if ok {
		k.streams(ctx, rate)
	}
	if *learn && ok {
		k.learn(ctx)
	}
	k.sink(ctx, privacy.Name(), *probe)
	if ctx.Err() != nil {
		return errors.New("interrupted before everything was checked")
	}
	return k.finish(costOf(c, rate).within(c, k.budget, time.Now()))
}

// add notes a finding and, for a person, prints it.
func (k *check) add(findings ...connector.Finding) {
	for _, finding := range findings {
		k.findings = append(k.findings, finding)
		if finding.Level == connector.FindingRefused {
			k.refused++
		}
		if !k.json {
			printFinding(k.p.out, finding)
		}
	}
}

func (k *check) ok(thing, format string, args ...any) {
	k.add(connector.Finding{Level: connector.FindingOK, Thing: thing, Text: fmt.Sprintf(format, args...)})
}

// printFinding prints one line, and the mend below it.
func printFinding(to io.Writer, finding connector.Finding) {
	words := map[connector.FindingLevel]string{
		connector.FindingOK: "ok     ", connector.FindingWarning: "warning", connector.FindingRefused: "refused",
	}
	word := words[finding.Level]
	if isTerminal(to) && os.Getenv("NO_COLOR") == "" {
		word = map[connector.FindingLevel]string{
			connector.FindingOK: "\x1b[32m✓\x1b[0m", connector.FindingWarning: "\x1b[33m!\x1b[0m", connector.FindingRefused: "\x1b[31m✗\x1b[0m",
		}[finding.Level]
	}
	fmt.Fprintf(to, "%s  %s: %s\n", word, finding.Thing, finding.Text)
	if finding.Mend != "" && finding.Level != connector.FindingOK {
		fmt.Fprintf(to, "         → %s\n", finding.Mend)
	}
}

func (k *check) configuration(path string) {
	where := "from flags and environment"
	if path != "" {
		where = path
	}
	k.ok("configuration", "%s; streams: %d, sink: %s, start: %s", where, len(k.config.TwoChat.Streams), k.config.Sink.Chosen()[0], k.config.Start)
	k.add(k.config.Findings()...)
}

// key asks the account, and returns the rate in force. ok is false where no further call makes sense.
func (k *check) key(ctx context.Context) (rate int, ok bool) {
	rate = ratesWithoutWord
	if k.config.Poll.RequestsPerMinute > 0 {
		rate = k.config.Poll.RequestsPerMinute
	}
	info, err := k.client.Info(ctx)
	if err != nil {
		k.add(faultFinding("API key", err))
		var fault *connector.PageError
		// A proxy may let the lists through and nothing else.
		return rate, errors.As(err, &fault) && (fault.Fault == connector.FaultRequest || fault.Fault == connector.FaultInvalid)
	}
	k.budget.Read(connector.AccountUsage{At: time.Now(), Used: max(1, info.Usage), Max: info.MaxUsage})
	limit := "the account names no rate limit"
	if info.RequestsPerMinute > 0 {
		limit = fmt.Sprintf("%d requests a minute", info.RequestsPerMinute)
		if k.config.Poll.RequestsPerMinute == 0 {
			rate = info.RequestsPerMinute
		}
	}
	usage := ""
	if info.MaxUsage > 0 {
		usage = fmt.Sprintf("; %s of %s calls used this month", groups(info.Usage), groups(info.MaxUsage))
	}
	k.ok("API key", "accepted; %s%s", limit, usage)
	if info.Blocked {
		k.add(connector.Finding{Level: connector.FindingRefused, Thing: "account", Text: "2Chat says that it is blocked", Mend: "ask 2Chat's support, or look at the account's billing"})
	}
	if info.RequestsPerMinute > 0 && k.config.Poll.RequestsPerMinute > info.RequestsPerMinute {
		k.add(connector.Finding{
			Level: connector.FindingWarning, Thing: "poll.requests_per_minute", Text: fmt.Sprintf("it is above the account's %d", info.RequestsPerMinute),
			Mend: "set it to 0, which takes the account's",
		})
	}
	return rate, true
}

// attempts is how often a page is asked for that fails in passing.
const attempts = 3

// streams reads page 0 of each stream, at the rate in force.
func (k *check) streams(ctx context.Context, rate int) {
	limiter := connector.NewLimiter(float64(rate))
	for _, stream := range k.config.Streams() {
		thing := "stream " + stream.Name
		for attempt := 1; ; attempt++ {
			if limiter.Wait(ctx, connector.Live) != nil {
				return
			}
			page, err := k.client.Page(ctx, stream, 0, "")
			var fault *connector.PageError
			if errors.As(err, &fault) && (fault.Fault == connector.FaultTransient || fault.Fault == connector.FaultInvalid) && attempt < attempts {
				continue
			}
			if err != nil {
				k.add(faultFinding(thing, err))
				break
			}
			k.page(thing, page)
			break
		}
	}
}

func (k *check) page(thing string, page connector.Page) {
	if len(page.Messages) == 0 {
		k.add(connector.Finding{
			Level: connector.FindingWarning, Thing: thing, Text: "it can be read, and lists no message", Mend: "see in 2Chat whether it should; a message to the number shows",
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
	text := "%d messages on page 0, none with a time"
	args := []any{len(page.Messages)}
	if !newest.IsZero() {
		text, args = "%d messages on page 0, the newest %s", append(args, ago(newest, time.Now()))
	}
	k.ok(thing, text, args...)
	if bad > 0 {
		k.add(connector.Finding{
			Level: connector.FindingWarning, Thing: thing, Text: fmt.Sprintf("%d of them cannot become events and would go to the quarantine", bad),
			Mend: "`twochat-connector check --learn` prints the shape of the answer, to be reported",
		})
	}
}

// faultFinding says what a failed call means and what to do.
func faultFinding(thing string, err error) connector.Finding {
	mends := map[connector.PageFault]string{
		connector.FaultKey:         "put the account's API key into the file of twochat.api_key_file, or into " + config.APIKeyVariable,
		connector.FaultNumber:      "connect the number in 2Chat, or correct twochat.streams",
		connector.FaultCredits:     "top the account up, or wait until its month begins anew",
		connector.FaultRateLimited: "wait a minute and try again; if other programs use the account as well, lower poll.requests_per_minute",
		connector.FaultRequest:     "look at twochat.base_url and at the number",
		connector.FaultInvalid:     "see whether twochat.base_url is 2Chat's own; `twochat-connector check --learn` shows the shape of an answer",
		connector.FaultTransient:   "see whether this machine reaches twochat.base_url (network, proxy, DNS), and try again",
	}
	finding := connector.Finding{Level: connector.FindingRefused, Thing: thing, Text: err.Error(), Mend: "try again"}
	var fault *connector.PageError
	if errors.As(err, &fault) {
		finding.Text, finding.Mend = fault.Err.Error(), cmp.Or(fault.Hint, mends[fault.Fault])
		if fault.Status != 0 {
			finding.Text += fmt.Sprintf(" (HTTP %d)", fault.Status)
		}
	}
	return finding
}

func (k *check) learn(ctx context.Context) {
	stream := k.config.Streams()[0]
	findings, err := k.client.Learn(ctx, stream)
	if err != nil {
		k.add(faultFinding("learn", err))
		return
	}
	for i := range findings {
		findings[i].Thing = "API, " + findings[i].Thing
	}
	k.add(findings...)
}

// sink asks the sink what bears on the promise.
func (k *check) sink(ctx context.Context, privacy string, probe bool) {
	c := k.config.Sink
	thing := "sink " + c.Chosen()[0]
	if c.Embedded != nil {
		beside, running := besideEmbedded(c)
		if !running {
			k.ok(thing, "its server begins with `run`, at nats://%s", c.Embedded.Listen)
			for _, finding := range file.CheckState(c.Embedded.Dir) {
				finding.Thing = "sink.embedded.dir"
				k.add(finding)
			}
			return
		}
		k.ok(thing, "a server answers at nats://%s", c.Embedded.Listen)
		c = beside
	}
	sink, err := sinks.Open(c, k.config.Encoding(), quietLogger())
	if err != nil {
		k.add(errorFinding(thing, err))
		return
	}
	defer sink.Close()
	findings, err := sink.Check(ctx, claimsOf(k.config, privacy, "check", words{}))
	k.add(willBeMade(c, findings)...)
	if err != nil && ctx.Err() == nil {
		k.add(errorFinding(thing, err))
		return
	}
	if probe {
		k.probe(ctx, thing, sink)
	}
}

func (k *check) probe(ctx context.Context, thing string, sink sinks.Sink) {
	prober, ok := sink.(interface {
		Probe(ctx context.Context) ([]connector.Finding, error)
	})
	if !ok {
		k.ok(thing, "there is nothing to probe in it")
		return
	}
	findings, err := prober.Probe(ctx)
	k.add(findings...)
	if err != nil && ctx.Err() == nil {
		k.add(errorFinding(thing, err))
	}
}

// willBeMade takes it easy with what is missing where `create: true` makes it.
func willBeMade(c sinks.Config, findings []connector.Finding) []connector.Finding {
	if !wantsCreate(c) {
		return findings
	}
	for i, f := range findings {
		if f.Missing {
			findings[i] = connector.Finding{Level: connector.FindingOK, Thing: f.Thing, Text: f.Text + "; `run` makes it"}
		}
	}
	return findings
}

// besideEmbedded is the sink with which another process reaches a running embedded server.
func besideEmbedded(c sinks.Config) (beside sinks.Config, running bool) {
	client := *sinks.Defaults().JetStream
	client.URL = "nats://" + c.Embedded.Listen
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(context.Background(), "tcp", c.Embedded.Listen)
	if err != nil {
		return sinks.Config{JetStream: &client}, false
	}
	return sinks.Config{JetStream: &client}, conn.Close() == nil
}

func errorFinding(thing string, err error) connector.Finding {
	var refusal *connector.Refusal
	if errors.As(err, &refusal) {
		return connector.Finding{Level: connector.FindingRefused, Thing: refusal.Thing, Text: refusal.Cause, Mend: refusal.Mend}
	}
	return connector.Finding{Level: connector.FindingRefused, Thing: thing, Text: "it cannot be asked: " + err.Error(), Mend: "see whether it runs, and whether this machine reaches it under the configured address"}
}

func quietLogger() *slog.Logger { return slog.New(slog.DiscardHandler) }

// finish prints what is in force, and the verdict.
func (k *check) finish(in cost) error {
	if k.json {
		err := printJSON(k.p.out, struct {
			Fine     bool                `json:"fine"`
			Findings []connector.Finding `json:"findings"`
			Cost     cost                `json:"cost"`
		}{k.refused == 0, k.findings, in})
		if err != nil {
			return err
		}
	} else {
		fmt.Fprintf(k.p.out, "\nEach stream is read %s:\n%s.\n%s\n", in.interval(), in.calls(), in.Budget.Text)
		switch k.refused {
		case 0:
			fmt.Fprintln(k.p.out, "\nReady to run. `twochat-connector explain` says what is promised.")
		case 1:
			fmt.Fprintln(k.p.out, "\nOne thing is refused: see above what to do.")
		default:
			fmt.Fprintf(k.p.out, "\n%d things are refused: see above what to do.\n", k.refused)
		}
	}
	if k.refused > 0 {
		return errFoundWrong
	}
	return nil
}
