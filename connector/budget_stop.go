package connector

import "time"

const (
	// overdueReading is how often the account is read while its month should have begun anew and has not. Each reading is a call.
	overdueReading = 6 * time.Hour
	// confirming is when a reading below the last is confirmed, where no call is made but that.
	confirming = time.Minute
)

// Open says whether a call may be made, and if not, until when none may: then the account has to be read, as its month should
// have begun anew. It is always open but for a budget that stops.
func (b *Budget) Open(now time.Time) (until time.Time, open bool) {
	own := b.config.Own()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open(now, own) {
		return time.Time{}, true
	}
	return b.nextReading(), false
}

// Pays says whether the call that makes it so many of this process is within the budget.
func (b *Budget) Pays(own int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.config.Stop || !b.known() || b.used(own) <= b.total()
}

// open is Open, and says in the log what changes by it.
func (b *Budget) open(now time.Time, own int64) bool {
	closed := b.config.Stop && b.known() && b.left(own) <= 0
	if closed == b.closed {
		return !closed
	}
	b.closed = closed
	if !closed {
		b.config.Logger.Info("calls are made again", "calls_used", b.used(own), "budget", b.total())
		return true
	}
	if b.state != BudgetSpent {
		b.state, b.usedUp = BudgetSpent, now
	}
	b.config.Logger.Warn("the month's budget of calls is used up; not one more is made until the account's month begins anew", "calls_used", b.used(own),
		"budget", b.total(), "next_attempt", b.nextReading(), "hint", "raise poll.monthly_credits and start anew, or set poll.when_spent: slow")
	return false
}

// nextReading is when the account is worth a call again while nothing else is: when its month should have begun anew.
func (b *Budget) nextReading() time.Time {
	if b.lower != nil {
		return b.asked.Add(confirming)
	}
	if next := b.reset(b.asked); next.After(b.asked) {
		return next
	}
	return b.asked.Add(overdueReading)
}
