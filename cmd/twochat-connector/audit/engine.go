package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/backfill"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Options are the options of the command line.
type Options struct {
	Streams []connector.Stream
	// History audits the history of the one stream, as backfill delivers it, instead of the stream.
	History bool
	// Start is how far back the list is read.
	Start connector.Start
	// Repair restores what is missing. TakeOver does so although a running instance answers.
	Repair, TakeOver bool
	// DryRun estimates the cost, and reads no list.
	DryRun bool
	JSON   bool
	// Report is the path, without extension, of the report as JSON and as a web page; "" for none.
	Report string
}

// Engine is one run of the command audit.
type Engine struct {
	program *cli.Program
	config  *config.Config
	options Options
	logger  *slog.Logger

	sink     sinks.Sink
	pair     sinkPair   // of a history
	accounts []*account // whose streams are audited
	unread   unread     // those that are not
	files    *reportFiles
}

// account is one whose streams are audited, with what is left over of its limit and budget.
type account struct {
	pipeline.Source
	spare *backfill.Spare
	most  int // calls that reading its lists takes at most
}

// New makes a run.
func New(p *cli.Program, c *config.Config, options Options) *Engine {
	log := c.Log
	if cli.LogsText(log, p.Err) {
		log.Format = "text"
	}
	return &Engine{program: p, config: c, options: options, logger: cli.NewLogger(p, log, p.Err)}
}

// Run compares each stream's list with its log. The error is cli.ErrFoundWrong if anything is wrong in the end.
func (a *Engine) Run(ctx context.Context) error {
	return cli.Stopped(ctx, a.run(ctx), "stopped before the end, so there is no result",
		"run the same command again: it starts from the beginning, and a repair restores nothing twice")
}

func (a *Engine) run(ctx context.Context) error {
	sources, err := a.sources()
	defer closeClients(sources)
	if err != nil {
		return err
	}
	if a.files, err = newReportFiles(a.options.Report); err != nil {
		return err
	}
	if err := a.open(); err != nil {
		return err
	}
	defer func() {
		if err := errors.Join(a.sink.Close(), a.pair.closeLive()); err != nil {
			a.logger.Warn("close the sink", "cause", err)
		}
	}()
	report := newReport(a.config, a.options)
	defer a.closeSpares()
	instance := rand.Text()
	var audited []*audited
	for _, source := range sources {
		of, err := a.readLogs(ctx, source, instance)
		if err != nil {
			return err
		}
		audited = append(audited, of...)
	}
	if len(audited) == 0 {
		return a.unread.err()
	}
	report.unaudited(a.program, a.unread)
	if len(a.config.Streams()) > 1 {
		report.unclaimed(audited)
	} else {
		audited[0].log.claim()
	}
	if err := a.mayRepair(ctx, audited); err != nil {
		return err
	}
	a.estimate(report, audited)
	if a.options.DryRun {
		return a.print(report)
	}
	a.warnOfBudget(report)
	for _, one := range audited {
		stream, err := a.audit(ctx, one)
		if err != nil {
			return a.failed(err)
		}
		report.Streams = append(report.Streams, stream)
	}
	report.finish(a.calls())
	unwritten := a.files.write(report)
	if err := errors.Join(unwritten, a.print(report)); err != nil { // it is printed all the same, as it was paid for
		return err
	}
	switch {
	case report.Wrong:
		return cli.ErrFoundWrong
	case len(report.Unaudited) > 0:
		return cli.Logged(errUnaudited) // the report says so
	}
	return nil
}

// failed adds a hint to an error that has none.
func (a *Engine) failed(err error) error {
	for _, of := range a.accounts {
		if fatal := of.spare.Fatal(); fatal != nil {
			err = fatal
			break
		}
	}
	var with *cli.HintedError
	var refusal *connector.Refusal
	var unavailable *connector.Unavailable
	if errors.As(err, &with) || errors.As(err, &refusal) || errors.As(err, &unavailable) {
		return err
	}
	return cli.Hinted(err, "run the same command again: it starts from the beginning, and a repair restores nothing twice")
}

