package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

const aboutBackfill = `
Delivers what a stream's first start left out: the messages that were listed before it. They go into a stream of their own,
NAME-history, with its own source, sequence and checkpoint, oldest first within each chat, each once. ` + "`run`" + ` may go on meanwhile, in
another process; no message comes into both streams.

It ends when all of it is in the sink. It may be stopped at any time: the same command goes on where it was. Each page of 100
messages costs between one call, while nothing comes in, and about seven, while the list never rests; each call costs a credit.
--dry-run says how many it will be.

It takes what live polling leaves of the account's rate limit: at most three quarters, and less where the instance that runs with this
configuration answers at its admin.listen and says that it uses more. Where the limit is hit, here or there, it makes no call for
a minute.

What passes is waited out, also by --dry-run: where 2Chat does not answer, where the rate limit is hit, and where the account's credits
are used up (402). It then says so and goes on by itself, within an hour after there are credits again. It ends with exit code 1
rather than to touch the reserve of the month's budget (poll.monthly_credits), and where the key is wrong or the number is missing.
`

// runBackfill is the command backfill.
func runBackfill(ctx context.Context, p *program, args []string) error {
	flags := newFlags(p)
	settings := configFlags(flags)
	var f backfillFlags
	f.add(flags)
	if err := p.parse(flags, args, aboutBackfill); err != nil {
		return err
	}
	start, err := f.start(time.Now())
	if err != nil {
		return err
	}
	c, err := p.load(settings)
	if err != nil {
		return err
	}
	live, err := streamNamed(c, f.stream)
	if err != nil {
		return err
	}
	p.saveMemory(c)
	view := newBackfillView(p.err, connector.HistoryStream(live).Name)
	log := c.Log
	if view.terminal {
		log.Level = "warn" // the bar says the rest
	}
	if logsText(c.Log, p.err) {
		log.Format = "text"
	}
	view.logger = newLogger(log, view)
	b := &backfill{p: p, config: c, live: live, start: start, view: view, logger: view.logger, began: time.Now(), json: f.json}
	err = b.run(ctx, f.dry)
	view.close()
	return err
}

// backfillFlags are what the command line says.
type backfillFlags struct {
	stream, since string
	all, dry      bool
	json          bool
}

func (f *backfillFlags) add(flags *flag.FlagSet) {
	flags.StringVar(&f.stream, "stream", "", "`name` of the stream whose history is wanted; may be left out where there is only one")
	flags.BoolVar(&f.all, "all", false, "all that is listed")
	flags.StringVar(&f.since, "since", "", "only what is not older than this: an `age` such as 720h, or a time such as 2026-01-31T00:00:00Z")
	flags.BoolVar(&f.dry, "dry-run", false, "say how much it is and what it costs, and write nothing")
	flags.BoolVar(&f.json, "json", false, "print the result as JSON")
}

func (f *backfillFlags) start(now time.Time) (connector.Start, error) {
	if f.all == (f.since != "") {
		return connector.Start{}, usage("expected either --all or --since with an age (720h) or a time (2026-01-31T00:00:00Z)")
	}
	if f.all {
		return connector.Start{Beginning: true}, nil
	}
	start, err := config.ParseStart(f.since)
	if err != nil || start.Mode != config.StartAge && start.Mode != config.StartTime {
		return connector.Start{}, usage("flag --since: expected an age such as 720h, or a time such as 2026-01-31T00:00:00Z")
	}
	return start.At(now), nil
}

// streamNamed is the configured stream of a name; without a name the only one.
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
	return connector.Stream{}, usage("flag --stream: expected the name of a configured stream: %s", strings.Join(names, ", "))
}

// backfill is one run of the command.
type backfill struct {
	p      *program
	config *config.Config
	live   connector.Stream
	start  connector.Start
	view   *backfillView
	logger *slog.Logger
	began  time.Time
	json   bool

	pages   *paidPages
	patient *patientPages // the same pages, for the history
	history *connector.History
	extent  extent
}

