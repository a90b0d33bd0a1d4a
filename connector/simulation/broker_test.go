package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// broker is the sink, and everything that survives a crash. It applies a commit as a whole, if its guard holds at that
// moment.
type broker struct {
	world      *world
	events     []connector.Event // index is sequence-1
	places     map[connector.Key]int
	erased     map[uint64]bool
	onRequest  []connector.Seen // what was erased on request, by sequence
	expired    uint64           // sequences up to here have expired from the sink
	rejected   map[connector.Key]bool
	checkpoint connector.Checkpoint
	version    uint64
	ghosts     []ghost
	refuses    map[connector.Key]bool // messages that this sink cannot store
	commits    int
	accepted   int      // times that all held messages were delivered
	accepting  int      // world.now when that began
	faults     []string // broken invariants
}

// ghost is a commit whose request is still in flight.
type ghost struct {
	due     int // world.now when it arrives
	version uint64
	apply   func()
}

func newBroker(w *world) *broker {
	return &broker{
		world: w, places: map[connector.Key]int{}, erased: map[uint64]bool{},
		rejected: map[connector.Key]bool{}, refuses: map[connector.Key]bool{},
	}
}

func (b *broker) fault(format string, args ...any) {
	if len(b.faults) < 5 {
		b.faults = append(b.faults, fmt.Sprintf(format, args...))
	}
}

// arrive applies the ghosts whose time has come. The guard refuses those that are stale.
func (b *broker) arrive() {
	due := slices.Clone(b.ghosts)
	b.ghosts = b.ghosts[:0]
	for _, g := range due {
		switch {
		case g.due > b.world.now:
			b.ghosts = append(b.ghosts, g)
		case g.version == b.version || b.world.cfg.unguarded:
			g.apply()
		}
	}
}

// apply is the atomic step. It checks the invariants that hold for every prefix of the log.
func (b *broker) apply(events []connector.Event, rejects []connector.Reject, next connector.Checkpoint) {
	b.version++
	b.commits++
	for i := range events {
		e := events[i]
		if at, twice := b.places[e.Key]; twice {
			b.fault("I2: %s stands twice, at %d and %d", e.ID, at+1, e.Sequence)
		}
		if int(e.Sequence) != len(b.events)+1 {
			b.fault("I5: sequence %d after %d events", e.Sequence, len(b.events))
		}
		n := number(e.Key)
		if n >= len(b.world.items) || !b.world.items[n].observed || b.world.items[n].poison ||
			string(e.Data) != string(b.world.items[n].data) {
			b.fault("I3: %s was never listed like this", e.ID)
		}
		b.places[e.Key] = len(b.events)
		b.world.items[n].sequence = e.Sequence
		b.events = append(b.events, e)
	}
	for i := range rejects {
		if b.rejected[rejects[i].Key] {
			b.fault("I2: %x is in the quarantine twice", rejects[i].Key)
		}
		b.rejected[rejects[i].Key] = true
	}
	was := b.checkpoint
	switch {
	case int(next.Sequence) != len(b.events):
		b.fault("I5: checkpoint says %d of %d events", next.Sequence, len(b.events))
	case next.Epoch < was.Epoch:
		b.fault("I7: epoch falls from %d to %d", was.Epoch, next.Epoch)
	case next.Certified < was.Certified:
		b.fault("I6: certified falls from %d to %d", was.Certified, next.Certified)
	case uint64(len(next.Tail)) < next.Sequence-next.Certified:
		b.fault("I5: %d keys for %d uncertified events", len(next.Tail), next.Sequence-next.Certified)
	case next.Counters.Rejected != uint64(len(b.rejected)):
		b.fault("I12: checkpoint counts %d rejects of %d", next.Counters.Rejected, len(b.rejected))
	}
	for i, key := range next.Tail {
		at := len(b.events) - len(next.Tail) + i
		if at < 0 || b.events[at].Key != key || b.events[at].Late != slices.Contains(next.TailLate, i) {
			b.fault("I5: tail %d of the checkpoint is not event %d", i, at+1)
			break
		}
	}
	if next.Started && !was.Started || !slices.Equal(next.Floor, was.Floor) {
		b.settle(slices.Concat(next.Floor, next.Rejects))
	}
	if a := next.Accepting; *steps && (a != nil || was.Accepting != nil) {
		fmt.Printf("accepting %+v, %d events, accepted %t\n", a, len(events), next.Accepted)
	}
	if next.Accepted && was.Accepting != nil {
		b.accepted++
	}
	if a := was.Accepting; a != nil && a.Below && next.Accepted {
		b.slips(a.Top, next)
	}
	if a := next.Accepting; a != nil && was.Accepting == nil {
		b.accepting = b.world.now
	}
	if a := was.Accepting; a != nil && !a.Below && next.Accepted {
		for _, n := range b.from(was.Accepting.Top) {
			it := &b.world.items[n]
			if it.sequence == 0 && !it.late && !b.rejected[it.key] && !b.world.unwanted[n] {
				b.fault("accepted, but %s is not delivered", it.uuid)
			}
		}
	}
	if !slices.Equal(next.Horizon, was.Horizon) && next.Accepting == nil && !next.Accepted { // not merely renewed
		for _, n := range b.from(next.Horizon) {
			b.world.items[n].held = true
		}
	}
	b.checkpoint = next
	b.world.grounded = b.world.grounded || next.Certified > 0 || len(next.Floor) > 0
}

