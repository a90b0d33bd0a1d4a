package simulation

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// replica is one running connector: a coroutine that yields before and after every external effect. It may be stopped
// there forever, which is a crash.
type replica struct {
	run    *run
	name   string
	next   func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	pauses int
	idle   int    // turns to stand down
	seen   uint64 // the log's version when it last looked
	place  *place
	fenced int // times in a row, without a commit of its own in between
	polls  int
	began  int // when the last successful poll began
	rested int // polls in a row that left nothing to do
	err    error
	reader *reader.Reader
}

// crashed ends a replica's coroutine from within.
type crashed struct{}

func (r *replica) pause() {
	r.pauses++
	if !r.yield(struct{}{}) {
		panic(crashed{})
	}
}

// live starts the replica as after a crash, with nothing but what the log holds.
func (r *replica) live() {
	r.reader, r.rested, r.idle, r.began = nil, 0, 0, r.run.world.now
	r.next, r.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if p := recover(); p != nil {
				if _, ok := p.(crashed); !ok {
					panic(p)
				}
			}
		}()
		r.yield = yield
		r.work()
	})
}

func (r *replica) work() {
	cfg := r.run.world.cfg
	ctx := context.Background()
	r.run.instances++
	name := fmt.Sprintf("%s-%d", r.name, r.run.instances)
	r.fenced, r.place = 0, &place{broker: r.run.broker, pause: r.pause, claim: connector.Claim{
		Stream: stream, Privacy: "hashed", Instance: name, TypePrefix: "t", Window: math.MaxInt,
	}}
	reading := reader.Reading{
		Stream: stream, Rules: r.run.rules, Events: connector.EventSettings{TypePrefix: "t"},
		Retry: r.patience(), Workers: pool{r.run.world},
	}
	if r.run.seed%4 == 0 {
		reading.MemoryLimit = &room{r.run.world, rand.New(rand.NewPCG(r.run.seed, uint64(r.run.instances)))}
	}
	reading.AcceptHistory = rand.New(rand.NewPCG(r.run.seed, uint64(r.run.instances))).Float64() < cfg.word
	session := reader.NewSession(&pages{world: r.run.world, pause: r.pause}, r.place, reading, r.run.start)
	for {
		r.pause()
		if r.idle > 0 {
			// Fenced: stand down until the other replica has not committed for a while.
			if r.idle--; r.idle == 0 && r.seen != r.run.broker.version {
				r.wait()
			}
			continue
		}
		r.polls++
		began := r.run.world.now
		deep := session.Owns() && session.Reader().StartPage() > 0
		var out reader.Outcome
		var err error
		if r.polls%2 == 0 && session.Owns() && (session.Reader().AcceptDue() || session.Reader().EndCheckDue()) {
			out, err = session.Sweep(ctx, epoch)
		} else if r.polls%cfg.sweep == 0 && session.Owns() && session.Reader().StartPage() == 0 {
			for out.More = true; out.More && err == nil; {
				out, err = session.Sweep(ctx, epoch.Add(1000*time.Hour))
			}
		} else {
			out, err = session.Poll(ctx)
			if err == nil {
				r.run.certifiedSafely(walk{r.began, began, deep, out.Proven})
				r.began = began
			}
			if out.Held > 0 {
				r.run.noteHeld(session.Reader())
			}
		}
		r.reader, r.err = session.Reader(), err
		if *steps {
			r.trace(out)
		}
		switch {
		case errors.Is(err, connector.ErrFenced):
			r.standDown()
			r.rested = 0
		case err != nil:
			r.rested = 0
		case session.Reader().Checkpoint().Accepting != nil, session.Reader().EndOpen():
			r.rested = 0
		case out.Rested:
			r.rested++
		case r.polls%cfg.sweep != 0 || out.Delivered > 0:
			r.rested = 0
		}
	}
}