// extent is roughly how much there is to read, and what it costs: the fewest calls on a list that stands still, the most on one that
// always moves.
type extent struct {
	Pages     int `json:"pages"`
	Messages  int `json:"messages"`
	Calls     int `json:"calls"`
	CallsMost int `json:"calls_most"`
}

// callsFor reckons with groups of pages of which the ends are read twice; at most with what was measured where messages came in before
// every call, and many at once before every twentieth, the sweep at the end included.
func callsFor(pages int) (fewest, most int) { return pages + pages/10 + 2, 7*pages + 40 }

func (b *backfill) run(ctx context.Context, dry bool) error {
	privacy, err := privacyOf(b.config)
	if err != nil {
		return err
	}
	client, err := newClient(b.config, privacy)
	if err != nil {
		return err
	}
	defer client.Close()
	place, err := b.open()
	if err != nil {
		return err
	}
	defer place.close(b.logger)
	b.view.file = place.file
	claim := claimsOf(b.config, privacy, rand.Text(), words{})[0]
	b.live = privacy.Keyed(b.live)
	claim.Stream = b.live
	live, err := b.floor(ctx, place.live, claim)
	if err != nil || live == nil {
		return err
	}
	claim.Stream = connector.HistoryStream(b.live)
	if err := b.resumable(ctx, place.history, claim); err != nil {
		return err
	}
	b.pages = newPaidPages(client)
	b.pages.budget = newBudget(b.config, func() int64 { return int64(b.pages.made()) }, nil, quietLogger())
	b.pages.budget.Recall(b.began, live.MonthBegun)
	of := b.share(client)
	of.start(ctx)
	defer b.watch(ctx, of)()
	b.patient = newPatientPages(b.pages)
	b.history = connector.NewHistory(b.patient, b.live, *live, rulesOf(b.config).Page)
	if err := b.measure(ctx); err != nil {
		return b.ended(ctx, cmp.Or(b.pages.fatal(), err))
	}
	if dry {
		return b.printDry()
	}
	b.warnOfBudget()
	return b.ended(ctx, b.read(ctx, place.history, claim))
}

// floor is the live stream's checkpoint; nil where nothing lies below it.
func (b *backfill) floor(ctx context.Context, sink sinks.Sink, claim connector.Claim) (*connector.Checkpoint, error) {
	checkpoint, found, err := peek(ctx, sink, claim)
	switch {
	case err != nil:
		return nil, hinted(fmt.Errorf("read the checkpoint of stream %s: %w", b.live.Name, err), "`twochat-connector check` says what is wrong with the sink")
	case !found || !checkpoint.Started:
		return nil, hinted(fmt.Errorf("stream %s has not started yet, so nothing says where its history ends", b.live.Name),
			"start `twochat-connector run` first; backfill may run beside it")
	}
	if err := claim.Admit(checkpoint); err != nil {
		return nil, err
	}
	if len(checkpoint.Floor) == 0 {
		return nil, b.print(summary{Stream: connector.HistoryStream(b.live).Name, Done: true},
			"There is no history to deliver: stream "+b.live.Name+" left nothing out when it first started.")
	}
	return &checkpoint, nil
}

// resumable refuses what a history that was begun otherwise cannot become.
func (b *backfill) resumable(ctx context.Context, sink sinks.Sink, claim connector.Claim) error {
	checkpoint, found, err := peek(ctx, sink, claim)
	switch {
	case err != nil:
		return hinted(fmt.Errorf("read the checkpoint of stream %s: %w", claim.Stream.Name, err), "`twochat-connector check` says what is wrong with the sink")
	case !found || !checkpoint.Started:
		return nil
	}
	if b.start.Beginning && len(checkpoint.Floor) > 0 {
		return hinted(fmt.Errorf("stream %s was begun with --since, and what is older cannot be put before it any more", claim.Stream.Name),
			"go on with --since; or remove that stream's events and checkpoint from the sink and begin it anew with --all")
	}
	if !b.start.Beginning {
		b.logger.Warn("the history was begun before; how far back it goes was settled then")
	}
	b.logger.Info("going on", "stream", claim.Stream.Name, "messages", checkpoint.Sequence)
	return nil
}

