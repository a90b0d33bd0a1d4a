package reader

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// delivery is what one step wants to commit.
type delivery struct {
	events  []pending // oldest first
	rejects []connector.Reject
	horizon connector.Keys // the new one, where the list has lost all ground
	newer   time.Time      // see Checkpoint.HorizonNewer
	// change changes the checkpoint of each piece, with the events in it; last says that it is the last one. nil changes
	// nothing.
	change func(next *connector.Checkpoint, events []connector.Event, last bool)
}

// pending is a message on its way to become an event. It gets its sequence when it is committed.
type pending struct {
	found
	late bool
}

func (b *delivery) add(f *found, late bool) {
	if f.Fault != "" {
		b.rejects = append(b.rejects, connector.NewReject(f.Message, f.Fault, f.received))
		return
	}
	b.events = append(b.events, pending{*f, late})
}

func (b *delivery) oldestFirst() {
	slices.Reverse(b.events)
	slices.Reverse(b.rejects)
}

// below says whether anything of the batch stands in the walk at or below a place.
func (b *delivery) below(places map[connector.Key]int, top int) bool {
	return slices.ContainsFunc(b.events, func(p pending) bool { return places[p.Key] >= top }) ||
		slices.ContainsFunc(b.rejects, func(r connector.Reject) bool { return places[r.Key] >= top })
}

// writer commits to the log what is to be delivered, and keeps what is known in step with it.
type writer struct {
	rules  Rules
	known  *known
	source *source // of the retry policy, and the stream's name
	log    connector.Log
	events connector.EventSettings
}

// everything certifies the whole log, what the same commit appends included.
const everything = math.MaxUint64

// commit writes a batch in as many pieces as the log's limits ask for, oldest first; the certified sequence moves with
// the last one. A message that the log rejects goes to the quarantine instead, and the rest goes on. It says what was
// delivered.
func (w *writer) commit(ctx context.Context, b delivery, certified uint64) (Outcome, error) {
	var done Outcome
	limits := w.log.Limits()
	stamped := make([]connector.Event, 0, min(len(b.events), limits.Messages)) // the same for each piece
	for {
		events, rejects := b.piece(limits)
		last := len(events) == len(b.events) && len(rejects) == len(b.rejects)
		if last && len(events)+len(rejects) == 0 && b.horizon == nil && b.change == nil &&
			min(certified, w.known.window.last) <= w.known.window.certified {
			return done, nil // nothing to record
		}
		late := w.known.recorded.Counters.Late
		var next connector.Checkpoint
		next, stamped = w.next(stamped[:0], events, rejects)
		if b.horizon != nil {
			next.Horizon, next.HorizonAt, next.HorizonNewer = b.horizon, w.known.window.certified, b.newer
			next.Accepting, next.Accepted, next.Bottom = nil, false, nil
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
		clear(events) // a slice of a backlog lets go of its pages piece by piece
		done.Delivered += len(stamped)
		done.Rejected += len(rejects)
		done.Late += int(next.Counters.Late - late)
		if last {
			return done, nil
		}
		b.events, b.rejects, b.horizon = b.events[len(events):], b.rejects[len(rejects):], nil
	}
}

// piece is the oldest part of the batch that fits into one commit.
func (b *delivery) piece(limits connector.Limits) ([]pending, []connector.Reject) {
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

// reject moves an event that the log refuses to the rejects, and reports whether the batch has it.
func (b *delivery) reject(rejected *connector.Rejected) bool {
	i := slices.IndexFunc(b.events, func(p pending) bool { return p.Key == rejected.Key })
	if i < 0 {
		return false
	}
	b.rejects = append(b.rejects, connector.NewReject(b.events[i].Message, rejected.Reason, b.events[i].received))
	b.events = slices.Delete(slices.Clone(b.events), i, i+1)
	return true
}

// next stamps the events, which it appends to stamped, and makes the checkpoint that goes with them, certified as
// before.
func (w *writer) next(stamped []connector.Event, events []pending, rejects []connector.Reject) (connector.Checkpoint,
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
		if p.late {
			next.Counters.Late++
			late = append(late, len(tail))
		} else { // what is late says nothing of where ground lies in time
			w.known.times.add(next.Sequence, p.Time)
		}
		tail = append(tail, p.Key)
	}
	next.Tail, next.TailLate = tail, late
	next.Rejects = w.known.rejects.with(rejects)
	next.Counters.Rejected += uint64(len(rejects))
	next.Certified = w.known.window.certified
	next.GroundTime = w.known.times.median(next.Certified)
	return next, stamped
}

// certifyIn moves a checkpoint's certified sequence and cuts its tail to what that leaves uncertified and the newest
// below.
func (w *writer) certifyIn(next *connector.Checkpoint, certified uint64) {
	next.Certified = max(next.Certified, min(certified, next.Sequence))
	next.GroundTime = w.known.times.median(next.Certified)
	keep := int(next.Sequence-next.Certified) + w.rules.Tail
	cut := len(next.Tail) - keep
	if cut <= 0 {
		return
	}
	next.Tail = next.Tail[cut:]
	places := next.TailLate
	next.TailLate = nil
	for _, place := range places {
		if place >= cut {
			next.TailLate = append(next.TailLate, place-cut)
		}
	}
}

// committed takes over what a commit has made durable.
func (w *writer) committed(next connector.Checkpoint, events []connector.Event, rejects []connector.Reject) {
	for i := range events {
		e := &events[i]
		w.known.window.put(e.Key, newPlace(e.Sequence, e.Late))
	}
	for i := range rejects {
		w.known.rejects.add(rejects[i].Key)
		if place := rejects[i].Place; place != (connector.Key{}) {
			w.known.rejects.add(place)
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
