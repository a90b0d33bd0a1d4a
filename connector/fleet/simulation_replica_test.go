package fleet

import "time"

// fault is what is wrong between a replica and the board.
type fault int

const (
	well     fault = iota
	cut            // nothing gets through
	mute           // nothing can be announced or withdrawn
	dumb           // announcements arrive, but no answer comes back
	deafened       // nothing is heard
	denied         // announcements and withdrawals are refused
)

type state int

const (
	running state = iota
	stopped       // as by SIGSTOP
	dead
)

// simulated is a replica of the world. It makes its rounds as attendant does.
type simulated struct {
	id         string
	membership *membership
	state      state
	fault      fault
	busy, held bool
	backlog    []func() // what reached it while it was stopped
	leaving    bool
	edition    int
	told       bool // it has had a view
	apart      bool // it was refused when it began, and has not had its share since
	out        bool // it asks again later
	sound      bool // it has been well for Lifetime
	illnesses  int
	world      *world
}

func newSimulated(w *world, id string) *simulated {
	r := &simulated{id: id, membership: newMembership(id), sound: true, world: w}
	w.replicas = append(w.replicas, r)
	w.streams.bear(id)
	r.assess(w)
	w.after(w.between(0, Round), func() { r.tick(w) })
	return r
}

// do has the replica do something, when it next can.
func (r *simulated) do(what func()) {
	switch {
	case r.state == dead || r.leaving:
	case r.state == stopped:
		r.backlog = append(r.backlog, what)
	default:
		what()
		r.look()
	}
}

// look takes over the view that the membership has now.
func (r *simulated) look() {
	if r.edition == r.membership.edition {
		return
	}
	view, known := r.membership.view()
	if r.edition = r.membership.edition; !known {
		return
	}
	r.told = true
	if r.apart && len(view.Members) == 0 {
		return // it goes on with everything until the others have noticed it
	}
	if r.apart {
		r.apart = false
		r.assess(r.world)
	}
	r.world.streams.take(r, view, r.world)
}

func (r *simulated) tick(w *world) {
	if r.state == dead || r.leaving {
		return
	}
	if r.state == stopped { // a ticker keeps one tick for later
		if !r.held {
			r.held = true
			r.backlog = append(r.backlog, func() { r.held = false; r.round(w) })
		}
	} else {
		r.round(w)
	}
	w.after(Round, func() { r.tick(w) })
}

// deaf reports whether it hears nothing.
func (r *simulated) deaf(w *world) bool { return w.outage || r.fault == cut || r.fault == deafened }

// call makes a call of the board: arrives happens there if the call arrives, then done here.
func (r *simulated) call(w *world, reaches, answered bool, arrives func(), done func(ok bool)) {
	there, back := w.delay(), w.delay()
	if reaches && w.chance(.003) { // it arrives after all, when the replica no longer waits for it
		there, answered = w.between(attempt, 5*time.Second), false
	}
	if reaches {
		w.after(there, arrives)
	}
	if reaches && answered {
		w.after(there+back, func() { r.do(func() { done(true) }) })
	} else {
		w.after(attempt, func() { r.do(func() { done(false) }) })
	}
}

func (r *simulated) round(w *world) {
	if r.busy || r.out {
		return
	}
	r.busy = true
	begun := w.time()
	reaches := !w.outage && r.fault != cut && r.fault != mute
	if reaches && r.denied(w) {
		r.call(w, true, r.fault != dumb, func() {}, func(ok bool) {
			if r.refused(w, ok); !r.out {
				r.list(w)
			}
		})
		return
	}
	r.call(w, reaches, r.fault != dumb, func() { w.record(r.id, false) }, func(ok bool) {
		if ok {
			r.membership.announced(begun, w.time())
		} else {
			r.membership.unanswered()
		}
		r.list(w)
	})
}

func (r *simulated) list(w *world) {
	var ids []string
	begun := w.time()
	reaches := !w.outage && r.fault != cut
	if reaches && w.barred == listing {
		r.call(w, true, true, func() {}, func(ok bool) {
			r.busy = false
			if ok {
				r.refused(w, true)
			}
		})
		return
	}
	r.call(w, reaches, true, func() {
		if ids = w.list(); w.chance(.05) {
			ids = w.stale()
		}
	}, func(ok bool) {
		r.busy = false
		if !ok {
			return
		}
		for _, ghost := range r.membership.listed(ids, begun, w.time()) {
			w.after(w.delay(), func() { w.record(ghost, true) })
		}
		r.wait(w)
	})
}

// wait has the membership go on when it is due.
func (r *simulated) wait(w *world) {
	if left, waits := r.membership.due(w.time()); waits {
		w.after(left, func() { r.do(func() { r.membership.tick(w.time()) }) })
	}
}

// denied reports whether the board refuses its announcements.
func (r *simulated) denied(w *world) bool { return w.barred != none || r.fault == denied }

// refused is what happens when the board has refused something, or when its answer did not arrive. A replica that has
// just begun reads everything, and takes part anew after a while, as the pipeline has it.
func (r *simulated) refused(w *world, answered bool) {
	switch {
	case !answered:
		r.membership.unanswered()
	case r.told:
		r.membership.refused(w.time())
		r.wait(w)
	default:
		r.busy, r.apart, r.out = false, true, true
		r.world.streams.take(r, Alone(r.id, w.time()), w)
		r.assess(w)
		w.after(time.Minute, func() {
			r.do(func() {
				r.membership, r.edition, r.out = newMembership(r.id), 0, false
			})
		})
	}
}

// reading reports whether it runs and reaches the sink.
func (r *simulated) reading(w *world) bool { return r.state == running && !w.outage && r.fault != cut }

// able reports whether it runs, and can announce itself and list.
func (r *simulated) able(w *world) bool { return r.willing(w) && !r.denied(w) && !r.apart }

// willing reports whether it reads what nobody else does: it is able, or it is told that it may not take part.
func (r *simulated) willing(w *world) bool { return r.reading(w) && r.fault != mute && r.fault != dumb }

// assess tells the streams how it is. Lifetime after the last fault it is sound again.
func (r *simulated) assess(w *world) {
	if r.able(w) && r.fault == well {
		was := r.illnesses
		w.after(Lifetime, func() {
			if r.illnesses == was {
				r.sound = true
				w.streams.assess(r, w)
			}
		})
	} else {
		r.illnesses++
		r.sound = false
	}
	w.streams.assess(r, w)
}

func (r *simulated) die(w *world) {
	r.state = dead
	r.assess(w)
}

// terminate is SIGTERM: the presence is withdrawn while the streams end.
func (r *simulated) terminate(w *world) {
	r.leaving = true
	if !w.outage && r.fault != cut && r.fault != mute && !r.denied(w) && !r.out {
		w.after(w.delay(), func() { w.record(r.id, true) })
	}
	w.after(w.between(0, time.Second), func() { r.die(w) })
}

func (r *simulated) stop(w *world) {
	r.state = stopped
	r.assess(w)
}

func (r *simulated) wake(w *world) {
	if r.state != stopped {
		return
	}
	r.state = running
	w.streams.anew(twoAble, w.now)
	backlog := r.backlog
	r.backlog = nil
	r.assess(w)
	w.rng.Shuffle(len(backlog), func(i, j int) { backlog[i], backlog[j] = backlog[j], backlog[i] })
	for _, what := range backlog {
		r.do(what)
	}
}

func (r *simulated) trouble(w *world, f fault) {
	r.fault = f
	w.streams.anew(twoAble, w.now)
	r.assess(w)
}
