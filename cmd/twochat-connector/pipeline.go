package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// parts is what a pipeline is made of. All fields but words are required.
type parts struct {
	config   *config.Config
	sink     sinks.Sink
	client   *twochat.Client
	privacy  twochat.Privacy
	registry prometheus.Registerer
	logger   *slog.Logger
	words    words
}

// pipeline is the connector at work: a poller for each stream, all behind one limiter, into one sink. It is run once.
type pipeline struct {
	parts
	instance string
	started  time.Time
	claims   []connector.Claim
	limiter  *connector.Limiter
	rate     atomic.Int64 // requests a minute in force
	calls    atomic.Int64 // made so far
	inFlight atomic.Int64 // of them, pages that have not come yet
	budget   *connector.Budget
	lanes    []*lane
	doubted  atomic.Bool   // the account is to be read again, or was, since its pages ceased to be read
	doubts   chan struct{} // that it is
	pulse    *pulse        // of asking the sink before the streams begin

	mu      sync.Mutex
	sinkOK  bool           // the sink was asked and refused nothing
	waiting grievance      // why the sink could not be asked yet, and what to do
	account *accountReport // what it said last; nil before the first answer
	// accountCause is why it could not be read since.
	accountCause string
	accountDue   time.Time // when it is asked again
}

// lane is one stream's part of the pipeline.
type lane struct {
	poller *connector.Poller
	log    connector.Log
	pulse  *pulse

	mu      sync.Mutex
	refusal *connector.Refusal // why it ended before it was told to
}

// ratesWithoutWord is the limit that is kept where neither the configuration nor the account names one.
const ratesWithoutWord = 10

// newPipeline puts the parts together. It does no I/O.
func newPipeline(p parts) *pipeline {
	c := p.config
	l := &pipeline{parts: p, instance: rand.Text(), started: time.Now(), doubts: make(chan struct{}, 1)}
	l.pulse = newPulse(l.started)
	l.claims = claimsOf(c, p.privacy, l.instance, p.words)
	rate := int64(ratesWithoutWord)
	if c.Poll.RequestsPerMinute > 0 {
		rate = int64(c.Poll.RequestsPerMinute)
	}
	l.rate.Store(rate)
	l.limiter = connector.NewLimiter(float64(rate))
	l.budget = newBudget(c, l.calls.Load, l.inFlight.Load, p.logger)
	p.registry.MustRegister(l.budget, unknownMembers(p.client.UnknownMembers))
	metrics := connector.NewMetrics(p.registry)
	slots := make(chan struct{}, c.Poll.Concurrency)
	room := connector.NewRoom()
	start := c.Start.At(l.started)
	for _, claim := range l.claims {
		a := &lane{log: p.sink.Log(claim), pulse: newPulse(l.started)}
		a.poller = connector.NewPoller(connector.PollerConfig{
			Pages: &lanePages{pages: blockedPages{p.client, l}, slots: slots, inFlight: &l.inFlight, pulse: a.pulse},
			Log:   &laneLog{Log: a.log, pulse: a.pulse, budget: l.budget},
			Reading: connector.Reading{
				Stream: claim.Stream, Rules: rulesOf(c), Events: c.EventSettings(), AcceptHistory: p.words.acceptHistory,
				Crew: connector.Hands(c.Poll.Concurrency),
			},
			Start: start, MinInterval: c.Poll.MinInterval, MaxInterval: c.Poll.MaxInterval, SweepEvery: l.sweepEvery,
			Limiter: l.limiter, Room: room, Pace: l.pace, Purse: purse{l}, Ready: p.client.Ready,
			Look: lookInto(p.sink, a.pulse), Metrics: metrics, Logger: p.logger,
		})
		l.lanes = append(l.lanes, a)
	}
	return l
}

// lookInto is the sink's own look at how it is set up, where it has one.
func lookInto(sink sinks.Sink, p *pulse) func(context.Context) error {
	looker, ok := sink.(interface {
		Look(ctx context.Context) error
	})
	if !ok {
		return nil
	}
	return func(ctx context.Context) error {
		defer p.begin("the sink's settings")()
		return looker.Look(ctx)
	}
}

func rulesOf(c *config.Config) connector.Rules {
	rules := connector.DefaultRules()
	rules.Capacity, rules.SweepDepth = c.Seen.Capacity, c.Poll.Sweep.Depth
	return rules
}

// pace is the interval in force of a stream that wants this one: a poll costs one request of the rate limit and of the budget.
func (l *pipeline) pace(wanted time.Duration) time.Duration {
	return l.budget.Pace(time.Now(), max(wanted, paceOf(len(l.lanes), int(l.rate.Load()))))
}

func (l *pipeline) sweepEvery() time.Duration {
	return l.budget.SweepEvery(time.Now(), l.config.Poll.Sweep.Every)
}

func paceOf(streams, requestsPerMinute int) time.Duration {
	return time.Duration(float64(streams) / float64(requestsPerMinute) * float64(time.Minute))
}

