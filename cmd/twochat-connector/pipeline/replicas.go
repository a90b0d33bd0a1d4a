package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/fleet"
)

// replicas is what a pipeline knows of the replicas that share the streams with it. It is safe for concurrent use.
type replicas struct {
	label, instance string
	board           fleet.Board
	group           fleet.Group
	logger          *slog.Logger
	newest          chan fleet.View // what is to be followed, if that is not done yet
	renamed         chan struct{}   // holds a token while self has changed and attend has not yet noticed

	mu      sync.Mutex
	self    string            // the ID under which this one takes part
	view    fleet.View        // that is followed
	waiting bool              // no view with members was there yet
	cause   string            // why the members cannot be seen now, and
	hint    string            // what to do; empty if they can
	owners  map[string]string // of all streams, by their names
	changes int
	growing *time.Timer // of the parts of the rate
}

// newReplicas returns nil if the sink is for one process.
func newReplicas(p Parts, instance string) *replicas {
	if !p.Config.Sink.Shared() {
		return nil
	}
	r := &replicas{
		label: p.Label, instance: instance, logger: p.Logger, newest: make(chan fleet.View, 1), waiting: true,
		renamed: make(chan struct{}, 1),
	}
	r.self = r.id(p.Sources)
	r.board, _ = p.Sink.(fleet.Board)
	r.group, _ = p.Sink.(fleet.Group)
	if r.board == nil && r.group == nil {
		return nil
	}
	return r
}

// attend takes part among the replicas until the context ends or the returned function is called, and lets the pipeline
// follow what that means for its streams. What it announced is withdrawn first.
func (l *arrangement) attend(ctx context.Context) (stop func()) {
	r := l.replicas
	if r == nil {
		return func() {}
	}
	l.life.expect(true)
	attending, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() { r.attend(attending) })
	l.work.Go(func() {
		for view := range r.newest {
			l.arrange(ctx, view)
		}
		work.Wait()
		r.stopGrowing()
		l.life.expect(false)
	})
	return cancel
}

// id is the ID of this replica with these accounts. Replicas form a fleet if they read the same streams in the same way:
// a replica cannot leave a stream to one that does not know it, or that the sink would refuse. Where fleets have a stream
// in common, for example while a changed configuration is rolled out, the sink's fence decides who delivers.
func (r *replicas) id(accounts []Source) string {
	var streams []string
	for _, a := range accounts {
		for _, claim := range ClaimsOf(a.Config, a.Privacy, r.instance, Overrides{}) {
			streams = append(streams, claim.Stream.Name+"\x00"+claim.Stream.SourceKey+"\x00"+claim.Privacy)
		}
	}
	slices.Sort(streams)
	sum := sha256.Sum256([]byte(strings.Join(streams, "\x00")))
	return fleet.NewID(hex.EncodeToString(sum[:6]), r.label, r.instance)
}

// current is the ID under which this replica takes part.
func (r *replicas) current() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.self
}

// adopt makes this replica one of those with other accounts or streams.
func (r *replicas) adopt(accounts []Source) {
	id := r.id(accounts)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.self == id {
		return
	}
	r.self = id
	select {
	case r.renamed <- struct{}{}:
	default:
	}
}

// attend takes part until the context ends.
func (r *replicas) attend(ctx context.Context) {
	defer close(r.newest)
	for ctx.Err() == nil {
		life, end := context.WithCancel(ctx)
		over := make(chan struct{})
		go func() {
			defer close(over)
			r.attendAs(life, r.current())
		}()
		select {
		case <-r.renamed:
		case <-over: // it was refused, and may not be any more
		case <-ctx.Done():
		}
		end()
		<-over
	}
}

// refusedWait is how long a replica that is refused waits before it asks again: a person has to mend something.
const refusedWait = time.Minute

