package reader

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// delivery is what one step is about to commit.
type delivery struct {
	events  []pending // oldest first
	rejects []connector.Reject
	horizon connector.Keys // the new one, if the list has lost all ground
	newer   time.Time      // see Checkpoint.HorizonNewer
	// change, if not nil, edits the checkpoint of each chunk, and gets the chunk's events; last is true for the last
	// chunk.
	change func(next *connector.Checkpoint, events []connector.Event, last bool)
	// committing, if not nil, is called after each chunk but the last, with the share of the events that is left.
	committing func(left float64)
}

// pending is a message that becomes an event. It gets its sequence when it is committed.
type pending struct {
	found
	late    bool
	low     lowness
	refused func(reason string) // see Missing
}

func (b *delivery) add(f *found, late bool) {
	if f.Fault != "" {
		b.rejects = append(b.rejects, connector.NewReject(f.Message, f.Fault, f.received))
		return
	}
	b.events = append(b.events, pending{found: *f, late: late})
}

// addLate adds a message that is late, and what is known of its place among the log's oldest events.
func (b *delivery) addLate(f *found, low lowness) {
	if b.add(f, true); f.Fault == "" {
		b.events[len(b.events)-1].low = low
	}
}

func (b *delivery) oldestFirst() {
	slices.Reverse(b.events)
	slices.Reverse(b.rejects)
}

// below reports whether anything of the delivery is at or below a place in the walk.
func (b *delivery) below(places map[connector.Key]int, top int) bool {
	return slices.ContainsFunc(b.events, func(p pending) bool { return places[p.Key] >= top }) ||
		slices.ContainsFunc(b.rejects, func(r connector.Reject) bool { return places[r.Key] >= top })
}

// writer commits deliveries to the log and updates known accordingly.
type writer struct {
	rules  Rules
	known  *known
	source *source // for the retry policy and the stream's name
	log    connector.Log
	events connector.EventSettings
}

// everything certifies the whole log, including what the same commit appends.
const everything = math.MaxUint64

// commit writes a delivery, oldest first, in as many chunks as the log's limits require; the certified sequence moves
// with the last one. A message that the log rejects goes to the quarantine instead. commit returns what was delivered,
// even with an error.
func (w *writer) commit(ctx context.Context, b delivery, certified uint64) (Outcome, error) {
	var done Outcome
	limits := w.log.Limits()
	stamped := make([]connector.Event, 0, min(len(b.events), limits.Messages)) // reused for each chunk
	all := float64(len(b.events))
	for {
		events, rejects := b.chunk(limits)
		last := len(events) == len(b.events) && len(rejects) == len(b.rejects)
		if last && len(events)+len(rejects) == 0 && b.horizon == nil && b.change == nil &&
			min(certified, w.known.window.last) <= w.known.window.certified {
			return done, nil // nothing to record
		}
		late := w.known.recorded.Counters.Late
		var next connector.Checkpoint
		next, stamped = w.nextCheckpoint(stamped[:0], events, rejects)
		if b.horizon != nil {
			next.Horizon, next.HorizonAt, next.HorizonNewer = b.horizon, w.known.window.certified, b.newer
			next.Accepting, next.Accepted, next.UncheckedEnd = nil, false, nil
		}
		if last {
			w.certifyIn(&next, certified)
		}
		if b.change != nil {
			b.change(&next, stamped, last)
		}
		err := w.append(ctx, stamped, rejects, &next)
		var rejected *connector.Rejected
		if errors.As(err, &rejected) && b.reject(rejected) {
			continue
		}
		if err != nil {
			return done, err
		}
		w.committed(next, stamped, rejects)
		clear(events) // frees the pages of a backlog chunk by chunk
		done.Delivered += len(stamped)
		done.Rejected += len(rejects)
		done.Late += int(next.Counters.Late - late)
		if last {
			return done, nil
		}
		b.events, b.rejects, b.horizon = b.events[len(events):], b.rejects[len(rejects):], nil
		if b.committing != nil && len(events) > 0 {
			b.committing(float64(len(b.events)) / all)
		}
	}
}