// Run waits for the sink, then polls until the context ends, and returns nil then. A commit in flight is finished first, and
// every stream's place is given up. One stream's refusal does not end the others; the error is refusals where all streams
// were refused, or refusedError where the sink's check refused.
func (l *pipeline) Run(ctx context.Context) error {
	defer l.closeLogs()
	if err := l.prepare(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var account, work sync.WaitGroup
	read := l.readAccount(ctx)
	l.limiter.Pause(paceOf(1, int(l.rate.Load()))) // it was a request as any other
	account.Go(func() { l.watchAccount(ctx, read) })
	for _, a := range l.lanes {
		work.Go(func() { l.runLane(ctx, a) })
	}
	work.Wait()
	stop()
	account.Wait()
	return l.refused()
}

// runLane polls one stream.
func (l *pipeline) runLane(ctx context.Context, a *lane) {
	err := a.poller.Run(ctx)
	if err == nil {
		return
	}
	stream := a.poller.Status().Stream
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) {
		refusal = &connector.Refusal{Thing: "stream " + stream, Cause: err.Error(), Hint: "restart the program; report it if it comes back"}
	}
	a.mu.Lock()
	a.refusal = refusal
	a.mu.Unlock()
	l.logger.Error("stream refused", "stream", stream, "cause", refusal.Cause, "hint", refusal.Hint)
}

// refusals are why streams ended before they were told to.
type refusals []*connector.Refusal

func (r refusals) Error() string {
	errs := make([]error, len(r))
	for i := range r {
		errs[i] = r[i]
	}
	return errors.Join(errs...).Error()
}

// refused returns the refusals where no stream is left.
func (l *pipeline) refused() error {
	var all refusals
	for _, a := range l.lanes {
		if refusal := a.refused(); refusal != nil {
			all = append(all, refusal)
		}
	}
	if len(all) < len(l.lanes) {
		return nil
	}
	return all
}

func (a *lane) refused() *connector.Refusal {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refusal
}

// closeLogs gives up every stream's place.
func (l *pipeline) closeLogs() {
	for _, a := range l.lanes {
		if err := a.log.Close(); err != nil {
			l.logger.Warn("a stream's place in the sink could not be given up", "stream", a.poller.Status().Stream, "cause", err)
		}
	}
}

// statuses is the record of every stream, in the order of the configuration. It may be called from any goroutine.
func (l *pipeline) statuses() []connector.Status {
	list := make([]connector.Status, len(l.lanes))
	for i, a := range l.lanes {
		list[i] = a.poller.Status()
		if refusal := a.refused(); refusal != nil && list[i].State == connector.StateStopped {
			list[i].State, list[i].Cause, list[i].Hint = connector.StateRefused, refusal.Thing+": "+refusal.Cause, refusal.Hint
		}
	}
	return list
}

// prepare makes what the sink lacks, where that is wanted, and checks it. A sink that cannot be asked is waited for.
func (l *pipeline) prepare(ctx context.Context) error {
	policy := patience(500*time.Millisecond, 30*time.Second)
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
			return l.judge(findings)
		}
		l.notReached(err)
		if connector.Sleep(ctx, policy.NextBackOff()) != nil {
			return nil
		}
	}
}

func (l *pipeline) askSink(ctx context.Context) ([]connector.Finding, error) {
	defer l.pulse.begin("the sink's settings")()
	var create func(context.Context) error
	if wantsCreate(l.config.Sink) {
		create = l.sink.Create
	}
	return askSink(ctx, l.sink, l.claims, create, l.logger)
}

// notReached records and says, once for each cause, why the sink could not be asked.
func (l *pipeline) notReached(err error) {
	now := sinkTrouble(err)
	l.mu.Lock()
	news := l.waiting != now
	l.waiting = now
	l.mu.Unlock()
	if news {
		l.logger.Warn("the sink cannot be reached; nothing is polled until it can", "cause", now.text, "hint", now.hint)
	}
}

// sinkTrouble is why a sink could not be asked, as check says it.
func sinkTrouble(err error) grievance {
	finding := errorFinding("", err)
	text := err.Error()
	if finding.Thing != "" {
		text = finding.Thing + ": " + finding.Text
	}
	return grievance{text, finding.Hint}
}

// judge ends the start where a finding refuses it, and says the warnings once.
func (l *pipeline) judge(findings []connector.Finding) error {
	var refused refusedError
	for _, finding := range findings {
		switch finding.Level {
		case connector.FindingRefused:
			refused = append(refused, finding)
		case connector.FindingWarning:
			l.logger.Warn("the sink's settings weaken the promise", "thing", finding.Thing, "finding", finding.Text, "hint", finding.Hint)
		}
	}
	if refused != nil {
		return refused
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting != (grievance{}) {
		l.logger.Info("the sink is reached")
	}
	l.sinkOK, l.waiting = true, grievance{}
	return nil
}