func (r *replica) trace(out reader.Outcome) {
	b := r.run.broker
	fmt.Printf("%s poll %d now %d: %+v err=%v; log %d certified %d listed %d", r.name, r.polls, r.run.world.now, out,
		r.err, len(b.events), b.checkpoint.Certified, len(r.run.world.list))
	if r.reader != nil {
		size, open := r.reader.Seen()
		fmt.Printf(" start %d window %d open %d", r.reader.StartPage(), size, open)
	}
	if end := b.checkpoint.UncheckedEnd; end != nil {
		fmt.Printf(" end %v, confirmed %d, missed %d", numbers(end.Keys), end.Confirmed, end.Misses)
	}
	fmt.Println()
}

func numbers(keys connector.Keys) []int {
	numbers := make([]int, len(keys))
	for i, key := range keys {
		numbers[i] = number(key)
	}
	return numbers
}

// standDown leaves the stream to the other owner, twice as long each time that it committed nothing in between
// (Poller.standDown).
func (r *replica) standDown() {
	if r.place.committed {
		r.fenced, r.place.committed = 0, false
	}
	r.fenced++
	r.wait()
}

func (r *replica) wait() {
	r.idle, r.seen = r.run.world.between(100, 200)<<min(r.fenced-1, 5), r.run.broker.version
}

// pool makes one after the other the calls that the real pool makes in parallel: in order, in the order of a few
// workers, or in any order.
type pool struct{ world *world }

func (c pool) Each(ctx context.Context, n int, do func(context.Context, int) error) error {
	workers := pick(c.world.rng, 1, 4, max(n, 1))
	for next := rangeOf(n); len(next) > 0; {
		at := c.world.rng.IntN(min(workers, len(next)))
		if err := do(ctx, next[at]); err != nil {
			return err
		}
		next = slices.Delete(next, at, at+1)
	}
	return nil
}

func rangeOf(n int) []int {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	return numbers
}

func (c pool) Go(do func()) func() {
	do()
	return func() {}
}

// patience tries again half of the time. In some worlds it does so even for commits with an unclear outcome: then the
// reader that holds what was to be committed takes the log over again, rather than its successor. It has random numbers
// of its own, so that other worlds do not change.
type patience struct {
	world *world
	rng   *rand.Rand // nil if unclear commits are given up at once
}

func (r *replica) patience() patience {
	p := patience{world: r.run.world}
	if r.run.seed%3 == 0 {
		p.rng = rand.New(rand.NewPCG(r.run.seed, uint64(r.run.instances)))
	}
	return p
}

func (p patience) Page(_ context.Context, fault *connector.PageError) error {
	if p.world.quiet || p.world.rng.IntN(2) == 0 {
		return fault
	}
	return nil
}

func (p patience) Commit(_ context.Context, cause error) error {
	if errors.Is(cause, errUnclear) {
		if p.rng == nil || p.rng.IntN(4) == 0 {
			return cause
		}
		return nil
	}
	if p.world.rng.IntN(3) == 0 {
		return cause
	}
	return nil
}

// room is shared with other streams, and full at times. It has random numbers of its own, so that other worlds do not
// change.
type room struct {
	world *world
	rng   *rand.Rand
}

func (r *room) Hold(pages int) error {
	if pages > 1 && !r.world.quiet && r.rng.IntN(5) == 0 {
		return reader.ErrMemoryLimit
	}
	return nil
}

func (r *room) Ahead(held, wanted int) int { return max(held, min(wanted, r.rng.IntN(3))) }

var stream = connector.Stream{Name: "sim", Number: "+10000000", SourceKey: "k"}

// run is the world of one seed, with its log and its replicas.
type run struct {
	seed      uint64
	world     *world
	broker    *broker
	rules     reader.Rules
	start     connector.Start
	replicas  []*replica
	instances int
	holes     map[int]bool
	checked   uint64
}

