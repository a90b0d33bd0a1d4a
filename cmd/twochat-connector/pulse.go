package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// pulse records that a stream's loop moves: when it last called the API or the sink, and since when a call is under way.
type pulse struct {
	mu   sync.Mutex
	busy time.Time // when the call under way began; zero between calls
	last time.Time // when the last call ended
}

func newPulse(now time.Time) *pulse { return &pulse{last: now} }

func (p *pulse) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = time.Now()
}

func (p *pulse) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy, p.last = time.Time{}, time.Now()
}

func (p *pulse) read() (busy, last time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.busy, p.last
}

// lanePages reads a stream's pages, with so many requests of all streams in flight at most as there are slots.
type lanePages struct {
	pages connector.Pages
	slots chan struct{}
	calls *atomic.Int64 // of all streams
	pulse *pulse
}

func (l *lanePages) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (connector.Page, error) {
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return connector.Page{}, ctx.Err()
	}
	defer func() { <-l.slots }()
	l.pulse.begin()
	defer l.pulse.end()
	l.calls.Add(1)
	return l.pages.Page(ctx, s, number, held)
}

// laneLog is a stream's place in the sink, with its pulse.
type laneLog struct {
	connector.Log
	pulse *pulse
}

func (l *laneLog) Acquire(ctx context.Context) (connector.State, error) {
	l.pulse.begin()
	defer l.pulse.end()
	return l.Log.Acquire(ctx)
}

func (l *laneLog) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint) error {
	l.pulse.begin()
	defer l.pulse.end()
	return l.Log.Commit(ctx, events, rejects, next)
}

func (l *laneLog) Peek(ctx context.Context) (connector.Checkpoint, bool, error) {
	l.pulse.begin()
	defer l.pulse.end()
	return l.Log.Peek(ctx)
}
