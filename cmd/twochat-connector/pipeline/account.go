package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Source is an account as it is read: its configuration alone, and what is made of that.
type Source struct {
	Config  *config.Config
	Client  *twochat.Client
	Privacy twochat.Privacy
}

// OpenSources makes the sources of a configuration's accounts. It contacts nobody, and returns what could be made with
// every error.
func OpenSources(c *config.Config) (list []Source, wrong []error) {
	for _, one := range c.ByAccount() {
		privacy, err := PrivacyOf(one)
		var client *twochat.Client
		if err == nil {
			client, err = NewClient(one, privacy)
		}
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		list = append(list, Source{one, client, privacy})
	}
	return list, wrong
}

// accountWorker is one account's part of the pipeline: its limit, its budget, and the streams that are read with its
// key. What happens to one account concerns no other.
type accountWorker struct {
	Source
	logger  *slog.Logger
	account *quota.Account
	claims  []connector.Claim
	workers []*streamWorker
}

// streamWorker is one stream's part of the pipeline.
type streamWorker struct {
	poller   *poller.Poller
	log      connector.Log
	watchdog *watchdog

	mu      sync.Mutex
	refusal *connector.Refusal // why it ended before it was told to
}

// newAccount makes the part of an account, with pollers for its streams.
func (l *Pipeline) newAccount(source Source, metrics *poller.Metrics, gate *poller.MemoryGate) *accountWorker {
	c, client := source.Config, source.Client
	a := &accountWorker{Source: source, logger: l.Logger, claims: ClaimsOf(c, source.Privacy, l.Instance, l.Overrides)}
	registry := l.Registry
	if name := c.Account(); name != "" {
		a.logger = l.Logger.With("account", name)
		registry = prometheus.WrapRegistererWith(prometheus.Labels{"account": name}, registry)
	}
	a.account = AccountOf(c, client, a.logger)
	registry.MustRegister(a.account.Budget, UnknownMembers(client.UnknownMembers))
	registry.MustRegister(ShapeMetrics(client.ShapeChanges)...)
	slots := make(chan struct{}, c.Poll.Concurrency)
	start, list := c.Start.At(l.started), WatchShape(client, a.logger)
	if l.Tracing != nil {
		list = l.Tracing.Pages(list)
	}
	for _, claim := range a.claims {
		w := &streamWorker{log: l.Sink.Log(claim), watchdog: newWatchdog(l.started)}
		log := w.log
		if l.Tracing != nil {
			log = l.Tracing.Log(claim.Stream.Name, log)
		}
		w.poller = poller.New(poller.Config{
			Pages: a.account.Pages(&watchedPages{pages: list, slots: slots, watchdog: w.watchdog}),
			Log:   a.account.Log(&watchedLog{Log: log, watchdog: w.watchdog}),
			Reading: reader.Reading{
				Stream: claim.Stream, Rules: RulesOf(c), Events: c.EventSettings(), AcceptHistory: l.Overrides.AcceptHistory,
				Workers: reader.Workers(c.Poll.Concurrency),
			},
			Start: start, MinInterval: c.Poll.MinInterval, MaxInterval: c.Poll.MaxInterval,
			StartWithin: startWithin(l.Config), SweepEvery: a.account.SweepEvery,
			Limiter: a.account.Limiter, MemoryGate: gate, Pace: a.account.Pace, CallBudget: a.account, Ready: client.Ready,
			CheckWritable: writableCheck(l.Sink, w.watchdog), Tracer: l.Tracing, Metrics: metrics,
			Changes: l.changes,
			Logger:  a.logger,
		})
		a.workers = append(a.workers, w)
	}
	return a
}

// startWithin is the time within which the streams make their first requests, so that they do not poll together. One
// stream alone has nobody to make room for.
func startWithin(c *config.Config) time.Duration {
	if len(c.Streams()) < 2 {
		return 0
	}
	return min(c.Poll.MinInterval, time.Second)
}

// writableCheck is the sink's own check that it can still be written to, if it has one.
func writableCheck(sink sinks.Sink, p *watchdog) func(context.Context) error {
	checker, ok := sink.(interface {
		CheckWritable(ctx context.Context) error
	})
	if !ok {
		return nil
	}
	return func(ctx context.Context) error {
		defer p.begin("the sink's settings")()
		return checker.CheckWritable(ctx)
	}
}

// RulesOf returns the reading rules of a configuration.
func RulesOf(c *config.Config) reader.Rules {
	rules := reader.DefaultRules()
	rules.Capacity, rules.SweepDepth = c.Seen.Capacity, c.Poll.Sweep.Depth
	return rules
}

// runAccount polls an account's streams until the context ends, or none is left.
func (l *Pipeline) runAccount(ctx context.Context, a *accountWorker) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var account, work sync.WaitGroup
	a.account.Begin(ctx)
	account.Go(func() { a.account.Watch(ctx) })
	for _, w := range a.workers {
		work.Go(func() { w.run(ctx, a.logger) })
	}
	work.Wait()
	stop()
	account.Wait()
}

// run polls one stream.
func (a *streamWorker) run(ctx context.Context, logger *slog.Logger) {
	err := a.poller.Run(ctx)
	if err == nil {
		return
	}
	stream := a.poller.Status().Stream
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) {
		refusal = &connector.Refusal{
			Thing: "stream " + stream, Cause: err.Error(),
			Hint: "restart the program; report it if it happens again",
		}
	}
	a.mu.Lock()
	a.refusal = refusal
	a.mu.Unlock()
	logger.Error("stream refused", "stream", stream, "cause", refusal.Cause, "hint", refusal.Hint)
}

func (a *streamWorker) refused() *connector.Refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refusal
}

// status is the record of the stream.
func (a *streamWorker) status() poller.Status {
	status := a.poller.Status()
	if refusal := a.refused(); refusal != nil && status.State == poller.StateStopped {
		status.State, status.Cause, status.Hint = poller.StateRefused, refusal.Thing+": "+refusal.Cause, refusal.Hint
	}
	return status
}

// workers are the streams of all accounts, in the order of the configuration.
func (l *Pipeline) workers() []*streamWorker {
	var list []*streamWorker
	for _, a := range l.accounts {
		list = append(list, a.workers...)
	}
	return list
}
