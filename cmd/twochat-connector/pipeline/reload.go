package pipeline

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
)

// Reloaded is what a change of the configuration came to.
type Reloaded struct {
	Begun, Ended, Kept int // streams
}

// errEnding means that a pipeline takes nothing over any more.
var errEnding = errors.New("the program is ending")

// Reload takes over the streams, accounts, intervals and limits of another configuration; what a running instance cannot
// take over, config.NeedsRestart says. A stream that stays is neither given up nor acquired anew, and its walk goes on. One
// that is gone finishes its commit and gives up its place in the sink; a new one begins as at a start of the program, and
// so does one that was refused. If the error is not nil, nothing has changed. ctx is that of Run.
func (l *Pipeline) Reload(ctx context.Context, next *config.Config) (Reloaded, error) {
	select {
	case <-l.begun:
	case <-ctx.Done():
		return Reloaded{}, errEnding
	}
	l.arrangement.changing.Lock()
	defer l.arrangement.changing.Unlock()
	if !l.life.begin() {
		return Reloaded{}, errEnding
	}
	defer l.life.end()
	plan, err := l.arrangement.plan(next)
	if err != nil {
		return Reloaded{}, err
	}
	l.arrangement.follow(ctx, plan)
	if l.replicas != nil {
		var accounts []Source
		for _, a := range l.all() {
			accounts = append(accounts, a.Source)
		}
		l.replicas.adopt(accounts)
	}
	return Reloaded{Begun: plan.begin, Ended: len(plan.leaving), Kept: plan.kept}, nil
}

// arrangement is which streams a pipeline runs: it changes with the configuration, and as other replicas come and go.
type arrangement struct {
	*Pipeline
	changing sync.Mutex                 // held during a change
	fresh    map[string]connector.Claim // of the start, for streams that have not begun yet
}

// follow does what is planned.
func (l *arrangement) follow(ctx context.Context, p *plan) {
	l.leave(p)
	l.join(ctx, p)
	if l.replicas != nil {
		l.replicas.assign(l.all())
		l.share(p)
	}
}

// plan is how a pipeline gets from one configuration to another, or from one share of the streams to another.
type plan struct {
	next     []*planned
	leaving  []*streamWorker
	accounts []*accountWorker // that are given up
	begin    int
	kept     int
}

// planned is an account of the next configuration.
type planned struct {
	Source
	was    *accountWorker // nil for a new one
	claims []connector.Claim
	kept   map[string]*streamWorker // by the stream's name; the others begin
}

// plan compares the configuration with what runs. It opens the new accounts, and starts nothing.
func (l *arrangement) plan(next *config.Config) (*plan, error) {
	running := l.all()
	p := &plan{accounts: slices.Clone(running)}
	for _, one := range next.ByAccount() {
		to := &planned{kept: map[string]*streamWorker{}}
		for _, a := range running {
			if a.Config.Account() == one.Account() {
				to.was, to.Source = a, a.Source
				to.Config = one
			}
		}
		if to.was == nil {
			var err error
			if to.Source, err = openSource(one); err != nil {
				p.discard()
				return nil, err
			}
		}
		p.accounts = slices.DeleteFunc(p.accounts, func(a *accountWorker) bool { return a == to.was })
		p.next = append(p.next, to)
	}
	l.complete(p)
	return p, nil
}

// complete finds out what the accounts of a plan mean for the streams.
func (l *arrangement) complete(p *plan) {
	for _, to := range p.next {
		to.claims = l.owned(to.Source)
		p.compare(to)
	}
	for _, a := range p.accounts {
		p.leaving = append(p.leaving, a.workers...)
	}
}

// compare finds the streams of an account that stay, and those that leave it.
func (p *plan) compare(to *planned) {
	if to.was != nil {
		for _, w := range to.was.workers {
			stays := slices.ContainsFunc(to.claims, func(c connector.Claim) bool { return c.Stream == w.stream })
			if stays && !w.hasEnded() {
				to.kept[w.stream.Name] = w
			} else {
				p.leaving = append(p.leaving, w)
			}
		}
	}
	p.kept += len(to.kept)
	p.begin += len(to.claims) - len(to.kept)
}

// discard closes what was opened for a plan that is given up.
func (p *plan) discard() {
	for _, to := range p.next {
		if to.was == nil {
			to.Client.Close()
		}
	}
}

// leave ends the streams and accounts that are gone, and waits for them: a commit in progress is finished.
func (l *arrangement) leave(p *plan) {
	for _, w := range p.leaving {
		close(w.gone)
	}
	for _, w := range p.leaving {
		<-w.ended
		w.close(l.Logger)
		l.metrics.Remove(w.stream.Name)
	}
	for _, a := range p.accounts {
		close(a.gone)
		<-a.ended
		for _, metric := range a.metrics() {
			a.registry.Unregister(metric)
		}
		a.Client.Close()
	}
}

// join adjusts what stays, and begins what is new.
func (l *arrangement) join(ctx context.Context, p *plan) {
	var next []*accountWorker
	begin := map[*accountWorker][]*streamWorker{}
	for _, to := range p.next {
		a := l.taken(to)
		var workers []*streamWorker
		for _, claim := range to.claims {
			w := to.kept[claim.Stream.Name]
			if w == nil {
				claim, accept := l.begins(claim)
				w = l.newStreams(a, []connector.Claim{claim}, startWithin(to.Config), accept)[0]
				begin[a] = append(begin[a], w)
				l.life.begin() // which it may, as this change is under way
			}
			workers = append(workers, w)
		}
		a.workers = workers
		next = append(next, a)
	}
	l.mu.Lock()
	l.accounts = next
	l.mu.Unlock()
	for i, a := range next {
		if p.next[i].was == nil {
			l.work.Go(func() { a.run(ctx, l.life) })
			continue
		}
		if len(begin[a]) == 0 {
			continue
		}
		select {
		case a.more <- begin[a]:
		case <-a.ended: // the program ends
			for _, w := range begin[a] {
				close(w.ended)
				l.life.end()
			}
		}
	}
}

// taken is the part of an account with its next configuration: the one that runs, adjusted, or a new one.
func (l *arrangement) taken(to *planned) *accountWorker {
	if to.was == nil {
		return l.newAccount(to.Source)
	}
	a := *to.was
	a.Source = to.Source
	if a.key != nil {
		a.key.config.Store(to.Config)
	}
	a.account.Adjust(accountConfig(to.Config, a.Client, a.logger))
	for _, w := range to.kept {
		w.poller.SetIntervals(to.Config.Poll.MinInterval, to.Config.Poll.MaxInterval)
	}
	return &a
}
