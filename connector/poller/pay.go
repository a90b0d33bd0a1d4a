package poller

import (
	"context"
	"errors"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// CallBudget decides whether calls may be made. It has to be safe for concurrent use.
type CallBudget interface {
	// Stopped returns why no call may be made now, and until when; nil if one may.
	Stopped() (until time.Time, cause error)
	// Take takes the cost of one call, and reports whether the budget had it.
	Take() bool
}

// budgetEvery is how often a spent call budget is checked again. The check costs nothing.
const budgetEvery = time.Minute

// errPaused is the cause of a wait that 2Chat asked for (429).
var errPaused = &connector.PageError{
	Fault: connector.FaultRateLimited,
	Err:   errors.New("2Chat asked for a pause, and all streams of the key share the limit"),
}

// admit waits until a page may be requested: first for its turn within the stream, then for the stream's turn among all
// streams of the key. A sweep waits only until the next poll of its stream is due. It uses spare requests; if there are
// few, the poll would otherwise be many intervals late.
func (p *Poller) admit(ctx context.Context, turn reader.Priority) error {
	urgency := quota.Urgency(p.urgency.Load())
	if urgency != quota.Sweep {
		if turn.Page > 0 {
			urgency = quota.CatchUp
		}
		if p.queue.follows(turn) {
			return p.pay(ctx, urgency, func(context.Context, quota.Urgency) error { return nil })
		}
		return p.queue.wait(ctx, turn, turnLimit{p, urgency})
	}
	untilPoll, cancel := context.WithDeadline(ctx, p.schedule.nextPoll)
	defer cancel()
	err := p.pay(untilPoll, urgency, p.config.Limiter.Wait)
	if err != nil && ctx.Err() == nil {
		return reader.ErrPollDue
	}
	return err
}

// turnLimit is the rate limit for requests of one urgency.
type turnLimit struct {
	poller  *Poller
	urgency quota.Urgency
}

func (l turnLimit) wait(ctx context.Context) error {
	return l.poller.pay(ctx, l.urgency, l.poller.config.Limiter.Wait)
}

func (l turnLimit) burst(ctx context.Context, n int) (before time.Time, err error) {
	return l.poller.config.Limiter.Burst(ctx, l.urgency, n)
}

// pay waits until the limiter admits a call and the call budget pays for it. A long wait is shown as a state, except
// for that of a sweep, which ends with the next poll.
func (p *Poller) pay(ctx context.Context, urgency quota.Urgency,
	limit func(context.Context, quota.Urgency) error,
) error {
	for {
		adjusted := p.adjusted.next()
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
			if !sleepUntil(ctx, budgetEvery, adjusted) {
				return ctx.Err()
			}
			continue
		}
		if paused := p.config.Limiter.Paused(); urgency != quota.Sweep && time.Until(paused) > longWait {
			p.record.noteUntil(StateNoSource, errPaused, paused)
		}
		if err := limit(ctx, urgency); err != nil {
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
	return p.config.CallBudget.Stopped()
}

// ready returns why no call can be made. It is called before a call is paid for: a call that is not sent costs nothing,
// and is tried again soon.
func (p *Poller) ready() error {
	if p.config.Ready == nil {
		return nil
	}
	return p.config.Ready()
}