func newRun(seed uint64, draw func(*rand.Rand) settings) *run {
	rng := rand.New(rand.NewPCG(seed, 0x2c4a7))
	cfg := draw(rng)
	cfg.unguarded = *mutation == "unguarded"
	w := newWorld(rng, cfg)
	rules := reader.DefaultRules()
	rules.Page, rules.Run, rules.SlicePages, rules.MinWindow, rules.Capacity = cfg.page, cfg.run, cfg.slice, cfg.memory, 0
	rules.Tail, rules.Floor, rules.SweepPages, rules.Rejects = 32, 10, cfg.sweepPages, 100_000
	rules.Capacity, rules.SweepDepth = cfg.memory, 10_000*time.Hour
	rules.CheckOver = longestLie * 3 / 2 * time.Second
	s := &run{seed: seed, world: w, broker: newBroker(w), rules: rules, holes: map[int]bool{}}
	switch cfg.begin {
	case "beginning":
		s.start = connector.Start{Beginning: true}
	case "since":
		s.start = connector.Start{Since: epoch.Add(time.Duration(cfg.history/cfg.ties/2) * time.Second)}
	}
	w.since, w.timeless = s.start.Since, len(cfg.lie) > 0 && cfg.begin != "since" && seed%5 == 4
	for i := range cfg.replicas {
		r := &replica{run: s, name: fmt.Sprint("replica-", i)}
		r.live()
		s.replicas = append(s.replicas, r)
	}
	return s
}

// turn lets one replica make its next step, or ends it.
func (s *run) turn() {
	r := s.replicas[s.world.rng.IntN(len(s.replicas))]
	if !s.world.quiet && s.world.chance(s.world.cfg.crash) {
		r.stop()
		r.live()
	}
	if _, ok := r.next(); !ok {
		r.live()
	}
}

func (s *run) polls() int {
	n := 0
	for _, r := range s.replicas {
		n += r.polls
	}
	return n
}

// walk describes a walk that certified something: when it and the one before began, whether that was below page 0, and
// whether it proved itself.
type walk struct {
	before, began int
	deep, proven  bool
}

// residue reports which of the known limits explains that such a walk hides a message, by how the list changed
// meanwhile.
func (s *run) residue(n int, by walk) residue {
	w := s.world
	here := w.deletes(n, by.began, w.now)
	before := w.deletes(n, by.before, by.began)
	switch {
	case by.proven && (before+here > 1 || before+here > 0 && w.cameLate(by.before)):
		return ofGroups // a batch may be read while the walk before still goes on
	case !by.proven && by.deep && before > 0 && here > 0:
		return ofWalks
	}
	return none
}

// certifiedSafely counts holes: messages that were listed before the walk began, are at or below the newest ground
// message, and are neither delivered nor late, unwanted or held (I6). A later walk or a sweep may still find them.
func (s *run) certifiedSafely(by walk) {
	b, w := s.broker, s.world
	if s.checked == b.checkpoint.Certified || w.replaced {
		return
	}
	s.checked = b.checkpoint.Certified
	top := slices.IndexFunc(w.list, func(n int) bool { at := w.items[n].sequence; return at > 0 && at <= s.checked })
	if top < 0 {
		return
	}
	for _, n := range w.list[top:] {
		it := &w.items[n]
		if it.sequence == 0 && it.born < by.began && !it.late && !it.poison && !it.refused && !w.unwanted[n] {
			if s.holes[n] {
				continue // an earlier certification hid it
			}
			if *steps {
				fmt.Printf("hole %d at %d, by %+v, residue %d: %+v\n", n, w.now, by, s.residue(n, by), *it)
			}
			s.holes[n] = true
			it.residue = s.residue(n, by)
		}
	}
}

// result is the result of a world.
type result struct {
	events, calls, commits, polls, accepted                                                                 int
	lost, lateLost, overlooked, late, held, holes, residue, passedOver, slipped, disorder, replacedDisorder int
	restless                                                                                                bool
	faults                                                                                                  []string
}

// finish runs the world with its faults, then without them until nothing changes any more, and counts.
func (s *run) finish() result {
	w, b := s.world, s.broker
	defer func() {
		for _, r := range s.replicas {
			r.stop()
		}
	}()
	for s.polls() < w.cfg.polls*len(s.replicas) && len(b.faults) == 0 {
		s.turn()
	}
	return s.count(!s.settleDown())
}

