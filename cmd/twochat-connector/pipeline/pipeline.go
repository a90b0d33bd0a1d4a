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
	"github.com/twochat-connector/twochat-connector/sinks"
)

// Parts are the parts of a pipeline. All fields except Overrides, Tracing and Label are required.
type Parts struct {
	Config *config.Config
	Sink   sinks.Sink
	// Sources are the accounts that are read, in the order of the configuration.
	Sources   []Source
	Registry  prometheus.Registerer
	Logger    *slog.Logger
	Overrides Overrides
	Tracing   Tracing // nil: there are no traces
	// Label names the place where the program runs, and that only one process at a time can have: the host's name and the
	// port of the admin server. It is empty if there is no such place.
	Label string
}

// Tracing follows a pipeline for traces.
type Tracing interface {
	poller.Tracer
	// Pages and Log return the same pages and log, followed.
	Pages(pages connector.Pages) connector.Pages
	Log(stream string, log connector.Log) connector.Log
}

// Pipeline runs the accounts of a configuration, which share the sink and the memory gate, and nothing else. It can be
// run once.
type Pipeline struct {
	Parts
	Instance string
	started  time.Time
	Claims   []connector.Claim // at the start
	// Configuration is what is known of the file. Who watches it sets that.
	Configuration ConfigurationRecord

	watchdog *watchdog // of the sink's checks before the streams begin
	recorded recordedState
	changes  *poller.Changes
	metrics  *poller.Metrics
	gate     *poller.MemoryGate

	life  *lifetime
	work  sync.WaitGroup // of the accounts
	begun chan struct{}  // closed when the streams have begun

	replicas    *replicas // that share the streams; nil if the sink is for one process
	arrangement *arrangement

	mu       sync.Mutex
	accounts []*accountWorker
}

// New makes a pipeline from its parts. It does no I/O.
func New(p Parts) *Pipeline {
	l := &Pipeline{Parts: p, Instance: rand.Text(), started: time.Now(), recorded: recordedState{logger: p.Logger}}
	l.changes, l.metrics, l.gate = poller.NewChanges(), poller.NewMetrics(p.Registry), poller.NewMemoryGate()
	l.watchdog = newWatchdog(l.started)
	l.Configuration.Set(Configuration{Loaded: l.started.UTC()})
	p.Registry.MustRegister(ConfigurationMetrics(l.Configuration.Current)...)
	p.Registry.MustRegister(ReplicaMetrics(func() ReplicaCounts { return countReplicas(l) })...)
	l.life, l.begun = &lifetime{over: make(chan struct{})}, make(chan struct{})
	l.replicas = newReplicas(p, l.Instance)
	l.arrangement = &arrangement{Pipeline: l, fresh: map[string]connector.Claim{}}
	for _, source := range p.Sources {
		claims := ClaimsOf(source.Config, source.Privacy, l.Instance, p.Overrides)
		a := l.newAccount(source)
		if l.replicas == nil {
			a.workers = l.newStreams(a, claims, startWithin(p.Config), p.Overrides.AcceptHistory)
		} else {
			for _, claim := range claims {
				l.arrangement.fresh[claim.Stream.Name] = claim
			}
		}
		l.accounts = append(l.accounts, a)
		l.Claims = append(l.Claims, claims...)
	}
	return l
}

// all are the accounts that run, in the order of the configuration.
func (l *Pipeline) all() []*accountWorker {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.accounts
}

// workers are the streams of all accounts, in the order of the configuration.
func (l *Pipeline) workers() []*streamWorker {
	var list []*streamWorker
	for _, a := range l.all() {
		list = append(list, a.workers...)
	}
	return list
}

// StopTime is how long the process may take to stop: for a commit in progress, and for closing the logs.
const StopTime = poller.DrainTime + 4*time.Second

// Run waits for the sink, polls until the context ends, and then returns nil. Before that it finishes a commit in
// progress and gives up every stream's place in the sink. A refusal of one stream does not end the others. The error is
// cli.Refusals if all streams were refused, or cli.RefusedError if the sink's check refused.
func (l *Pipeline) Run(ctx context.Context) error {
	defer l.closeLogs()
	if err := l.prepare(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	l.life.begin() // until all have begun
	for _, a := range l.all() {
		for range a.workers {
			l.life.begin()
		}
		l.work.Go(func() { a.run(ctx, l.life) })
	}
	close(l.begun)
	stopAttending := l.arrangement.attend(ctx)
	l.life.end()
	<-l.life.over
	stopAttending()
	l.work.Wait()
	return l.refused()
}

// refused returns the refusals if no stream is left.
func (l *Pipeline) refused() error {
	var all cli.Refusals
	workers := l.workers()
	for _, a := range workers {
		if refusal := a.refused(); refusal != nil {
			all = append(all, refusal)
		}
	}
	if len(all) < len(workers) || len(all) == 0 {
		return nil
	}
	return all
}

// closeLogs closes every stream's log.
func (l *Pipeline) closeLogs() {
	for _, a := range l.workers() {
		a.close(l.Logger)
	}
}

// Statuses returns the status of every stream, in the order of the configuration. It is safe for concurrent use.
func (l *Pipeline) Statuses() []poller.Status {
	var list []poller.Status
	for _, a := range l.workers() {
		list = append(list, a.status())
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