// sources are those of the accounts whose streams are to be audited: what is wrong with another one does not matter.
func (a *Engine) sources() ([]pipeline.Source, error) {
	var list []pipeline.Source
	for _, one := range a.config.ByAccount() {
		if !slices.ContainsFunc(one.Streams(), func(s connector.Stream) bool { return a.options.wants(s.Name) }) {
			continue
		}
		opened, wrong := pipeline.OpenSources(one)
		list = append(list, opened...)
		if len(wrong) > 0 {
			return list, wrong[0]
		}
	}
	return list, nil
}

func closeClients(sources []pipeline.Source) {
	for _, source := range sources {
		source.Client.Close()
	}
}

// readLogs reads the logs of an account's streams, and then begins to share what is left over of its limit and budget.
func (a *Engine) readLogs(ctx context.Context, source pipeline.Source, instance string) ([]*audited, error) {
	of := &account{Source: source}
	var list []*audited
	for _, claim := range pipeline.ClaimsOf(source.Config, source.Privacy, instance, pipeline.Overrides{}) {
		if !a.options.wants(claim.Stream.Name) {
			continue
		}
		var live *liveStream
		if a.options.History {
			var err error
			if live, err = readLive(ctx, a.pair.live, claim); err != nil {
				return nil, err
			}
			claim.Stream = connector.HistoryStream(claim.Stream)
		}
		one, err := a.readLog(ctx, claim, live)
		if err != nil {
			if len(a.options.Streams) > 1 && a.unread.add(claim.Stream.Name, err) {
				continue
			}
			return nil, err
		}
		one.account = of
		list = append(list, one)
	}
	if len(list) == 0 {
		return nil, nil
	}
	name, polled := list[0].polled()
	of.spare = backfill.NewSpare(ctx, source.Config, source.Client, source.Client, name, polled.MonthBegun, a.logger)
	of.spare.StartsAgain()
	a.accounts = append(a.accounts, of)
	return list, nil
}

func (a *Engine) closeSpares() {
	for _, of := range a.accounts {
		of.spare.Close()
	}
}

// calls is how many were made with all keys.
func (a *Engine) calls() int {
	calls := 0
	for _, of := range a.accounts {
		calls += of.spare.Calls()
	}
	return calls
}

// wants reports whether a stream is to be audited.
func (o *Options) wants(name string) bool {
	for _, s := range o.Streams {
		if s.Name == name {
			return true
		}
	}
	return false
}

// open opens the sink. If a running instance serves the embedded server, open connects to it as a client.
func (a *Engine) open() error {
	if chosen := a.config.Sink; chosen.NATS != nil || chosen.Stdout != nil {
		return cli.Usage("the sink %s keeps no events that could be compared with the list; audit needs jetstream, kafka, embedded or file", chosen.Chosen()[0])
	}
	var err error
	if a.sink, _, err = pipeline.OpenSink(a.config, a.logger); err != nil || !a.options.History {
		return err
	}
	a.pair, err = openHistory(a.config, connector.HistoryStream(a.options.Streams[0]).Name, a.sink)
	a.sink = a.pair.history
	return err
}

// audited is a stream being audited.
type audited struct {
	account    *account
	claim      connector.Claim
	checkpoint connector.Checkpoint // read before the log
	log        *Logged
	start      connector.Start
	floor      connector.Keys // where the reading of the list ends; if empty, start decides
	since      time.Time      // if zero, all of the log is compared with the list
	former     []FormerName
	live       *liveStream // of a history; else nil
}

// readLog reads a stream's checkpoint, and then all of its log.
func (a *Engine) readLog(ctx context.Context, claim connector.Claim, live *liveStream) (*audited, error) {
	one := &audited{claim: claim, live: live, log: NewLogged(), start: a.options.Start, since: a.options.Start.Since}
	name := claim.Stream.Name
	var found bool
	var err error
	if one.checkpoint, found, err = pipeline.Peek(ctx, a.sink, claim); err != nil {
		return nil, cli.Hinted(fmt.Errorf("read the checkpoint of stream %s: %w", name, err),
			"`twochat-connector check` shows what is wrong with the sink")
	}
	switch {
	case found && one.checkpoint.Started:
	case live != nil:
		return nil, cli.Hinted(fmt.Errorf("stream %s was not delivered yet, so there is nothing to audit", name),
			"`twochat-connector backfill --stream "+live.stream.Name+" --all` delivers it")
	default:
		return nil, notStarted(ctx, a.sink, claim)
	}
	if err := claim.Admit(one.checkpoint); err != nil {
		return nil, err
	}
	if anyResettled(&one.checkpoint, claim.Settings) {
		one.log.decoder.keepValues()
	}
	if err := one.readNames(ctx, a.sink); err != nil {
		return nil, err
	}
	if oldest := one.log.oldest(); len(one.checkpoint.Floor) > 0 &&
		(one.start.Beginning || !oldest.IsZero() && !one.since.After(oldest)) {
		// What the first start left out need not be read, nor paid for.
		one.floor, one.since = one.checkpoint.Floor, time.Time{}
	}
	return one, nil
}

