package poller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// Config is what a Poller is made of. All fields but SweepEvery, MemoryGate, Pace, CallBudget, Ready, CheckWritable,
// StandDown, Tracer and Changes are required.
type Config struct {
	Pages   connector.Pages
	Log     connector.Log
	Reading reader.Reading // its Retry, MemoryLimit and Admit are set by the Poller
	Start   connector.Start
	// MinInterval is the interval between polls while messages flow, MaxInterval when it is quiet, until SetIntervals.
	MinInterval, MaxInterval time.Duration
	// StartWithin is the time within which streams that start together make their first requests; 0 is at once.
	StartWithin time.Duration
	// SweepEvery returns the current interval between sweeps for late messages; nil or 0 means never.
	SweepEvery func() time.Duration
	// Limiter is shared by all streams of an API key.
	Limiter *quota.Limiter
	// MemoryGate is shared by all streams of the process; nil sets no bound.
	MemoryGate *MemoryGate
	// Pace returns the interval that the rate limit and the budget allow now in place of the one that suits the stream's
	// traffic; it is never shorter. nil leaves the interval unchanged.
	Pace func(interval time.Duration) time.Duration
	// CallBudget decides whether a call may be made; nil allows all.
	CallBudget CallBudget
	// Ready returns why no call can be made although one may be paid for, for example because the API key cannot be read.
	// nil, as a function or as an answer, means that calls can be made.
	Ready func() error
	// CheckWritable checks, at little cost, whether the sink in its current settings may be written to; nil checks
	// nothing. Only a *Refusal in its answer counts; a commit finds out anything else.
	CheckWritable func(ctx context.Context) error
	// StandDown is how long after the last commit of another owner a fenced stream waits at least before it is taken over
	// again; 0 stands for five polls, and nil for 0 always. owner is the other's Claim.Instance.
	StandDown func(owner string) time.Duration
	// Tracer follows the steps for traces; nil if there are none.
	Tracer  Tracer
	Metrics *Metrics
	// Changes is shared by all streams of the process; nil keeps none.
	Changes *Changes
	Logger  *slog.Logger
}

// Tracer follows steps of streams. It has to be safe for concurrent use.
type Tracer interface {
	// Step is called when a step begins: a poll, or a sweep. What the step calls gets the returned context. end has to be
	// called once, with the step's result. trace is the id of the trace for metrics; empty if the trace is not kept.
	Step(ctx context.Context, stream string, sweep bool) (traced context.Context, trace string,
		end func(reader.Outcome, error))
}

// Poller runs one stream: it decides when to read, waits out failures that pass, stands down when another instance has
// taken over, and keeps a record for status, metrics and logs.
type Poller struct {
	config   Config
	session  *reader.Session
	retrier  *retrier
	queue    *queue
	slot     *slot
	record   statusRecord
	schedule schedule
	adjusted adjustment
	relieved chan struct{} // holds a token while another owner may have gone and standby has not yet noticed

	trace     string       // of the step in progress; empty if there is none
	urgency   atomic.Int32 // an Urgency; pages are read in parallel
	owner     string       // this instance in the log, as it last took it over; empty before the first time
	epoch     uint64       // the epoch with which it took it over
	ownedAt   time.Time    // when it was last seen to be the owner
	moved     int          // walks in a row that contradicted themselves
	fruitless int          // times in a row that it was fenced without having committed anything in between
}

// New returns a poller. Run starts it.
func New(c Config) *Poller {
	stream := c.Reading.Stream.Name
	p := &Poller{
		config: c, queue: newQueue(), slot: &slot{gate: c.MemoryGate},
		relieved: make(chan struct{}, 1),
	}
	p.retrier = newRetrier(p)
	reading := c.Reading
	reading.Retry, reading.MemoryLimit, reading.Admit = p.retrier, p.slot, p.admit
	p.session = reader.NewSession(&instrumentedPages{p}, &instrumentedLog{p}, reading, c.Start)
	p.record = statusRecord{
		session: p.session, metrics: c.Metrics.of(stream), changes: c.Changes, logger: c.Logger.With("stream", stream),
		rules:  &p.config.Reading.Rules,
		status: Status{Stream: stream, State: StateAcquiring, Since: time.Now(), Interval: c.MinInterval},
	}
	p.schedule = schedule{
		config: &p.config, session: p.session, record: &p.record, interval: c.MinInterval,
		phase: rand.Float64(),
	}
	p.schedule.intervals.Store(&intervals{c.MinInterval, c.MaxInterval})
	return p
}

