package poller

import (
	"context"
	"errors"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// instrumentedPages counts what is read.
type instrumentedPages struct{ poller *Poller }

func (c *instrumentedPages) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (connector.Page, error) {
	p := c.poller
	page, err := p.config.Pages.Page(ctx, s, number, held)
	p.metrics.request(page, err)
	p.mu.Lock()
	p.status.Requests++
	p.status.LastRequest = time.Now()
	p.mu.Unlock()
	if err == nil {
		p.retrier.read()
	}
	return page, err
}

// instrumentedLog lets a commit in flight finish when the process is told to stop, and counts. A commit that takes long is a state.
type instrumentedLog struct{ poller *Poller }

const (
	// drainTime bounds how long a commit may go on after the process was told to stop.
	drainTime = 20 * time.Second
	// slowCommit is how long a commit may take before that is a state.
	slowCommit = 2 * time.Second
)

func (c *instrumentedLog) Acquire(ctx context.Context) (connector.State, error) {
	p := c.poller
	state, err := p.config.Log.Acquire(ctx)
	if err == nil {
		p.owner, p.epoch = state.Checkpoint.Owner, state.Checkpoint.Epoch
	} else if commitOutcome(err) == outcomeUnclear && ctx.Err() == nil {
		p.unclear()
	}
	return state, err
}

func (c *instrumentedLog) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint) error {
	p := c.poller
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, cancel) })
	defer stop()
	began := time.Now()
	p.mu.Lock()
	p.committing = began
	p.mu.Unlock()
	slow := time.AfterFunc(slowCommit, func() { p.commitIsSlow(began) })
	err := p.config.Log.Commit(detached, events, rejects, next)
	slow.Stop()
	p.metrics.commit(time.Since(began), err)
	if err == nil {
		p.fruitless = 0
		p.retrier.committed()
	} else if commitOutcome(err) == outcomeUnclear {
		p.unclear()
	}
	p.commitEnded(err)
	return err
}

// unclear counts an answer of the sink that leaves it open what the log holds.
func (p *Poller) unclear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Unclear++
}

// commitIsSlow notes that a commit which began at this time is still under way.
func (p *Poller) commitIsSlow(began time.Time) {
	p.mu.Lock()
	tell := func() {}
	if p.committing.Equal(began) && p.status.State != StateNoSink && p.status.State != StateRefused {
		tell = p.change(StateCommitting, nil, time.Time{}, began)
	}
	p.mu.Unlock()
	tell()
}

// commitEnded notes that no commit is under way, and that the sink is back where it took one: the step that goes on may be long.
func (p *Poller) commitEnded(err error) {
	var rejected *connector.Rejected
	p.mu.Lock()
	p.committing = time.Time{}
	tell := func() {}
	if taken := err == nil || errors.As(err, &rejected); taken {
		switch s := &p.status; {
		case s.State == StateCommitting, s.State == StateNoSink, s.State == StateRefused, s.State == StateAcquiring && s.Cause != "":
			tell = p.change(StateCatchingUp, nil, time.Time{}, time.Now())
		}
	}
	p.mu.Unlock()
	tell()
}

func (c *instrumentedLog) Peek(ctx context.Context) (connector.Checkpoint, bool, error) {
	return c.poller.config.Log.Peek(ctx)
}

func (c *instrumentedLog) Limits() connector.Limits { return c.poller.config.Log.Limits() }
func (c *instrumentedLog) Close() error             { return c.poller.config.Log.Close() }
