package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/sinks"
	"github.com/twochat-connector/twochat-connector/sinks/embedded"
)

const aboutExplain = `
Explains in plain words what this configuration promises and to whom, what can
still be lost or doubled and which setting changes that, who gets to see what,
how often the API is called and what that costs, and how to read only the
events. It makes no request.
`

// explanation is what a configuration means.
type explanation struct {
	Reads    []string          `json:"reads"`
	Promise  connector.Promise `json:"promise"`
	Residue  []caveat          `json:"residue"`
	Privacy  []string          `json:"privacy"`
	Interval string            `json:"interval"`
	Calls    string            `json:"calls"`
	// Cost is that of the one account, where twochat is configured; else Costs has them.
	Cost      *pipeline.Cost  `json:"cost,omitempty"`
	Costs     []pipeline.Cost `json:"costs,omitempty"`
	EventOnly []string        `json:"events_only"`

	supposed string // what is said of a rate that nobody named
}

// caveat is something that can be lost, doubled or out of order, and the setting that changes it.
type caveat struct {
	What    string `json:"what"`
	Setting string `json:"setting,omitempty"`
}

// runExplain is the command explain.
func runExplain(_ context.Context, p *cli.Program, args []string) error {
	flags := cli.NewFlags(p)
	settings := cli.ConfigFlags(flags)
	cli.StartFlag(flags, settings)
	asJSON := flags.Bool("json", false, "print it as JSON")
	if err := p.Parse(flags, args, aboutExplain); err != nil {
		return err
	}
	c, named, err := p.LoadKeyless(settings)
	if err == nil && !named {
		settings.Numbers = nil // without numbers there is nothing to explain, and Load says what to do
		c, err = p.Load(settings)
	}
	if err != nil {
		return err
	}
	promise, err := promiseOf(c)
	if err != nil {
		return err
	}
	costs := pipeline.FreshCosts(c, time.Now())
	e := explanation{
		Reads: readsOf(c), Promise: promise, Residue: residueOfAll(c, promise, costs), Privacy: privacyText(c),
		Interval: perAccount(costs, pipeline.Cost.Interval), Calls: perAccount(costs, pipeline.Cost.Calls),
		EventOnly: eventsOnly(c),
	}
	if len(c.Accounts) > 0 {
		e.Costs = costs
	} else {
		e.Cost = &costs[0]
	}
	e.reckoned(c)
	for i := range e.Residue {
		e.Residue[i].Setting = p.Hint(e.Residue[i].Setting)
	}
	if *asJSON {
		return cli.PrintJSON(p.Out, e)
	}
	return p.Print(e.text(costs))
}

// perAccount is a text about each account, with its name where there are several.
func perAccount(costs []pipeline.Cost, text func(pipeline.Cost) string) string {
	texts := make([]string, len(costs))
	for i, k := range costs {
		if k.Account != "" {
			texts[i] = "account " + k.Account + ": "
		}
		texts[i] += text(k)
	}
	return strings.Join(texts, "; ")
}

// reckoned says where a rate is only supposed.
func (e *explanation) reckoned(c *config.Config) {
	for _, one := range c.ByAccount() {
		if one.Poll.RequestsPerMinute == 0 {
			e.supposed = fmt.Sprintf(" (calculated with %d requests a minute; `run` and `check` read the account's own limit)", quota.DefaultRequestsPerMinute)
			e.Interval += e.supposed
			return
		}
	}
}

// promiseOf is the delivery guarantee of the configured sink. It opens nothing that would leave a trace.
func promiseOf(c *config.Config) (connector.Promise, error) {
	if c.Sink.Embedded != nil {
		return new(embedded.Sink).Promise(), nil
	}
	sink, err := sinks.Open(c.Sink, c.Encoding(), cli.QuietLogger())
	if err != nil {
		return connector.Promise{}, err
	}
	defer sink.Close()
	return sink.Promise(), nil
}

