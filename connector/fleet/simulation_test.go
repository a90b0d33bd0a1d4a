package fleet

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// world is a fleet, its board and the network between them, in virtual time. All that happens follows from the seed.
type world struct {
	rng      *rand.Rand
	now      time.Duration
	queue    agenda
	order    int
	until    map[string]time.Duration // the board: when each announcement expires
	older    []snapshot               // what the board showed, twice a second, for lists that are stale
	replicas []*simulated
	streams  *streams
	born     int
	faults   int
	calm     bool // nothing more happens on purpose
	outage   bool // the board cannot be reached by anyone
	// barred is what the board refuses to everyone: nothing, announcements, or lists as well.
	barred operation
}

type snapshot struct {
	at  time.Duration
	ids []string
}

// step is something that happens at a time; those of one time in the order in which they were planned.
type step struct {
	at    time.Duration
	order int
	do    func()
}

type agenda []step

func (a agenda) Len() int { return len(a) }

func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].order < a[j].order
}

func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(s any)   { *a = append(*a, s.(step)) }

func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func newWorld(seed uint64, streams int) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 9)), until: map[string]time.Duration{}, streams: newStreams(streams)}
	w.after(0, w.remember)
	return w
}

// time is now as the replicas see it.
func (w *world) time() time.Time { return time.Unix(1e9, 0).Add(w.now) }

func (w *world) after(d time.Duration, do func()) {
	w.order++
	heap.Push(&w.queue, step{w.now + d, w.order, do})
}

// run lets the time pass.
func (w *world) run(until time.Duration) {
	for len(w.queue) > 0 && w.queue[0].at <= until {
		next := heap.Pop(&w.queue).(step)
		w.now = next.at
		next.do()
	}
	w.now = until
}

func (w *world) chance(p float64) bool { return w.rng.Float64() < p }

func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rng.Int64N(int64(most-least)+1))
}

// delay is how long something takes on its way.
func (w *world) delay() time.Duration {
	if w.chance(.02) {
		return w.between(50*time.Millisecond, attempt/2-time.Millisecond)
	}
	return w.between(time.Millisecond, 50*time.Millisecond)
}

// record is what the board does when an announcement or a withdrawal arrives.
func (w *world) record(id string, leaves bool) {
	if leaves {
		delete(w.until, id)
	} else {
		// the broker removes what expired up to a second late
		w.until[id] = w.now + Lifetime + w.between(0, time.Second)
	}
	for _, r := range w.replicas {
		if r.state == dead || r.deaf(w) || w.chance(.01) {
			continue
		}
		w.after(w.delay(), func() {
			r.do(func() { r.membership.heard(id, leaves, w.time()) })
		})
	}
}

func (w *world) list() (ids []string) {
	for id, until := range w.until {
		if w.now < until {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// stale is what the board showed up to two seconds ago.
func (w *world) stale() []string {
	return w.older[w.rng.IntN(len(w.older))].ids
}

func (w *world) remember() {
	w.older = append(w.older, snapshot{w.now, w.list()})
	for w.older[0].at < w.now-2*time.Second {
		w.older = w.older[1:]
	}
	w.after(500*time.Millisecond, w.remember)
}

// fault counts something that was done to the fleet on purpose. Whom the others count on instead of those that are gone
// may just have gone as well.
func (w *world) fault() {
	w.faults++
	w.streams.anew(forsaken, w.now)
	w.streams.anew(twoAble, w.now)
}

// place is where replicas run one after the other, like a pod of a StatefulSet; or, if renamed is set, of a Deployment.
type place struct {
	name    int
	renamed bool
	replica *simulated
}

// boot starts a replica at a place.
func (p *place) boot(w *world) {
	w.born++
	label := fmt.Sprintf("pod-%d:8080", p.name)
	if p.renamed {
		label = fmt.Sprintf("pod-%d-%d:8080", p.name, w.born)
	}
	p.replica = newSimulated(w, fmt.Sprintf("%s.r%04d", label, w.born))
}

// live has a place go through its life: its replica is killed, ended, stopped, cut off, and comes back.
func (p *place) live(w *world, pause time.Duration) {
	w.after(w.between(pause/4, 2*pause), func() {
		if w.calm {
			return
		}
		r, again := p.replica, p.live
		switch k := w.rng.IntN(10); {
		case r.state != running || r.fault != well:
		case k < 2:
			w.fault()
			r.die(w)
			w.after(w.between(100*time.Millisecond, 30*time.Second), func() { p.boot(w) })
		case k < 5:
			w.fault()
			r.terminate(w)
			w.after(w.between(100*time.Millisecond, 20*time.Second), func() { p.boot(w) })
		case k < 7:
			w.fault()
			r.stop(w)
			w.after(w.between(time.Second, 40*time.Second), func() { r.wake(w) })
		default:
			w.fault()
			r.trouble(w, []fault{cut, cut, mute, dumb, deafened, denied, denied}[w.rng.IntN(7)])
			w.after(w.between(time.Second, 60*time.Second), func() { r.trouble(w, well) })
		}
		again(w, pause)
	})
}

// outages has the board be away for everyone now and then.
func (w *world) outages(pause time.Duration) {
	w.after(w.between(pause/2, 2*pause), func() {
		if w.calm {
			return
		}
		w.fault()
		w.setOutage(true)
		w.after(w.between(time.Second, 40*time.Second), func() { w.setOutage(false) })
		w.outages(pause)
	})
}

func (w *world) setOutage(on bool) {
	w.outage = on
	w.assess()
}

// bars has the board refuse announcements to everyone now and then.
func (w *world) bars(pause time.Duration) {
	w.after(w.between(pause/2, 2*pause), func() {
		if w.calm {
			return
		}
		w.fault()
		w.bar([]operation{announcing, listing}[w.rng.IntN(2)])
		w.after(w.between(time.Second, time.Minute), func() { w.bar(none) })
		w.bars(pause)
	})
}

func (w *world) bar(what operation) {
	w.barred = what
	w.assess()
}

// assess tells how all replicas are after the board has changed.
func (w *world) assess() {
	w.streams.anew(twoAble, w.now)
	for _, r := range w.replicas {
		r.assess(w)
	}
}
