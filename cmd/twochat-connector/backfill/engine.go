package backfill

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/history"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Engine is one run of the command backfill.
type Engine struct {
	program *cli.Program
	config  *config.Config
	live    connector.Stream
	start   connector.Start
	view    *view
	logger  *slog.Logger
	began   time.Time
	json    bool

	spare   *Spare
	history *history.History
	extent  extent
}

// extent is an estimate of how much there is to read and what it costs: the fewest calls on a list that stands still,
// the most on one that always changes.
type extent struct {
	Pages     int `json:"pages"`
	Messages  int `json:"messages"`
	Calls     int `json:"calls"`
	CallsMost int `json:"calls_most"`
}

// callsFor assumes batches of pages whose ends are read twice. most was measured with messages coming in before every
// call, and many at once before every twentieth; it includes the sweep at the end.
func callsFor(pages int) (fewest, most int) { return pages + pages/10 + 2, 7*pages + 40 }

// New makes a run that delivers what a live stream's first start left out, back to where start says.
func New(p *cli.Program, c *config.Config, live connector.Stream, start connector.Start, asJSON bool) *Engine {
	bar := newView(p.Err, connector.HistoryStream(live).Name)
	log := c.Log
	if bar.terminal {
		log.Level = "warn" // the progress bar shows the rest
	}
	if cli.LogsText(c.Log, p.Err) {
		log.Format = "text"
	}
	bar.logger = cli.NewLogger(p, log, bar)
	return &Engine{
		program: p, config: c, live: live, start: start, view: bar, logger: bar.logger, began: time.Now(),
		json: asJSON,
	}
}

// Run measures how much there is and, unless dry, delivers it. It returns when all of it is in the sink, or when the
// context ends.
func (b *Engine) Run(ctx context.Context, dry bool) error {
	defer b.view.close()
	privacy, err := pipeline.PrivacyOf(b.config)
	if err != nil {
		return err
	}
	client, err := pipeline.NewClient(b.config, privacy)
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
	claim := pipeline.ClaimsOf(b.config, privacy, rand.Text(), pipeline.Overrides{})[0]
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
	b.spare = NewSpare(ctx, b.config, pipeline.WatchShape(client, b.logger), client, b.live.Name, live.MonthBegun,
		b.logger)
	defer b.spare.Close()
	b.history = history.New(b.spare, b.live, *live, pipeline.RulesOf(b.config).Page)
	if err := b.measure(ctx); err != nil {
		return b.ended(ctx, cmp.Or(b.spare.pages.fatal(), err))
	}
	if dry {
		return b.printDry()
	}
	b.warnOfBudget()
	return b.ended(ctx, b.read(ctx, place.history, claim))
}

// floor is the live stream's checkpoint; nil if nothing lies below it.
func (b *Engine) floor(ctx context.Context, sink sinks.Sink, claim connector.Claim) (*connector.Checkpoint, error) {
	checkpoint, found, err := pipeline.Peek(ctx, sink, claim)
	switch {
	case err != nil:
		return nil, cli.Hinted(fmt.Errorf("read the checkpoint of stream %s: %w", b.live.Name, err),
			"`twochat-connector check` shows what is wrong with the sink")
	case !found || !checkpoint.Started:
		return nil, cli.Hinted(fmt.Errorf("stream %s has not started yet, so it is not known where its history ends",
			b.live.Name),
			"start `twochat-connector run` first; backfill may run beside it")
	}
	if err := claim.Admit(checkpoint); err != nil {
		return nil, err
	}
	if len(checkpoint.Floor) == 0 {
		return nil, b.print(Summary{Stream: connector.HistoryStream(b.live).Name, Done: true},
			"There is no history to deliver: stream "+b.live.Name+" left nothing out when it first started.")
	}
	return &checkpoint, nil
}

// resumable refuses to continue a history that was begun with other settings.
func (b *Engine) resumable(ctx context.Context, sink sinks.Sink, claim connector.Claim) error {
	checkpoint, found, err := pipeline.Peek(ctx, sink, claim)
	switch {
	case err != nil:
		return cli.Hinted(fmt.Errorf("read the checkpoint of stream %s: %w", claim.Stream.Name, err),
			"`twochat-connector check` shows what is wrong with the sink")
	case !found || !checkpoint.Started:
		return nil
	}
	if b.start.Beginning && len(checkpoint.Floor) > 0 {
		return cli.Hinted(fmt.Errorf("stream %s was begun with --since, and older messages can no longer be put before it",
			claim.Stream.Name),
			"continue with --since, or remove that stream's events and checkpoint from the sink and begin it anew with --all")
	}
	if !b.start.Beginning {
		b.logger.Warn("the history was begun before; how far back it goes was decided then")
	}
	b.logger.Info("continuing", "stream", claim.Stream.Name, "messages", checkpoint.Sequence)
	return nil
}

// warnOfBudget warns if the month's budget is not enough for all of it.
func (b *Engine) warnOfBudget() {
	if left, known := b.spare.Left(); known && int64(b.extent.CallsMost) > left {
		b.logger.Warn("the month's budget may not be enough for all of the history; live polling slows down to make up for it, and the reserve is not used",
			"calls_at_most", b.extent.CallsMost, "calls_to_spend", left, "hint",
			"raise poll.monthly_credits, or continue next month with the same command")
	}
}

// look is how often the progress is checked.
const look = 200 * time.Millisecond

// read reads the history into the sink until all of it is there.
func (b *Engine) read(ctx context.Context, sink sinks.Sink, claim connector.Claim) error {
	log := sink.Log(claim)
	defer func() {
		if err := log.Close(); err != nil {
			b.logger.Warn("the history's place in the sink could not be given up", "cause", err)
		}
	}()
	var p *poller.Poller
	// One sweep, when all is delivered, finds what came in late among the history after the walk had passed.
	sweep := func() time.Duration {
		if p.Status().LastSweep.IsZero() {
			return 1
		}
		return 0
	}
	p = poller.New(poller.Config{
		Pages: b.history, Log: log, Start: b.start, MinInterval: time.Second, MaxInterval: 10 * time.Second,
		SweepEvery: sweep,
		Reading: reader.Reading{
			Stream: claim.Stream, Rules: pipeline.RulesOf(b.config), Events: b.config.EventSettings(),
			Workers: reader.Workers(b.config.Poll.Concurrency), OneWalk: true,
		},
		Limiter: quota.NewLimiter(0), // the requests are paid for below the history, which makes some of its own
		Metrics: poller.NewMetrics(prometheus.NewRegistry()), Logger: b.logger,
	})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	b.view.begin()
	for {
		select {
		case err := <-ended:
			b.view.show(p.Status(), b.spare.pages.made(), b.spare.pages.hold())
			return err
		case <-ticker.C:
		}
		status := p.Status()
		b.view.show(status, b.spare.pages.made(), b.spare.pages.hold())
		switch {
		case !status.LastSweep.IsZero() && status.State == poller.StateLive && !status.EndOpen:
			b.view.done = true
		case status.State == poller.StateStandby:
			stop()
			taken := errors.New("another backfill of this stream has taken over")
			return cli.Hinted(errors.Join(taken, <-ended), "wait for the other one to finish; one is enough")
		case b.spare.pages.fatal() == nil:
			continue
		}
		stop()
		err := <-ended
		b.view.show(p.Status(), b.spare.pages.made(), b.spare.pages.hold())
		if b.view.done {
			return err
		}
		return errors.Join(err, b.spare.pages.fatal())
	}
}