func readsOf(c *config.Config) []string {
	starts := map[config.StartMode]string{
		config.StartNow:       "what is listed at its first start is not delivered (start: now)",
		config.StartBeginning: "all that is listed is delivered, however old (start: beginning)",
		config.StartAge:       "the first start goes back " + config.FormatDuration(c.Start.Age) + " (start)",
		config.StartTime:      "the first start goes back to " + c.Start.String() + " (start)",
	}
	var lines []string
	streams := c.Streams()
	for i, s := range streams {
		if i == 20 {
			lines = append(lines, fmt.Sprintf("and %d more", len(streams)-i))
			break
		}
		line := c.OfStream(s.Name).Named() + "stream " + s.Name
		if s.Remote != "" {
			line += ", only the messages with one remote number"
		}
		lines = append(lines, line)
	}
	return append(lines, "For each stream, "+starts[c.Start.Mode]+
		"; every later start continues from the checkpoint in the sink.")
}

// residueOfAll is the residue of all accounts. What is not the same in each is said of each by its name.
func residueOfAll(c *config.Config, promise connector.Promise, costs []pipeline.Cost) []caveat {
	accounts := c.ByAccount()
	each := make([][]caveat, len(accounts))
	for i, one := range accounts {
		each[i] = residueOf(one, promise, costs[i])
	}
	var all []caveat
	for i, common := range each[0] {
		if !slices.ContainsFunc(each, func(of []caveat) bool { return of[i] != common }) {
			all = append(all, common)
			continue
		}
		for j, of := range each {
			all = append(all, caveat{accounts[j].Named() + of[i].What, of[i].Setting})
		}
	}
	return all
}

// residueOf is what reading itself can lose, duplicate or reorder (connector/README.md, What reading can still hide),
// whatever the sink.
func residueOf(c *config.Config, promise connector.Promise, k pipeline.Cost) []caveat {
	list := []caveat{
		{
			"What the list does not show when it is read never arrives: a message that is deleted before the next poll, and edits, deletions, reactions and receipts, which the list does not have at all. A message that is edited later stays as it was first read, and one that is listed before its content stays empty: empty ones are counted, and shown by `status`.",
			"poll.max_interval: the shorter, the less is deleted unseen",
		},
	}
	if c.Poll.Sweep.Every > 0 {
		list = append(list, caveat{
			fmt.Sprintf("A message that the API lists late, below newer ones, is found by a sweep, which goes %s back, and delivered with late=true. Sweeps run %s. A message that sinks deeper before the next sweep is not found.", config.FormatDuration(c.Poll.Sweep.Depth), k.Sweeps()),
			"poll.sweep.every and poll.sweep.depth",
		})
	} else {
		list = append(list, caveat{"A message that the API lists late, below the newest pages, is never found: there are no sweeps.", "poll.sweep.every: 1h"})
	}
	list = append(list,
		caveat{
			"In a backlog deeper than 5,000 messages, a deletion above the place where the walk began that moves a message across the same page seam in two walks running hides that message until a sweep reaches it.",
			"poll.sweep.depth: longer than the connector was away",
		},
		caveat{
			"Pages that are read in parallel count as one slice of the list if the first and the last of them moved down by as many messages as were read twice between them. Two deletions at two exact moments meanwhile, or one deletion together with a message that comes in late among them, could hide a message until a sweep reaches it.",
			"poll.concurrency: 1 reads fewer pages at a time; a shorter poll.sweep.every finds it sooner",
		},
		caveat{"A list that is replaced in the middle of a walk may come out of order for that one walk. It is neither lost nor doubled.", ""},
		caveat{
			"If a list loses all that was delivered from it (a chat was cleared, a number was connected anew), newer messages are delivered; older ones are held, counted and shown by `status`.",
			"`twochat-connector run --accept-history` delivers what is held: once, with late=true, beside the polls and at little more than a call a page, and continues after a restart. After that the flag has no effect, even if it stays among the arguments: to deliver what is held later, run once without it and then with it again",
		},
		caveat{
			fmt.Sprintf("A page larger than %s, decompressed, is not read: its stream stops there, and `status` names it. A hundred of the longest texts that WhatsApp allows are 6.5 MB. Memory grows with the pages: up to three times the limit for each request in flight.", text.Size(c.Poll.MaxPageBytes)),
			"poll.max_page_bytes, and poll.concurrency for the requests in flight",
		},
		caveat{"A message that cannot become an event (no id, broken UTF-8, above 1 MiB, nested deeper than 100 levels) goes to the quarantine with its reason, and gets no sequence. A message without an id whose bytes vary from answer to answer goes there once. Of those that cannot be recognised by their place either, at most 24 an hour go there; the rest are counted.", ""},
		caveat{
			fmt.Sprintf("Up to %s of a stream's newest events are remembered one by one; older messages are recognised by their place below these. Events that somebody erases from the sink are not delivered again.", text.Thousands(c.Seen.Capacity)),
			"seen.capacity",
		},
	)
	if promise.Once {
		list = append(list, caveat{"Two copies that run by mistake cost calls, but cause no duplicates: the sink lets only one of them write.", ""})
	} else {
		list = append(list, caveat{"Two copies that run at the same time deliver everything twice: this sink cannot refuse one of them.", "sink: jetstream, kafka, embedded or file can"})
	}
	return list
}