// chunk returns the oldest part of the delivery that fits into one commit.
func (b *delivery) chunk(limits connector.Limits) ([]pending, []connector.Reject) {
	bytes, rejects, events := 0, 0, 0
	for ; rejects < len(b.rejects) && rejects < limits.Messages; rejects++ {
		size := len(b.rejects[rejects].Raw)
		if rejects > 0 && bytes+size > limits.Bytes {
			return nil, b.rejects[:rejects]
		}
		bytes += size
	}
	for ; events < len(b.events) && events+rejects < limits.Messages; events++ {
		size := len(b.events[events].Data)
		if events+rejects > 0 && bytes+size > limits.Bytes {
			break
		}
		bytes += size
	}
	return b.events[:events], b.rejects[:rejects]
}

// reject moves an event that the log rejected to the rejects, unless it is in the quarantine already. A reject that the
// log rejected loses its item, as the stream must go on. It reports whether the delivery is another one now.
func (b *delivery) reject(rejected *connector.Rejected) bool {
	i := slices.IndexFunc(b.events, func(p pending) bool { return p.Key == rejected.Key })
	if i < 0 {
		return b.withoutItem(rejected.Key)
	}
	if tell := b.events[i].refused; tell != nil {
		tell(rejected.Reason)
	} else {
		b.rejects = append(b.rejects, connector.NewReject(b.events[i].Message, rejected.Reason, b.events[i].received))
	}
	b.events = slices.Delete(slices.Clone(b.events), i, i+1)
	return true
}

// withoutItem drops the item of a reject that has one. It reports whether there is such a reject.
func (b *delivery) withoutItem(key connector.Key) bool {
	i := slices.IndexFunc(b.rejects, func(r connector.Reject) bool { return r.Key == key && len(r.Raw) > 0 })
	if i < 0 {
		return false
	}
	b.rejects = slices.Clone(b.rejects)
	b.rejects[i].Raw = nil
	return true
}

// nextCheckpoint numbers the events, appends them to stamped, and returns the checkpoint that goes with them, with the
// certified sequence unchanged.
func (w *writer) nextCheckpoint(stamped []connector.Event, events []pending, rejects []connector.Reject) (connector.Checkpoint,
	[]connector.Event,
) {
	next := w.known.recorded
	tail, late := w.known.window.tail(w.known.window.certified)
	w.known.times.cut(w.known.recorded.Sequence)
	for i := range events {
		p := &events[i]
		next.Sequence++
		stamped = append(stamped, connector.NewEvent(w.source.stream, *p.Message, w.events, p.received, next.Sequence,
			p.late))
		if p.Empty {
			next.Counters.Empty++
		}
		if p.refused != nil { // it comes from the quarantine
			next.Counters.Settled++
		}
		if p.late {
			next.Counters.Late++
			late = append(late, len(tail))
		} else { // the time of a late message says nothing about ground
			w.known.times.add(next.Sequence, p.Time)
		}
		tail = append(tail, p.Key)
	}
	addOldest(&next, events, w.rules)
	next.Tail, next.TailLate = tail, late
	next.Rejects = w.known.rejects.with(rejects)
	next.Counters.Rejected += uint64(len(rejects))
	next.Certified = w.known.window.certified
	next.GroundTime = w.known.times.median(next.Certified)
	return next, stamped
}

// certifyIn raises a checkpoint's certified sequence and cuts its tail to the events that are still uncertified and the
// newest certified ones.
func (w *writer) certifyIn(next *connector.Checkpoint, certified uint64) {
	next.Certified = max(next.Certified, min(certified, next.Sequence))
	next.GroundTime = w.known.times.median(next.Certified)
	keep := int(next.Sequence-next.Certified) + w.rules.Tail
	cut := len(next.Tail) - keep
	if cut <= 0 {
		return
	}
	next.Tail = next.Tail[cut:]
	late := next.TailLate
	next.TailLate = nil
	for _, index := range late {
		if index >= cut {
			next.TailLate = append(next.TailLate, index-cut)
		}
	}
}

// committed updates known after a successful commit.
func (w *writer) committed(next connector.Checkpoint, events []connector.Event, rejects []connector.Reject) {
	for i := range events {
		e := &events[i]
		w.known.window.put(e.Key, newPosition(e.Sequence, e.Late))
	}
	for i := range rejects {
		w.known.rejects.add(rejects[i].Key)
		if key := rejects[i].PositionKey; key != (connector.Key{}) {
			w.known.rejects.add(key)
		}
	}
	w.known.window.certify(next.Certified)
	w.known.window.forget()
	w.known.times.forget(next.Certified)
	moved := len(next.Horizon) > 0 && !slices.Equal(next.Horizon, w.known.recorded.Horizon)
	w.known.record(next)
	if moved {
		w.known.rebuildExempt()
	}
}