// estimate estimates the cost of reading the lists from the size of the logs.
func (a *Engine) estimate(report *Report, all []*audited) {
	for _, one := range all {
		messages := one.log.Since(one.since)
		if one.since.IsZero() { // they are listed, wherever they were delivered
			messages += int(one.checkpoint.Elsewhere.Count(one.checkpoint.Base+1, one.checkpoint.Sequence))
		}
		pages := messages/pipeline.RulesOf(one.account.Config).Page + 1
		fewest, most := callsFor(pages)
		report.About.Messages += messages
		report.About.Calls += fewest
		report.About.CallsMost += most
		one.account.most += most
	}
}

// callsFor is how many calls it takes to read this many pages, as measured, with the reading of the account. fewest is
// for a list that stands still, whose ends are still read more than once; most is for a list that gets new messages
// before every call.
func callsFor(pages int) (fewest, most int) { return pages + 2, 7*pages + 60 }

// warnOfBudget warns if the month's budget may not be enough.
func (a *Engine) warnOfBudget(report *Report) {
	a.logger.Info("audit reads the list", "messages_about", report.About.Messages, "calls_at_least", report.About.Calls,
		"calls_at_most", report.About.CallsMost)
	for _, of := range a.accounts {
		if left, known := of.spare.Left(); known && int64(of.most) > left {
			logger := a.logger
			if name := of.Config.Account(); name != "" {
				logger = logger.With("account", name)
			}
			logger.Warn("the month's budget may not be enough for the audit, which does not use its reserve",
				"calls_at_most", of.most, "calls_to_spend", left, "hint",
				"raise poll.monthly_credits, or audit less with --since")
		}
	}
}

// audit compares one stream's list with its log, and repairs the log if requested.
func (a *Engine) audit(ctx context.Context, one *audited) (StreamReport, error) {
	began, calls := time.Now(), a.calls()
	list, err := a.readList(ctx, one)
	if err != nil {
		return StreamReport{}, err
	}
	if len(list.kept) > 0 { // some may have been delivered while the list was read
		if err := a.lookAgain(ctx, one, list); err != nil {
			return StreamReport{}, err
		}
	}
	if err := one.readErased(ctx, a.sink); err != nil {
		return StreamReport{}, err
	}
	findings, missing, aside := Compare(list, one.log, one.checkpoint, one.since)
	stream := newStreamReport(one, list, findings)
	if !a.options.Repair && len(missing) > 0 {
		if stream.BeforeRepair = one.beforeRepair(ctx, a.sink); stream.BeforeRepair != nil {
			stream.BeforeRepair.Hint = a.program.Hint(stream.BeforeRepair.Hint)
		}
	}
	if a.options.Repair && len(missing)+len(aside) > 0 {
		if stream.Repair, err = a.restore(ctx, one, list, missing, aside); err != nil {
			return StreamReport{}, err
		}
	}
	stream.Calls, stream.Seconds = a.calls()-calls, time.Since(began).Round(time.Millisecond).Seconds()
	return stream, nil
}

// lookAgain adds to the log those listed messages that it lacked when it was first read, and that it holds now.
func (a *Engine) lookAgain(ctx context.Context, one *audited, list *Listed) error {
	fresh := newDecoder()
	err := a.sink.ReadBack(ctx, one.claim.Stream.Name, func(stored connector.StoredRecord) error {
		if stored.Fault != nil {
			return nil // unchanged since the log was read first, or too young to be compared
		}
		r, err := fresh.decode(stored.Event)
		if err != nil || r.sequence <= one.checkpoint.Sequence {
			return nil
		}
		if _, lacking := list.kept[r.key]; lacking {
			return one.log.Add(stored)
		}
		return nil
	}, one.log.AddReject)
	if err != nil {
		return fmt.Errorf("read the log again: %w", err)
	}
	return nil
}