// SetIntervals changes the shortest and the longest interval between polls. A stream that waits longer than the new ones
// allow is read sooner. So is one that waits for longer than what Config.Pace and CallBudget say now, which therefore have
// to be changed before. It is safe for concurrent use.
func (p *Poller) SetIntervals(shortest, longest time.Duration) {
	p.schedule.intervals.Store(&intervals{shortest, longest})
	p.adjusted.tell()
}

// Status returns the current status. It is safe for concurrent use.
func (p *Poller) Status() Status { return p.record.now() }

// Run polls until the context ends, finishes a commit in flight, and returns nil. The error is a *connector.Refusal if
// a person has to decide something.
func (p *Poller) Run(ctx context.Context) error {
	defer p.record.note(StateStopped, nil)
	defer p.slot.leave()
	defer p.session.Close()
	// Streams that start together should not poll together forever.
	if connector.Sleep(ctx, time.Duration(rand.Int64N(int64(p.config.StartWithin)+1))) != nil {
		return nil
	}
	for ctx.Err() == nil {
		adjusted := p.adjusted.next()
		wait, err := p.step(ctx)
		if err != nil {
			return err
		}
		if wait > 0 && !p.rest(ctx, wait, adjusted) {
			break
		}
	}
	return nil
}

// rest waits for that long, or less if the intervals became shorter since adjusted was there. It returns false if the
// context ended.
func (p *Poller) rest(ctx context.Context, wait time.Duration, adjusted <-chan struct{}) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	until := time.Now().Add(wait)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			return true
		case <-adjusted:
			adjusted = p.adjusted.next()
			if due, changed := p.schedule.adjust(); changed && due.Before(until) {
				until = due
				timer.Reset(time.Until(due))
			}
		}
	}
}

// step makes one step and returns how long to wait before the next.
func (p *Poller) step(ctx context.Context) (time.Duration, error) {
	if p.schedule.situation(time.Now()).next() == stepAcquire {
		if err := p.acquire(ctx); err != nil {
			return p.failed(ctx, err)
		}
	}
	if err := (&ownership{p}).check(ctx); err != nil {
		return p.failed(ctx, err)
	}
	// A stream at rest needs no slot, so that page 0 is always read at once.
	if !p.slot.wait(ctx, p.record.queued) {
		return 0, nil
	}
	began := time.Now()
	var out reader.Outcome
	var err error
	situation := p.schedule.situation(began)
	sweeping, accepting := situation.next() == stepSweep, situation.betweenPolls
	delivering := true // polls are to follow each other at the shortest interval
	traced, endTrace := p.beginTrace(ctx, sweeping)
	if sweeping {
		p.urgency.Store(int32(quota.Sweep))
		if out, err = p.session.Sweep(traced, began); errors.Is(err, reader.ErrPollDue) {
			out.More, err = true, nil
		}
		if !out.More && !accepting {
			p.schedule.lastSweep = began
		}
		delivering = out.Delivered > 0 && !accepting
	} else {
		p.urgency.Store(int32(quota.Live))
		out, err = p.session.Poll(traced)
	}
	endTrace(out, err)
	if err != nil {
		p.release()
		if errors.Is(err, reader.ErrMemoryLimit) {
			return 0, nil
		}
		return p.failed(ctx, err)
	}
	p.moved = 0
	p.retrier.walk.Reset()
	doubts := p.session.Reader().Suspicion()
	if doubts == nil {
		p.retrier.suspect.Reset()
	}
	p.record.metrics.step(out, time.Since(began), p.trace)
	p.record.stepped(out, began, sweeping && !accepting)
	wait := time.Duration(0)
	if sweeping && !delivering {
		wait = p.schedule.untilPoll()
	} else {
		wait = p.schedule.pause(out, sweeping)
	}
	if doubts != nil {
		wait = max(wait, p.suspect(doubts))
	}
	p.settle(wait)
	return wait, nil
}

// beginTrace begins the trace of a step, if there is a tracer.
func (p *Poller) beginTrace(ctx context.Context, sweep bool) (traced context.Context, end func(reader.Outcome, error)) {
	if p.config.Tracer == nil {
		return ctx, func(reader.Outcome, error) {}
	}
	traced, p.trace, end = p.config.Tracer.Step(ctx, p.config.Reading.Stream.Name, sweep)
	return traced, end
}

