package poller

import (
	"context"
	"errors"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// CallBudget says whether calls may be paid for. It may be used from several goroutines.
type CallBudget interface {
	// Open says why no call may be made now, and until when; nil where one may.
	Open() (until time.Time, spent error)
	// Take takes what one call costs, and says whether there was as much.
	Take() bool
}

// budgetEvery is how often a call budget that is spent is looked into. That costs nothing.
const budgetEvery = time.Minute

// errPaused is why a stream waits where 2Chat asked for a pause.
var errPaused = &connector.PageError{
	Fault: connector.FaultRateLimited,
	Err:   errors.New("2Chat asked for a pause, and the limit is one for all streams of the key"),
}

// turn waits until a page may be asked for: for its turn within the stream, and for the stream's with all others of the
// key. A sweep waits only as long as no poll of its stream is due: it takes what nobody else wants, and where that is
// little the poll would come many intervals late.
func (p *Poller) admit(ctx context.Context, turn reader.Priority) error {
	urgency := quota.Urgency(p.urgency.Load())
	if urgency != quota.Sweep {
		if turn.Page > 0 {
			urgency = quota.CatchUp
		}
		return p.queue.wait(ctx, turn, func(ctx context.Context) error { return p.pay(ctx, urgency) })
	}
	untilPoll, cancel := context.WithDeadline(ctx, p.schedule.nextPoll)
	defer cancel()
	err := p.pay(untilPoll, urgency)
	if err != nil && ctx.Err() == nil {
		return reader.ErrPollDue
	}
	return err
}

// pay waits until the limiter lets a call go and the call budget pays for it. Either wait is a state where it is long,
// but for a sweep, which waits no longer than to the next poll.
func (p *Poller) pay(ctx context.Context, urgency quota.Urgency) error {
	for {
		if err := p.ready(); err != nil {
			wait := p.retrier.unready()
			if urgency != quota.Sweep {
				p.record.waitFor(StateNoSource, err, wait)
			}
			if connector.Sleep(ctx, wait) != nil {
				return ctx.Err()
			}
			continue
		}
		if until, spent := p.callBudget(); spent != nil {
			if urgency != quota.Sweep {
				p.record.noteUntil(StateSpent, spent, until)
			}
			if connector.Sleep(ctx, budgetEvery) != nil {
				return ctx.Err()
			}
			continue
		}
		if paused := p.config.Limiter.Paused(); urgency != quota.Sweep && time.Until(paused) > longWait {
			p.record.noteUntil(StateNoSource, errPaused, paused)
		}
		if err := p.config.Limiter.Wait(ctx, urgency); err != nil {
			return err
		}
		if p.config.CallBudget == nil || p.config.CallBudget.Take() {
			return nil
		}
	}
}

func (p *Poller) callBudget() (until time.Time, spent error) {
	if p.config.CallBudget == nil {
		return time.Time{}, nil
	}
	return p.config.CallBudget.Open()
}

// ready is why no call can be made. It is asked before one is paid for: what is not sent costs nothing, and is tried
// again soon.
func (p *Poller) ready() error {
	if p.config.Ready == nil {
		return nil
	}
	return p.config.Ready()
}