// eventsOnly says how to read the events without checkpoints and quarantine.
func eventsOnly(c *config.Config) []string {
	general := fmt.Sprintf("Events are the CloudEvents whose type begins with %s.message. ; checkpoints (%[1]s%[2]s) and rejects (%[1]s%[3]s) have their own types.", c.Events.TypePrefix, connector.CheckpointType, connector.RejectType)
	stream := func(name, subject string) []string {
		return []string{
			fmt.Sprintf("Consume the subject %s.> of the JetStream stream %s: `nats consumer add %[2]s --filter '%[1]s.>'`",
				subject, name),
			fmt.Sprintf("Checkpoints and quarantine of the same stream are at %s-checkpoint.> and %[1]s-quarantine.>", subject),
			general,
		}
	}
	switch s := c.Sink; {
	case s.JetStream != nil:
		return stream(s.JetStream.Stream, s.JetStream.Subject)
	case s.Embedded != nil:
		defaults := sinks.Defaults().JetStream
		return append(stream(defaults.Stream, defaults.Subject), "The server is at nats://"+s.Embedded.Listen+
			" while `run` runs.")
	case s.Kafka != nil:
		return []string{
			"Consume the topic " + s.Kafka.Topic + " with isolation.level=read_committed; it holds events only.",
			"Checkpoints and quarantine are in " + s.Kafka.Topic + ".checkpoints and " + s.Kafka.Topic + ".quarantine.", general,
		}
	case s.NATS != nil:
		return []string{
			"Subscribe to " + s.NATS.Subject + ".>; the quarantine is at " + s.NATS.Subject + "-quarantine.>",
			general,
		}
	case s.File != nil:
		return []string{"Every line of " + s.File.Path + " is an event; checkpoints and quarantine are in files beside it."}
	}
	return []string{"Every line of the standard output is an event."}
}

// text is the explanation for a person.
func (e explanation) text(costs []pipeline.Cost) string {
	to := &strings.Builder{}
	section := func(title string, lines []string) {
		fmt.Fprintf(to, "\n%s\n", title)
		for _, line := range lines {
			fmt.Fprintln(to, "- "+line)
		}
	}
	word := "ONCE"
	if !e.Promise.Once {
		word = "BEST EFFORT"
	}
	fmt.Fprintf(to, "What is promised: %s\n%s\n", word, e.Promise.Text)
	section("What is read", e.Reads)
	section("What the sink can still lose or double", e.Promise.Exceptions)
	residue := make([]string, len(e.Residue))
	for i, c := range e.Residue {
		residue[i] = c.What
		if c.Setting != "" {
			residue[i] += " [" + c.Setting + "]"
		}
	}
	section("What the reading can still lose or disorder", residue)
	section("Who gets to see what", e.Privacy)
	var often []string
	for _, k := range costs {
		calls := k.Calls()
		often = append(often, k.Each()+" is read "+k.Interval()+e.supposed+".", strings.ToUpper(calls[:1])+calls[1:]+".",
			"Late messages are searched for "+k.Sweeps()+".", k.Budget.Text)
	}
	section("How often, and at what cost", often)
	section("How to read only the events", e.EventOnly)
	return to.String()
}
