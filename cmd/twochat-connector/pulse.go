package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// pulse records that a stream's loop moves: when it last called the API or the sink, and since when calls are under way.
type pulse struct {
	mu    sync.Mutex
	calls map[*time.Time]struct{} // when each call under way began; pages may be read side by side
	last  time.Time               // when the last call ended
}

func newPulse(now time.Time) *pulse { return &pulse{calls: map[*time.Time]struct{}{}, last: now} }

// begin notes that a call begins; end has to be called when it is over.
func (p *pulse) begin() (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	call := new(time.Now())
	p.calls[call] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.calls, call)
		p.last = time.Now()
	}
}

// read returns since when the oldest call under way has been so, zero where there is none, and when the last one ended.
func (p *pulse) read() (busy, last time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for began := range p.calls {
		if busy.IsZero() || began.Before(busy) {
			busy = *began
		}
	}
	return busy, p.last
}

// lanePages reads a stream's pages, with so many requests of all streams in flight at most as there are slots.
type lanePages struct {
	pages    connector.Pages
	slots    chan struct{}
	inFlight *atomic.Int64 // of all streams; each was counted when it was paid for
	pulse    *pulse
}

func (l *lanePages) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (connector.Page, error) {
	defer l.inFlight.Add(-1)
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return connector.Page{}, ctx.Err()
	}
	defer func() { <-l.slots }()
	defer l.pulse.begin()()
	return l.pages.Page(ctx, s, number, held)
}

// laneLog is a stream's place in the sink, with its pulse. Its checkpoints keep what the budget learned of the account's month.
type laneLog struct {
	connector.Log
	pulse  *pulse
	budget *connector.Budget
}

func (l *laneLog) Acquire(ctx context.Context) (connector.State, error) {
	defer l.pulse.begin()()
	state, err := l.Log.Acquire(ctx)
	if err == nil {
		l.budget.Recall(time.Now(), state.Checkpoint.MonthBegun)
	}
	return state, err
}

func (l *laneLog) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint) error {
	defer l.pulse.begin()()
	next.MonthBegun = l.budget.MonthBegun()
	return l.Log.Commit(ctx, events, rejects, next)
}

func (l *laneLog) Peek(ctx context.Context) (connector.Checkpoint, bool, error) {
	defer l.pulse.begin()()
	return l.Log.Peek(ctx)
}