// peek reads a stream's checkpoint and takes nothing over.
func peek(ctx context.Context, sink sinks.Sink, claim connector.Claim) (connector.Checkpoint, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	log := sink.Log(claim)
	checkpoint, found, err := log.Peek(ctx)
	return checkpoint, found, errors.Join(err, log.Close())
}

// share is how the rate is shared with live polling.
func (b *backfill) share(client *twochat.Client) *share {
	poll := b.config.Poll
	s := &share{
		pages: b.pages, client: client, logger: b.logger, stream: b.live.Name, fixed: poll.RequestsPerMinute,
		blind:  float64(len(b.config.TwoChat.Streams)) * float64(time.Minute) / float64(poll.MinInterval),
		unread: patience(30*time.Second, 30*time.Minute),
	}
	if listen := b.config.Admin.Listen; !strings.HasSuffix(listen, ":0") {
		s.admin = adminAt(listen)
	}
	return s
}

// watch lets a share be adjusted until the returned function is called.
func (b *backfill) watch(ctx context.Context, s *share) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx) })
	return func() {
		cancel()
		watching.Wait()
	}
}

// warnOfBudget says where the month's budget will not do for all of it.
func (b *backfill) warnOfBudget() {
	of := b.pages.budget.Status(time.Now())
	if spare := of.Left - of.Reserve; of.State != connector.BudgetUnknown && int64(b.extent.CallsMost) > spare {
		b.logger.Warn("the month's budget may not do for all of the history; live polling slows down for what is taken, and the reserve is left alone",
			"calls_at_most", b.extent.CallsMost, "calls_to_spend", max(0, spare), "hint", "raise poll.monthly_credits, or go on next month with the same command")
	}
}

// look is how often the progress is looked at.
const look = 200 * time.Millisecond

// read reads the history into the sink until all of it is there.
func (b *backfill) read(ctx context.Context, sink sinks.Sink, claim connector.Claim) error {
	log := sink.Log(claim)
	defer func() {
		if err := log.Close(); err != nil {
			b.logger.Warn("the history's place in the sink could not be given up", "cause", err)
		}
	}()
	var poller *connector.Poller
	// Once, when all is there: what came in late among the history after its walk had gone by.
	sweep := func() time.Duration {
		if poller.Status().LastSweep.IsZero() {
			return 1
		}
		return 0
	}
	poller = connector.NewPoller(connector.PollerConfig{
		Pages: b.history, Log: log, Start: b.start, MinInterval: time.Second, MaxInterval: 10 * time.Second, SweepEvery: sweep,
		Reading: connector.Reading{Stream: claim.Stream, Rules: rulesOf(b.config), Events: b.config.EventSettings(), Crew: connector.Hands(b.config.Poll.Concurrency), OneWalk: true},
		Limiter: connector.NewLimiter(0), // the requests are paid for below the history, which makes some of its own
		Metrics: connector.NewMetrics(prometheus.NewRegistry()), Logger: b.logger,
	})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- poller.Run(ctx) }()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	b.view.begin()
	for {
		select {
		case err := <-ended:
			b.view.show(poller.Status(), b.pages.made(), b.pages.hold())
			return err
		case <-ticker.C:
		}
		status := poller.Status()
		b.view.show(status, b.pages.made(), b.pages.hold())
		switch {
		case !status.LastSweep.IsZero() && status.State == connector.StateLive && !status.EndOpen:
			b.view.done = true
		case status.State == connector.StateStandby:
			stop()
			taken := errors.New("another backfill of this stream has taken over")
			return hinted(errors.Join(taken, <-ended), "let that one finish; one is enough")
		case b.pages.fatal() == nil:
			continue
		}
		stop()
		err := <-ended
		b.view.show(poller.Status(), b.pages.made(), b.pages.hold())
		if b.view.done {
			return err
		}
		return errors.Join(err, b.pages.fatal())
	}
}