// attendAs takes part under an ID until the context ends, or until a refusal is old. Where that cannot work, or does not
// for as long as an announcement counts, this replica reads all streams, as if it were alone; if it is not, the sink's
// fence decides. So it does, says the fleet, once it is refused later for as long.
func (r *replicas) attendAs(ctx context.Context, self string) {
	views, done := make(chan fleet.View), make(chan error, 1)
	var fails atomic.Bool
	failed := func(err error) {
		fails.Store(err != nil)
		r.failed(err)
	}
	changed := func(view fleet.View) { // from the goroutine that calls failed
		if !fails.Load() {
			r.failed(nil) // what failed before this ID
		}
		select {
		case views <- view:
		case <-ctx.Done():
		}
	}
	go func() {
		if r.board != nil {
			done <- fleet.Attend(ctx, fleet.Attendance{Board: r.board, Self: self, Changed: changed, Failed: failed})
		} else {
			done <- fleet.AttendGroup(ctx, r.group, self, changed, failed)
		}
	}()
	patience := time.NewTimer(fleet.Lifetime)
	defer patience.Stop()
	took := false
	for {
		select {
		case view := <-views:
			patience.Stop()
			if len(view.Members) > 0 || took || len(r.now().Members) == 0 {
				r.follow(view) // else it goes on with what it has until the others of a new fleet have noticed it
			}
			took = took || len(view.Members) > 0
		case <-patience.C:
			if !fails.Load() {
				patience.Reset(fleet.Round)
				continue
			}
			r.follow(fleet.Alone(self, time.Now()))
		case err := <-done:
			if err == nil {
				return
			}
			r.failed(err)
			if now := r.now().Members; len(now) != 1 || now[0].ID != self {
				r.follow(fleet.Alone(self, time.Now()))
			}
			_ = connector.Sleep(ctx, refusedWait) // the context says whether it has ended
			return
		}
	}
}

// follow has a view followed, in place of one that is not followed yet.
func (r *replicas) follow(view fleet.View) {
	select {
	case <-r.newest:
	default:
	}
	r.newest <- view
}

// failed records why the members cannot be told apart, or that they can again, and logs each cause once.
func (r *replicas) failed(err error) {
	told, _ := connector.DiagnosticOf(err) // of nil, an empty one
	r.mu.Lock()
	news := r.cause != told.Text()
	r.cause, r.hint = told.Text(), told.Hint
	r.mu.Unlock()
	switch {
	case !news:
	case err == nil:
		r.logger.Info("the other replicas are seen again")
	default:
		r.logger.Warn("other replicas cannot be seen; this one goes on with the streams that it has", "cause", told.Text(), "hint",
			told.Hint)
	}
}

// now is the view that is followed.
func (r *replicas) now() fleet.View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view
}

// arrange gives up the streams that belong to others by this view, and begins those that belong to this replica.
func (l *arrangement) arrange(ctx context.Context, view fleet.View) {
	l.changing.Lock()
	defer l.changing.Unlock()
	if !l.life.begin() {
		return
	}
	defer l.life.end()
	r := l.replicas
	r.mu.Lock()
	r.view = view
	r.changes++
	r.mu.Unlock()
	p := &plan{}
	for _, a := range l.all() {
		p.next = append(p.next, &planned{was: a, Source: a.Source, kept: map[string]*streamWorker{}})
	}
	l.complete(p)
	l.follow(ctx, p)
	for _, to := range p.next {
		for _, w := range to.kept {
			w.poller.EndStandby()
		}
	}
	l.life.expect(len(view.Members) != 1) // alone, it has every stream
	r.mu.Lock()
	r.waiting = r.waiting && len(view.Members) == 0
	r.mu.Unlock()
	l.Logger.Info("replicas share the streams", "replicas", len(view.Members), "streams_begun", p.begin, "streams_ended",
		len(p.leaving), "streams_kept", p.kept)
	if of := r.report(); of.Cause != "" && of.alone() {
		l.Logger.Warn(readsAll, "cause", of.Cause, "hint", of.Hint)
	}
}

// owned are the claims of the streams of an account that this replica reads.
func (l *arrangement) owned(of Source) []connector.Claim {
	claims := ClaimsOf(of.Config, of.Privacy, l.Instance, Overrides{})
	if l.replicas == nil {
		return claims
	}
	view := l.replicas.now()
	var list []connector.Claim
	for _, claim := range claims {
		if view.Owns(claim.Stream.Name) {
			list = append(list, claim)
		}
	}
	return list
}

// begins returns the claim with which a stream begins, and whether what is held is to be delivered: what was asked for
// at the start counts for the streams of the start, once.
func (l *arrangement) begins(claim connector.Claim) (as connector.Claim, acceptHistory bool) {
	name := claim.Stream.Name
	if of, fresh := l.fresh[name]; fresh && of.Stream == claim.Stream {
		delete(l.fresh, name)
		return of, l.Overrides.AcceptHistory
	}
	return claim, false
}

// has reports whether an owner is one of the replicas that are there.
func (r *replicas) has(owner string) bool {
	return slices.ContainsFunc(r.now().Members, func(m fleet.Member) bool { return m.Is(owner) })
}
