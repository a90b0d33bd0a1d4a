package quota

import (
	"fmt"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	// overdueReading is how often the account is read while its next month is overdue. Each reading is a call.
	overdueReading = 6 * time.Hour
	// confirming is the time after which a reading below the last is confirmed, while no other calls are made.
	confirming = time.Minute
)

// Stopped returns why no call may be made now, and until when; the account then has to be read, as its next month
// should have started. cause is nil if a call may be made. A budget without Stop never stops.
func (b *Budget) Stopped(now time.Time) (until time.Time, cause error) {
	own := b.config.Own()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.stopped(now, own) {
		return time.Time{}, nil
	}
	return b.nextReading(), b.spentCause(own)
}

// SpentCause is the error for what is used up: the configured budget, or all calls of the account's plan.
func (b *Budget) SpentCause() error {
	own := b.config.Own()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spentCause(own)
}

func (b *Budget) spentCause(own int64) error {
	if b.account.planSpent(own) {
		return &connector.PageError{
			Fault: connector.FaultCredits, Err: fmt.Errorf(
				"all %d calls of the account's plan are used, by all its integrations, and poll.when_spent is stop", b.account.max),
			Hint: "get a larger plan at 2Chat, or wait until the account's next month begins; no setting of the connector allows more calls",
		}
	}
	return errSpent
}

// errSpent means that the configured budget is used up.
var errSpent = &spentError{}

type spentError struct{}

func (*spentError) Error() string {
	return "the month's budget of calls (poll.monthly_credits) is used up, and poll.when_spent is stop"
}

// Hint returns what to do.
func (*spentError) Hint() string {
	return "raise poll.monthly_credits, or set `poll.when_spent: slow`"
}

// planSpent reports whether the account has used all calls of its plan.
func (a *accountUse) planSpent(own int64) bool { return a.max > 0 && a.known() && a.used(own) >= a.max }

// Pays reports whether a call is within the budget; own is the number of calls of this process, including this one.
func (b *Budget) Pays(own int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.config.Stop || !b.account.known() || b.account.used(own) <= b.account.total()
}

// stopped reports whether no call may be made, and logs when that changes.
func (b *Budget) stopped(now time.Time, own int64) bool {
	stopped := b.config.Stop && b.account.known() && b.account.left(own) <= 0
	if stopped == b.wasStopped {
		return stopped
	}
	b.wasStopped = stopped
	if !stopped {
		b.config.Logger.Info("calls are made again", "calls_used", b.account.used(own), "budget", b.account.total())
		return false
	}
	if b.state != BudgetSpent {
		b.state, b.usedUp = BudgetSpent, now
	}
	hint := errSpent.Hint()
	if b.account.planSpent(own) {
		hint = "get a larger plan at 2Chat, or wait until the account's next month begins"
	}
	b.config.Logger.Warn("the month's budget of calls is used up; no more are made until the account's next month begins", "calls_used", b.account.used(own),
		"budget", b.account.total(), "plan", b.account.max, "next_attempt", b.nextReading(), "hint", hint)
	return true
}

// nextReading is when the account is read again while no other calls are made: when its next month should have started.
func (b *Budget) nextReading() time.Time {
	if b.account.lower != nil {
		return b.account.asked.Add(confirming)
	}
	if next := b.month.reset(b.account.asked); next.After(b.account.asked) {
		return next
	}
	return b.account.asked.Add(overdueReading)
}