// acquire takes the stream over. The cause of an earlier failure stays in the record until it succeeds.
func (p *Poller) acquire(ctx context.Context) error {
	switch status := p.record.now(); {
	case status.State == StateNoSink, status.State == StateRefused, status.State == StateAcquiring && status.Cause != "":
	default:
		p.record.note(StateAcquiring, nil)
	}
	if err := p.session.Acquire(ctx); err != nil {
		return err
	}
	p.retrier.acquired()
	c := p.session.Reader().Checkpoint()
	p.record.own(c.Sequence)
	p.ownedAt = time.Now()
	p.record.counters = c.Counters
	p.record.logger.Info("stream acquired", "sequence", c.Sequence, "epoch", c.Epoch)
	return nil
}

// settle gives up the slot after a step, unless the next one follows at once with pages that are read already.
func (p *Poller) settle(wait time.Duration) {
	switch reader := p.session.Reader(); {
	case reader.Rested():
		p.slot.wants = noSlot
	case reader.StartPage() > 0:
		p.slot.wants = longSlot
	case p.slot.wants == noSlot:
		p.slot.wants = shortSlot
	}
	switch reader := p.session.Reader(); {
	// a section of held messages is read between polls, and keeps its slot during them
	case reader.HoldsSection() && !p.slot.contended():
	case wait > 0, !reader.HoldsAhead():
		p.release()
	}
}

// release gives up the slot, and drops the pages held in it.
func (p *Poller) release() {
	p.session.DropAhead()
	p.slot.leave()
}

// failed reacts to an error of a step.
func (p *Poller) failed(ctx context.Context, err error) (time.Duration, error) {
	if ctx.Err() != nil {
		return 0, nil
	}
	switch failureOf(err) {
	case failureRefused:
		if p.owner == "" {
			return 0, err // it never ran, so the person who started it sees what is wrong
		}
		return p.record.waitFor(StateRefused, err, p.retrier.refused.Next()), nil
	case failureSource:
		return p.record.waitFor(StateNoSource, err, p.retrier.walk.Next()), nil
	case failureFenced:
		return (&standby{p}).wait(ctx), nil
	case failureSuspect:
		var suspicion *reader.Suspicion
		errors.As(err, &suspicion)
		return p.suspect(suspicion), nil
	case failureStalled:
		return p.record.waitFor(StateStalled, err, p.searchAgain()), nil
	case failureMoved:
		p.record.metrics.moved()
		if p.moved++; p.moved >= movedUntilStalled {
			return p.record.waitFor(StateStalled, err, p.searchAgain()), nil
		}
		return p.retrier.walk.Next(), nil
	case failureEmpty:
		return jitter(p.schedule.interval), nil
	case failureReread: // it waits longer than the sink alone would
		return p.record.waitFor(p.sinkState(err), err, p.retrier.reread.Next()), nil
	case failureSink:
		return p.record.waitFor(StateNoSink, err, p.retrier.acquire.Next()), nil
	default:
		state := p.sinkState(err)
		return p.record.waitFor(state, fmt.Errorf("unclear, asking the sink again: %w", err),
			p.retrier.acquire.Next()), nil
	}
}

// sinkState is the state after a failure of the sink without a known cause. After one failure the stream is acquired
// again; several in a row mean that there is no sink.
func (p *Poller) sinkState(err error) StreamState {
	failures := p.retrier.sinkFailed()
	if failures > 1 || errors.Is(err, connector.ErrNotNow) || p.record.now().State == StateNoSink {
		return StateNoSink
	}
	return StateAcquiring
}

// searchAgain is how long to wait after a search without a result: longer each time, and no less than between polls.
func (p *Poller) searchAgain() time.Duration {
	return max(jitter(p.record.now().Interval), p.retrier.walk.Next())
}

// suspect records the suspicion, and returns how long to wait before the list is looked at again: longer each time, no
// less than between polls, and no longer than until a look counts.
func (p *Poller) suspect(s *reader.Suspicion) time.Duration {
	p.record.mu.Lock()
	if p.record.status.UnconfirmedSince.IsZero() {
		p.record.status.UnconfirmedSince = s.Since
	}
	p.record.mu.Unlock()
	wait := max(p.record.now().Interval, p.retrier.suspect.Next())
	if s.Next > 0 {
		wait = max(min(wait, s.Next), p.schedule.shortest())
	}
	return p.record.waitFor(StateSuspect, s, wait)
}

// movedUntilStalled is how many walks in a row may find a contradictory list before the stream is called stalled.
const movedUntilStalled = 5
