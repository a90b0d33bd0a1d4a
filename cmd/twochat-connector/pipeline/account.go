package pipeline

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
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
	key     *currentKey // where the client finds the API key; nil if it has one of its own
}

// currentKey reads the API key where the configuration in force says.
type currentKey struct{ config atomic.Pointer[config.Config] }

func (k *currentKey) read() (string, error) { return k.config.Load().APIKey() }

// OpenSources makes the sources of a configuration's accounts. It contacts nobody, and returns what could be made with
// every error.
func OpenSources(c *config.Config) (list []Source, wrong []error) {
	for _, one := range c.ByAccount() {
		source, err := openSource(one)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		list = append(list, source)
	}
	return list, wrong
}

func openSource(one *config.Config) (Source, error) {
	privacy, err := PrivacyOf(one)
	if err != nil {
		return Source{}, err
	}
	key := &currentKey{}
	key.config.Store(one)
	client, err := newClient(one, privacy, key.read)
	return Source{one, client, privacy, key}, err
}

// accountWorker is one account's part of the pipeline: its limit, its budget, and the streams that are read with its
// key. What happens to one account concerns no other. It does not change: another configuration makes another one of
// it, with the same account.
type accountWorker struct {
	Source
	logger   *slog.Logger
	account  *quota.Account
	registry prometheus.Registerer
	slots    chan struct{} // a token in them for each request in flight
	pages    connector.Pages
	workers  []*streamWorker

	more  chan []*streamWorker // streams that begin while others run
	gone  chan struct{}        // closed when it is given up
	ended chan struct{}        // closed when none of its streams runs any more after that
}

// newAccount makes the part of an account, without streams.
func (l *Pipeline) newAccount(source Source) *accountWorker {
	c, client := source.Config, source.Client
	a := &accountWorker{
		Source: source, logger: l.Logger, registry: l.Registry, slots: make(chan struct{}, c.Poll.Concurrency),
		more: make(chan []*streamWorker), gone: make(chan struct{}), ended: make(chan struct{}),
	}
	if name := c.Account(); name != "" {
		a.logger = l.Logger.With("account", name)
		a.registry = prometheus.WrapRegistererWith(prometheus.Labels{"account": name}, l.Registry)
	}
	a.account, a.pages = AccountOf(c, client, a.logger), WatchShape(client, a.logger)
	if l.Tracing != nil {
		a.pages = l.Tracing.Pages(a.pages)
	}
	for _, metric := range a.metrics() {
		a.registry.MustRegister(metric)
	}
	return a
}

// metrics are those of the account as a whole.
func (a *accountWorker) metrics() []prometheus.Collector {
	return append(ShapeMetrics(a.Client.ShapeChanges), a.account.Budget, UnknownMembers(a.Client.UnknownMembers))
}

// run polls the account's streams until the context ends, the account is given up, or nothing of the pipeline runs any
// more. It tells the lifetime of each stream that has ended.
func (a *accountWorker) run(ctx context.Context, life *lifetime) {
	defer close(a.ended)
	a.account.Begin(ctx)
	running, over, stopWatching := 0, make(chan struct{}), func() {}
	begin := func(workers []*streamWorker) {
		if running == 0 && len(workers) > 0 {
			stopWatching = a.watch(ctx)
		}
		running += len(workers)
		for _, w := range workers {
			go func() {
				w.run(ctx, a.logger)
				over <- struct{}{}
			}()
		}
	}
	begin(a.workers)
	for gone := a.gone; running > 0 || gone != nil; {
		select {
		case workers := <-a.more:
			begin(workers)
		case <-over:
			if running--; running == 0 {
				stopWatching() // which costs a call an hour
			}
			life.end()
		case <-gone:
			gone = nil
		case <-life.over: // also soon after the context has ended
			return
		}
	}
}

// watch lets the account be read regularly until the returned function is called.
func (a *accountWorker) watch(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { a.account.Watch(ctx) })
	return func() {
		cancel()
		watching.Wait()
	}
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