// slips records what a delivery of the messages below the log's oldest events may have missed because something above
// was deleted meanwhile (span.go): nothing in the log shows it any more, as everything around it was delivered late.
func (b *broker) slips(top connector.Keys, next connector.Checkpoint) {
	w := b.world
	for _, n := range b.from(top) {
		if next.UncheckedEnd != nil && slices.Contains(next.UncheckedEnd.Keys, w.items[n].key) {
			return // what is below that is checked again
		}
		if w.items[n].sequence == 0 && w.deletes(n, b.accepting, w.now) > 0 {
			w.items[n].residue = ofPieces
		}
	}
}

// from is the part of the list from the first of some keys on.
func (b *broker) from(keys connector.Keys) []int {
	top := slices.IndexFunc(b.world.list, func(n int) bool { return slices.Contains(keys, b.world.items[n].key) })
	if top < 0 {
		return nil
	}
	return b.world.list[top:]
}

// settle records what a first start does not want: the floor and everything below it.
func (b *broker) settle(floor connector.Keys) {
	since := b.world.since
	for _, n := range b.from(floor) {
		it := &b.world.items[n]
		b.world.unwanted[n] = true
		if !since.IsZero() && !it.late && !it.backdated && !epoch.Add(time.Duration(it.time)*time.Second).Before(since) {
			b.fault("the floor of start %s lies above message %d of %d", since, n, it.time)
		}
	}
}

// erase acts as a person who purges events with the right to do so, except those delivered a moment ago.
func (b *broker) erase() {
	w := b.world
	if w.quiet || b.checkpoint.Certified == 0 {
		return
	}
	if w.chance(w.cfg.erase) {
		for range w.between(1, 5) {
			b.erased[uint64(w.between(max(1, int(b.checkpoint.Certified)-500), int(b.checkpoint.Certified)))] = true
		}
	}
	if w.chance(w.cfg.request) {
		b.eraseOnRequest()
	}
	if w.chance(w.cfg.expire) {
		b.expired = max(b.expired, uint64(w.between(int(b.expired), len(b.events))))
	}
}

// eraseOnRequest acts as the command erase: some of the newest events go, all of them or those of one chat, certified or
// not, and what went is recorded for good.
func (b *broker) eraseOnRequest() {
	w := b.world
	chats := w.between(1, 4)
	for _, e := range b.events[max(0, len(b.events)-w.between(1, 400)):] {
		if e.Sequence > b.expired && !b.erased[e.Sequence] && w.between(1, chats) == 1 {
			b.erased[e.Sequence] = true
			b.onRequest = append(b.onRequest, connector.Seen{Key: e.Key, Sequence: e.Sequence, Late: e.Late})
		}
	}
	b.onRequest = connector.SortErased(b.onRequest)
}

