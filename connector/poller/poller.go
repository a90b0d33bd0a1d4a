package poller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// Config is what a Poller is made of. All fields but SweepEvery, Memory, Pace, CallBudget, Ready and Look are
// required.
type Config struct {
	Pages   connector.Pages
	Log     connector.Log
	Reading reader.Reading // its Retry, Memory and Turn are set by the Poller
	Start   connector.Start
	// MinInterval is the interval between polls while messages flow, MaxInterval when it is quiet.
	MinInterval, MaxInterval time.Duration
	// SweepEvery is how often late arrivals are looked for now; 0 = never, as is nil.
	SweepEvery func() time.Duration
	// Limiter is shared by all streams of an API key.
	Limiter *quota.Limiter
	// Memory is shared by all streams of the process; nil sets no bound.
	Memory *MemoryGate
	// Pace turns the interval that the stream's traffic asks for into the one that the rate limit and the budget allow now,
	// which is never shorter; nil leaves it as it is.
	Pace func(interval time.Duration) time.Duration
	// CallBudget says whether a call may be paid for; nil: always.
	CallBudget CallBudget
	// Ready says why no call can be made, though one may be paid for: the API key cannot be read. nil, or a nil answer:
	// nothing.
	Ready func() error
	// Look says, at little cost, whether the sink may be written to as it is set up now; nil: nobody looks. Its answer
	// counts where it is a *Refusal; all else a commit finds out.
	Look    func(ctx context.Context) error
	Metrics *Metrics
	Logger  *slog.Logger
}

// Poller keeps one stream going: it decides when to read, waits out what does not work now, stands down when another
// instance has taken over, and keeps a record for status, metrics and logs.
type Poller struct {
	config  Config
	session *reader.Session
	metrics *streamMetrics
	logger  *slog.Logger
	retrier *retrier
	queue   *queue
	slot    *slot

	mu         sync.Mutex
	status     Status
	committing time.Time // since when a commit is under way; zero where none is

	interval  time.Duration
	lastWait  time.Duration // between polls, before jitter
	phase     float64       // which part of a growing wait is taken, from 0 to 1
	lastSweep time.Time
	nextPoll  time.Time
	lastStart int                // the reader's, at the step before
	urgency   atomic.Int32       // an Urgency; pages are read side by side
	counters  connector.Counters // as they were last looked at
	owner     string             // who this instance is in the log, as it was taken over last; empty until it first was
	epoch     uint64             // with which it was
	moved     int                // walks in a row that contradicted themselves
	fruitless int                // times in a row that it was fenced and had committed nothing since the time before
	eager     int                // polls in a row that followed at once without getting anywhere
}

// New makes a poller that has done nothing yet.
func New(c Config) *Poller {
	p := &Poller{
		config: c, metrics: c.Metrics.of(c.Reading.Stream.Name), logger: c.Logger.With("stream", c.Reading.Stream.Name), interval: c.MinInterval,
		status: Status{Stream: c.Reading.Stream.Name, State: StateAcquiring, Since: time.Now(), Interval: c.MinInterval},
	}
	p.phase, p.retrier, p.queue = rand.Float64(), newRetrier(p), newQueue()
	reading := c.Reading
	p.slot = &slot{gate: c.Memory}
	reading.Retry, reading.Memory, reading.Turn = p.retrier, p.slot, p.turn
	p.session = reader.NewSession(&instrumentedPages{p}, &instrumentedLog{p}, reading, c.Start)
	return p
}

// Status is the record as it stands. It may be called from any goroutine.
func (p *Poller) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Run polls until the context ends, and returns nil then. A commit in flight is finished first. The error is a *Refusal
// where a person has to decide something.
func (p *Poller) Run(ctx context.Context) error {
	defer p.note(StateStopped, nil)
	defer p.slot.leave()
	defer p.session.Close()
	// Streams that start together should not poll together for ever.
	if !p.sleep(ctx, time.Duration(rand.Int64N(int64(min(p.config.MinInterval, time.Second))+1))) {
		return nil
	}
	for ctx.Err() == nil {
		wait, err := p.step(ctx)
		if err != nil {
			return err
		}
		if wait > 0 && !p.sleep(ctx, wait) {
			break
		}
	}
	return nil
}