// settleDown stops all changes until one replica has found nothing to do for a while; false if that never happens.
func (s *run) settleDown() bool {
	w := s.world
	w.quiet = true
	s.broker.ghosts, w.now = nil, w.now+100
	for _, r := range s.replicas {
		r.rested = 0
	}
	calm, limit := 3*w.cfg.sweep+3, s.polls()+6000
	for s.polls() < limit && len(s.broker.faults) == 0 && !s.calm(calm) {
		s.turn()
	}
	return s.calm(calm)
}

// calm reports whether one replica has found nothing to do for a while. Two of them keep fencing each other.
func (s *run) calm(polls int) bool {
	for _, r := range s.replicas {
		if r.rested > polls {
			return true
		}
	}
	return false
}

func (s *run) count(restless bool) result {
	w, b := s.world, s.broker
	res := result{
		events: len(b.events), calls: w.calls, commits: b.commits, accepted: b.accepted, polls: s.polls(),
		restless: restless, faults: b.faults,
	}
	for i := range w.items {
		if w.items[i].late {
			res.late++
		}
	}
	for n := range s.holes {
		if w.items[n].residue == none {
			res.holes++
		}
	}
	for _, r := range s.replicas {
		if r.rested > 0 {
			s.noteHeld(r.reader)
		}
	}
	for at, n := range w.list {
		key := w.items[n].key
		switch {
		case w.items[n].sequence > 0 || b.rejected[key] || w.unwanted[n]:
		case w.items[n].held:
			res.held++
		case w.items[n].late:
			res.lateLost++
			if s.found(at) {
				res.overlooked++
				if *steps {
					fmt.Printf("overlooked %d at %d of %d: %+v\n", n, at, len(w.list), w.items[n])
				}
			} else if *steps {
				fmt.Printf("undecided %d at %d of %d\n", n, at, len(w.list))
			}
		case w.items[n].residue == ofGroups:
			res.passedOver++
		case w.items[n].residue == ofWalks:
			res.residue++
		case w.items[n].residue == ofPieces:
			res.slipped++
		default:
			res.lost++
			if *steps {
				fmt.Printf("lost %d, born at %d, %+v\n", n, w.items[n].born, w.items[n])
			}
		}
	}
	last := 0
	for i := range b.events {
		n := number(b.events[i].Key)
		if b.events[i].Late || w.items[n].late || w.items[n].twice {
			continue
		}
		if n < last {
			if w.replaced {
				res.replacedDisorder++
			} else {
				res.disorder++
			}
		}
		last = max(last, n)
	}
	return res
}

// found reports whether a sweep that sees the whole list finds an unknown message at a place: a certified message is
// above it, and below it one that was delivered in order and is not within a page of the window's edge. This is valid
// if nothing was erased.
func (s *run) found(at int) bool {
	w, b := s.world, s.broker
	size := 0
	for _, r := range s.replicas {
		if r.rested > 0 && r.reader != nil {
			size, _ = r.reader.Seen()
		}
	}
	edge := b.checkpoint.Sequence - uint64(size) + 1
	if edge > 1 {
		edge += uint64(w.cfg.page)
	}
	known := func(n int) bool { return w.items[n].sequence > 0 }
	// a sweep continues a slice beyond its depth in a run of such messages
	reach := min(len(w.list), (w.cfg.sweepPages+w.cfg.slice)*w.cfg.page)
	return at < (w.cfg.sweepPages-1)*w.cfg.page && slices.ContainsFunc(w.list[:at], known) &&
		slices.ContainsFunc(w.list[at:reach], func(n int) bool {
			return known(n) && w.items[n].sequence >= edge && !b.events[w.items[n].sequence-1].Late
		})
}

// noteHeld records what a reader reports as held; its successors need not know.
func (s *run) noteHeld(reader *reader.Reader) {
	for i := range s.world.items {
		if it := &s.world.items[i]; reader != nil && reader.IsHeld(it.key) {
			it.held = true
		}
	}
}