// place is one owner's connector.Log.
type place struct {
	broker  *broker
	claim   connector.Claim
	pause   func()
	version uint64
	owned   bool
	unclear bool
	// committed means that it has committed something since it was last fenced.
	committed bool
}

var _ connector.Log = (*place)(nil)

var errUnclear = errors.New("no answer")

func (p *place) Limits() connector.Limits { return connector.Limits{Messages: 40, Bytes: 1 << 20} }
func (p *place) Close() error             { return nil }

func (p *place) Peek(context.Context) (connector.Checkpoint, bool, error) {
	return p.broker.checkpoint, p.broker.checkpoint.Version > 0, nil
}

func (p *place) Acquire(context.Context) (connector.State, error) {
	b, w := p.broker, p.broker.world
	p.owned = false
	for {
		p.pause()
		b.arrive()
		b.erase()
		if !w.quiet && w.chance(w.cfg.busy) {
			return connector.State{}, connector.ErrNotNow
		}
		found, version := b.checkpoint, b.version
		if found.Version > 0 {
			if err := p.claim.Admit(found); err != nil {
				return connector.State{}, err
			}
		}
		p.pause()
		b.arrive()
		if version != b.version {
			continue // another owner, or a ghost, was quicker
		}
		next := p.claim.TakeOver(found, epoch)
		b.apply(nil, nil, next)
		p.version, p.owned, p.unclear = b.version, true, false
		state := connector.State{Checkpoint: next, Erased: slices.Clone(b.onRequest)}
		for i := max(0, len(b.events)-min(len(b.events), p.claim.Window)); i < len(b.events); i++ {
			e := &b.events[i]
			if !b.erased[e.Sequence] && e.Sequence > b.expired {
				state.Seen = append(state.Seen, connector.Seen{Key: e.Key, Sequence: e.Sequence, Late: e.Late})
			}
		}
		p.pause()
		return state, nil
	}
}

func (p *place) Commit(_ context.Context, events []connector.Event, rejects []connector.Reject,
	next connector.Checkpoint,
) error {
	b, w := p.broker, p.broker.world
	if p.unclear || !p.owned {
		b.fault("I8: a commit without a successful acquire before it")
	}
	if n := len(events) + len(rejects); n > p.Limits().Messages {
		b.fault("a commit of %d messages", n)
	}
	p.pause()
	b.arrive()
	for i := range events {
		if b.refuses[events[i].Key] {
			return &connector.Rejected{Key: events[i].Key, Reason: "too large"}
		}
	}
	events, rejects = slices.Clone(events), slices.Clone(rejects)
	version := p.version
	apply := func() { b.apply(events, rejects, next) }
	if !w.quiet {
		switch {
		case w.chance(w.cfg.busy):
			return connector.ErrNotNow
		case w.chance(w.cfg.ghost):
			p.unclear = true
			b.ghosts = append(b.ghosts, ghost{w.now + w.between(0, 12), version, apply})
			return errUnclear
		case w.chance(w.cfg.lost):
			p.unclear = true
			if w.rng.IntN(2) == 0 && (version == b.version || w.cfg.unguarded) {
				apply() // only the answer is lost
			}
			return errUnclear
		}
		if len(events) > 0 && w.chance(w.cfg.reject) {
			key := events[w.rng.IntN(len(events))].Key
			b.refuses[key], w.items[number(key)].refused = true, true
			return &connector.Rejected{Key: key, Reason: "too large"}
		}
	}
	if version != b.version && !w.cfg.unguarded {
		p.owned = false
		return connector.ErrFenced
	}
	apply()
	p.version, p.committed = b.version, true
	p.pause()
	return nil
}