// step makes one step and returns how long to wait before the next.
func (p *Poller) step(ctx context.Context) (time.Duration, error) {
	if !p.session.Owns() {
		if err := p.acquire(ctx); err != nil {
			return p.failed(ctx, err)
		}
	}
	if err := p.look(ctx); err != nil {
		return p.failed(ctx, err)
	}
	// Who is at rest wants no place, so that page 0 is always read at once.
	if !p.slot.wait(ctx, p.queued) {
		return 0, nil
	}
	began := time.Now()
	var out reader.Outcome
	var err error
	sweeping, accepting := p.sweepDue(began), p.session.Reader().Accepting() || p.session.Reader().Looking()
	delivering := true // polls are to follow at the shortest interval
	if sweeping {
		p.urgency.Store(int32(quota.Sweep))
		if out, err = p.session.Sweep(ctx, began); errors.Is(err, reader.ErrPollDue) {
			out.More, err = true, nil
		}
		if !out.More && !accepting {
			p.lastSweep = began
		}
		delivering = out.Delivered > 0 && !accepting
	} else {
		p.urgency.Store(int32(quota.Live))
		out, err = p.session.Poll(ctx)
	}
	if err != nil {
		p.release()
		if errors.Is(err, reader.ErrMemoryLimit) {
			return 0, nil
		}
		return p.failed(ctx, err)
	}
	p.moved = 0
	p.retrier.walk.Reset()
	doubts := p.session.Reader().Doubts()
	if doubts == nil {
		p.retrier.suspect.Reset()
	}
	p.metrics.step(out, time.Since(began))
	p.record(out, began, sweeping && !accepting)
	wait := time.Duration(0)
	if sweeping && !delivering {
		wait = p.untilPoll()
	} else {
		wait = p.pause(out, sweeping)
	}
	if doubts != nil {
		wait = max(wait, p.suspect(doubts))
	}
	p.settle(wait)
	return wait, nil
}

// acquire takes the stream over. What kept it from it before stays in the record until it is done.
func (p *Poller) acquire(ctx context.Context) error {
	switch status := p.Status(); {
	case status.State == StateNoSink, status.State == StateRefused, status.State == StateAcquiring && status.Cause != "":
	default:
		p.note(StateAcquiring, nil)
	}
	if err := p.session.Acquire(ctx); err != nil {
		return err
	}
	p.retrier.acquired()
	c := p.session.Reader().Checkpoint()
	p.counters = c.Counters
	p.logger.Info("stream acquired", "sequence", c.Sequence, "epoch", c.Epoch)
	return nil
}

// look asks whether the sink may still be written to, before a page is paid for that could not be delivered: somebody
// may have edited the stream or topic, and a stream that is quiet commits nothing that would find it out. Who was
// overtaken is told that, whatever else is wrong.
func (p *Poller) look(ctx context.Context) error {
	var refusal *connector.Refusal
	if p.config.Look == nil || !errors.As(p.config.Look(ctx), &refusal) {
		return nil
	}
	if found, ok, err := p.config.Log.Peek(ctx); err == nil && ok && (found.Owner != p.owner || found.Epoch != p.epoch) {
		p.session.GiveUp()
		return connector.ErrFenced
	}
	return refusal
}

// settle gives up the slot after a step, unless the next one follows at once with pages that are read already.
func (p *Poller) settle(wait time.Duration) {
	switch reader := p.session.Reader(); {
	case reader.Rested():
		p.slot.wants = noSlot
	case reader.Start() > 0:
		p.slot.wants = longSlot
	case p.slot.wants == noSlot:
		p.slot.wants = shortSlot
	}
	switch reader := p.session.Reader(); {
	case reader.HoldsPiece() && !p.slot.contended(): // a piece of what is held is read between polls, and holds its place over them
	case wait > 0, !reader.HoldsAhead():
		p.release()
	}
}

// release gives up the slot, and what is held there.
func (p *Poller) release() {
	p.session.DropAhead()
	p.slot.leave()
}

// queued notes that the stream waits for room: it is not at rest.
func (p *Poller) queued() {
	if state := p.Status().State; state == StateAcquiring || state == StateLive {
		p.note(StateCatchingUp, nil)
	}
}

// untilPoll is how long to wait for the next step in the midst of an interval: not at all where a sweep has more to do.
func (p *Poller) untilPoll() time.Duration {
	now := time.Now()
	if p.sweepDue(now) {
		return 0
	}
	return max(0, p.nextPoll.Sub(now))
}

// sweepDue says whether it is time to look for late arrivals, or to deliver what is held: only at rest, between polls; the former not
// right after the start.
func (p *Poller) sweepDue(now time.Time) bool {
	if !p.session.Reader().Rested() || !now.Before(p.nextPoll) {
		return false
	}
	if p.session.Reader().Accepting() || p.session.Reader().Looking() {
		return true
	}
	if p.config.SweepEvery == nil {
		return false
	}
	every := p.config.SweepEvery()
	if every <= 0 {
		return false
	}
	if p.lastSweep.IsZero() { // spread the first ones
		p.lastSweep = now.Add(-time.Duration(rand.Int64N(int64(every))))
		return false
	}
	return now.Sub(p.lastSweep) >= every
}

// eagerSteps is how many steps may follow at once without getting anywhere before the interval is kept again.
const eagerSteps = 3

