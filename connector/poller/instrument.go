package poller

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

// instrumentedPages counts requests for pages.
type instrumentedPages struct{ poller *Poller }

func (c *instrumentedPages) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (
	connector.Page, error,
) {
	p := c.poller
	page, err := p.config.Pages.Page(ctx, s, number, held)
	p.record.metrics.request(page, err)
	p.record.requested(number)
	if err == nil {
		p.retrier.read()
		if quota.Urgency(p.urgency.Load()) != quota.Sweep {
			p.record.pageRead(number)
		}
	}
	return page, err
}

// instrumentedLog counts commits, lets a commit in flight finish when the process is told to stop, and shows a commit
// that takes long as a state.
type instrumentedLog struct{ poller *Poller }

const (
	// DrainTime is how long a commit may go on after the process was told to stop.
	DrainTime = 20 * time.Second
	// slowCommit is how long a commit may take before it is shown as a state.
	slowCommit = 2 * time.Second
)

func (c *instrumentedLog) Acquire(ctx context.Context) (connector.State, error) {
	p := c.poller
	state, err := p.config.Log.Acquire(ctx)
	if err == nil {
		p.owner, p.epoch = state.Checkpoint.Owner, state.Checkpoint.Epoch
	} else if commitOutcome(err) == outcomeUnclear && ctx.Err() == nil {
		p.record.unclear()
	}
	return state, err
}

func (c *instrumentedLog) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject,
	next connector.Checkpoint,
) error {
	p := c.poller
	detached, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(DrainTime, cancel) })
	defer stop()
	began := time.Now()
	p.record.mu.Lock()
	p.record.committing = began
	p.record.mu.Unlock()
	slow := time.AfterFunc(slowCommit, func() { p.record.commitIsSlow(began) })
	err := p.config.Log.Commit(detached, events, rejects, next)
	slow.Stop()
	took := time.Since(began)
	p.record.metrics.commit(took, err, p.trace)
	if err == nil {
		p.record.committed(len(events), took)
		p.fruitless = 0
		p.retrier.committed()
	} else if commitOutcome(err) == outcomeUnclear {
		p.record.unclear()
	}
	p.record.commitEnded(err)
	return err
}

func (c *instrumentedLog) Peek(ctx context.Context) (connector.Checkpoint, bool, error) {
	return c.poller.config.Log.Peek(ctx)
}

func (c *instrumentedLog) Limits() connector.Limits { return c.poller.config.Log.Limits() }
func (c *instrumentedLog) Close() error             { return c.poller.config.Log.Close() }
