package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Parts are the parts of a pipeline. All fields except Overrides are required.
type Parts struct {
	Config    *config.Config
	Sink      sinks.Sink
	Client    *twochat.Client
	Privacy   twochat.Privacy
	Registry  prometheus.Registerer
	Logger    *slog.Logger
	Overrides Overrides
}

// Pipeline runs a poller for each stream. They share a limiter and a sink. It can be run once.
type Pipeline struct {
	Parts
	Instance string
	started  time.Time
	Claims   []connector.Claim
	account  *quota.Account
	workers  []*streamWorker
	watchdog *watchdog // of the sink's checks before the streams begin
	recorded recordedState
}

// streamWorker is one stream's part of the pipeline.
type streamWorker struct {
	poller   *poller.Poller
	log      connector.Log
	watchdog *watchdog

	mu      sync.Mutex
	refusal *connector.Refusal // why it ended early
}

// New makes a pipeline from its parts. It does no I/O.
func New(p Parts) *Pipeline {
	c := p.Config
	l := &Pipeline{Parts: p, Instance: rand.Text(), started: time.Now(), recorded: recordedState{logger: p.Logger}}
	l.watchdog = newWatchdog(l.started)
	l.Claims = ClaimsOf(c, p.Privacy, l.Instance, p.Overrides)
	l.account = AccountOf(c, p.Client, p.Logger)
	p.Registry.MustRegister(l.account.Budget, UnknownMembers(p.Client.UnknownMembers))
	p.Registry.MustRegister(ShapeMetrics(p.Client.ShapeChanges)...)
	metrics := poller.NewMetrics(p.Registry)
	slots := make(chan struct{}, c.Poll.Concurrency)
	gate := poller.NewMemoryGate()
	start := c.Start.At(l.started)
	list := WatchShape(p.Client, p.Logger)
	for _, claim := range l.Claims {
		a := &streamWorker{log: p.Sink.Log(claim), watchdog: newWatchdog(l.started)}
		a.poller = poller.New(poller.Config{
			Pages: l.account.Pages(&watchedPages{pages: list, slots: slots, watchdog: a.watchdog}),
			Log:   l.account.Log(&watchedLog{Log: a.log, watchdog: a.watchdog}),
			Reading: reader.Reading{
				Stream: claim.Stream, Rules: RulesOf(c), Events: c.EventSettings(), AcceptHistory: p.Overrides.AcceptHistory,
				Workers: reader.Workers(c.Poll.Concurrency),
			},
			Start: start, MinInterval: c.Poll.MinInterval, MaxInterval: c.Poll.MaxInterval, StartWithin: startWithin(c),
			SweepEvery: l.account.SweepEvery,
			Limiter:    l.account.Limiter, MemoryGate: gate, Pace: l.account.Pace, CallBudget: l.account, Ready: p.Client.Ready,
			CheckWritable: writableCheck(p.Sink, a.watchdog), Metrics: metrics, Logger: p.Logger,
		})
		l.workers = append(l.workers, a)
	}
	return l
}

// startWithin is the time within which the streams make their first requests, so that they do not poll together. One
// stream alone has nobody to make room for.
func startWithin(c *config.Config) time.Duration {
	if len(c.TwoChat.Streams) < 2 {
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

// StopTime is how long the process may take to stop: for a commit in progress, and for closing the logs.
const StopTime = poller.DrainTime + 4*time.Second

// RulesOf returns the reading rules of a configuration.
func RulesOf(c *config.Config) reader.Rules {
	rules := reader.DefaultRules()
	rules.Capacity, rules.SweepDepth = c.Seen.Capacity, c.Poll.Sweep.Depth
	return rules
}

// Run waits for the sink, polls until the context ends, and then returns nil. Before that it finishes a commit in
// progress and gives up every stream's place in the sink. A refusal of one stream does not end the others. The error is
// cli.Refusals if all streams were refused, or cli.RefusedError if the sink's check refused.
func (l *Pipeline) Run(ctx context.Context) error {
	defer l.closeLogs()
	if err := l.prepare(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var account, work sync.WaitGroup
	l.account.Begin(ctx)
	account.Go(func() { l.account.Watch(ctx) })
	for _, a := range l.workers {
		work.Go(func() { l.runStream(ctx, a) })
	}
	work.Wait()
	stop()
	account.Wait()
	return l.refused()
}

// runStream polls one stream.
func (l *Pipeline) runStream(ctx context.Context, a *streamWorker) {
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
	l.Logger.Error("stream refused", "stream", stream, "cause", refusal.Cause, "hint", refusal.Hint)
}

// refused returns the refusals if no stream is left.
func (l *Pipeline) refused() error {
	var all cli.Refusals
	for _, a := range l.workers {
		if refusal := a.refused(); refusal != nil {
			all = append(all, refusal)
		}
	}
	if len(all) < len(l.workers) {
		return nil
	}
	return all
}

func (a *streamWorker) refused() *connector.Refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refusal
}

// closeLogs closes every stream's log.
func (l *Pipeline) closeLogs() {
	for _, a := range l.workers {
		if err := a.log.Close(); err != nil {
			l.Logger.Warn("a stream's place in the sink could not be given up", "stream", a.poller.Status().Stream, "cause", err)
		}
	}
}

// Statuses returns the status of every stream, in the order of the configuration. It is safe for concurrent use.
func (l *Pipeline) Statuses() []poller.Status {
	list := make([]poller.Status, len(l.workers))
	for i, a := range l.workers {
		list[i] = a.poller.Status()
		if refusal := a.refused(); refusal != nil && list[i].State == poller.StateStopped {
			list[i].State, list[i].Cause, list[i].Hint = poller.StateRefused, refusal.Thing+": "+refusal.Cause, refusal.Hint
		}
	}
	return list
}

// prepare creates what the sink lacks, if that is configured, and checks the sink. It waits for a sink that does not
// answer.
func (l *Pipeline) prepare(ctx context.Context) error {
	policy := connector.NewBackoff(500*time.Millisecond, 30*time.Second)
	for {
		findings, err := l.askSink(ctx)
		if ctx.Err() != nil {
			return nil
		}
		var refusal *connector.Refusal
		if errors.As(err, &refusal) {
			return err
		}
		if err == nil {
			return l.recorded.judge(findings)
		}
		l.recorded.notReached(err)
		if connector.Sleep(ctx, policy.Next()) != nil {
			return nil
		}
	}
}

func (l *Pipeline) askSink(ctx context.Context) ([]connector.Finding, error) {
	defer l.watchdog.begin("the sink's settings")()
	var create func(context.Context) error
	if WantsCreate(l.Config.Sink) {
		create = l.Sink.Create
	}
	return AskSink(ctx, l.Sink, l.Claims, create, l.Logger)
}