// pause adapts the interval to what the stream does: the shortest while messages flow, half as long again after each poll
// that brought none. While there is more to read, the next step follows at once.
func (p *Poller) pause(out reader.Outcome, sweeping bool) time.Duration {
	if out.Delivered > 0 {
		p.interval = p.config.MinInterval
	} else if !sweeping {
		p.interval = p.quieter(p.interval)
	}
	wait := p.paced(p.interval)
	p.mu.Lock()
	p.status.Interval = wait
	p.mu.Unlock()
	reader := p.session.Reader()
	if !sweeping && !reader.Rested() {
		if out.Delivered > 0 || reader.Start() != p.lastStart {
			p.eager = 0
		}
		p.lastStart = reader.Start()
		if p.eager++; p.eager <= eagerSteps {
			return 0
		}
	}
	p.eager = 0
	p.nextPoll = time.Now().Add(jitter(p.spread(wait)))
	return p.untilPoll()
}

// spread takes a wait that is longer than the one before by a part only, each stream its own: so streams that start together, or
// that are slowed down together, poll evenly over every interval, and not in step for hours until jitter has parted them.
func (p *Poller) spread(wait time.Duration) time.Duration {
	last := p.lastWait
	p.lastWait = wait
	if wait <= last {
		return wait
	}
	return last + time.Duration(p.phase*float64(wait-last))
}

// jitter spreads waits over their last tenth, so that polls of many streams do not fall into step, and none is longer than said.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d/10)+1))
}

// failed reacts to an error of a step.
func (p *Poller) failed(ctx context.Context, err error) (time.Duration, error) {
	var refusal *connector.Refusal
	var fault *connector.PageError
	var open *reader.UnresolvedError
	var suspicion *reader.Suspicion
	switch {
	case ctx.Err() != nil:
		return 0, nil
	case errors.As(err, &refusal):
		if p.owner == "" {
			return 0, err // it never ran: whoever starts it reads what is wrong
		}
		return p.waitFor(StateRefused, err, p.retrier.refused.NextBackOff()), nil
	case errors.As(err, &fault):
		return p.waitFor(StateNoSource, err, p.retrier.walk.NextBackOff()), nil
	case errors.Is(err, connector.ErrFenced):
		return p.standDown(ctx), nil
	case errors.As(err, &suspicion):
		return p.suspect(suspicion), nil
	case errors.Is(err, reader.ErrStalled):
		return p.waitFor(StateStalled, err, p.searchAgain()), nil
	case errors.Is(err, reader.ErrMoved):
		p.metrics.moved()
		if p.moved++; p.moved >= movedUntilStalled {
			return p.waitFor(StateStalled, err, p.searchAgain()), nil
		}
		return p.retrier.walk.NextBackOff(), nil
	case errors.Is(err, reader.ErrEmpty):
		return jitter(p.interval), nil
	case errors.As(err, &open):
		// What the step had read is gone: reading it again is paid for, so it waits longer than the sink alone would.
		return p.waitFor(p.sinkState(err), err, p.retrier.reread.NextBackOff()), nil
	case errors.Is(err, connector.ErrNotNow):
		return p.waitFor(StateNoSink, err, p.retrier.acquire.NextBackOff()), nil
	}
	state := p.sinkState(err)
	return p.waitFor(state, fmt.Errorf("unclear, asking the sink again: %w", err), p.retrier.acquire.NextBackOff()), nil
}

// sinkState is what a failure of the sink that is nothing by name makes of the stream: one is asked about, several in a row mean
// that there is no sink.
func (p *Poller) sinkState(err error) StreamState {
	failures := p.retrier.sinkFailed()
	if failures > 1 || errors.Is(err, connector.ErrNotNow) || p.Status().State == StateNoSink {
		return StateNoSink
	}
	return StateAcquiring
}

// waitFor notes why the stream waits, and until when.
func (p *Poller) waitFor(state StreamState, cause error, wait time.Duration) time.Duration {
	p.noteUntil(state, cause, time.Now().Add(wait))
	return wait
}

// searchAgain is how long to wait after a search that came to nothing: longer each time, and no less than between polls.
func (p *Poller) searchAgain() time.Duration {
	return max(jitter(p.Status().Interval), p.retrier.walk.NextBackOff())
}

// suspect notes what is suspected of the list, and returns how long to wait before it is looked at again: longer each time, no less
// than between polls, and no longer than until a look counts.
func (p *Poller) suspect(s *reader.Suspicion) time.Duration {
	p.mu.Lock()
	if p.status.UnconfirmedSince.IsZero() {
		p.status.UnconfirmedSince = s.Since
	}
	p.mu.Unlock()
	wait := max(p.Status().Interval, p.retrier.suspect.NextBackOff())
	if s.Next > 0 {
		wait = max(min(wait, s.Next), p.config.MinInterval)
	}
	return p.waitFor(StateSuspect, s, wait)
}

// movedUntilStalled is how many walks in a row may find a contradictory list before the stream is called stalled.
const movedUntilStalled = 5

func (p *Poller) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
