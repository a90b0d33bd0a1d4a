package quota

import (
	"context"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// monthState records when the account's current month began. It is guarded by its owner. Checkpoints carry it as
// MonthBegun, so that the next process need not observe it again (see Log).
type monthState struct {
	start    time.Time // as far as is known
	observed bool      // by a drop of the usage
}

// reset is when the next month starts, as far as is known. An observed one that is overdue may be in the past.
func (m *monthState) reset(now time.Time) time.Time {
	if m.observed {
		if next := monthAfter(m.start); now.Before(next.Add(overdue)) {
			return next
		}
	}
	next := m.start.Add(longestMonth)
	if now.Before(next) {
		return next
	}
	return next.Add((now.Sub(next)/longestMonth + 1) * longestMonth)
}

// monthAfter is the same day of the next month, or the last day of a shorter month.
func monthAfter(t time.Time) time.Time { return monthsAfter(t, 1) }

func monthsAfter(t time.Time, n int) time.Time {
	next := t.AddDate(0, n, 0)
	if next.Day() != t.Day() {
		next = next.AddDate(0, 0, -next.Day())
	}
	return next
}

// MonthBegun is when the account's month was last observed to start; zero if that was never observed.
func (b *Budget) MonthBegun() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.month.observed {
		return time.Time{}
	}
	return b.month.start
}

// Recall takes over the start of the account's month as observed by another process. If more months should have started
// since then, it assumes that they have. If that is wrong, polling is slower than necessary for some days.
func (b *Budget) Recall(now, begun time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if begun.IsZero() || begun.After(now) || b.month.observed && !begun.After(b.month.start) {
		return
	}
	latest := begun
	for n := 1; !monthsAfter(begun, n).After(now); n++ {
		latest = monthsAfter(begun, n)
	}
	b.month.start, b.month.observed = latest, true
}

// timeLeft is how long the rest of the budget has to last.
func (m *monthState) timeLeft(now time.Time) time.Duration {
	left := m.reset(now).Sub(now)
	if left <= 0 { // overdue
		return lastDay
	}
	return min(max(left, measured), longestMonth)
}

// Log wraps a stream's log so that its checkpoints keep the start of the account's month (Checkpoint.MonthBegun), and
// an Acquire recalls it.
func (a *Account) Log(log connector.Log) connector.Log { return &monthLog{Log: log, budget: a.Budget} }

type monthLog struct {
	connector.Log
	budget *Budget
}

func (l *monthLog) Acquire(ctx context.Context) (connector.State, error) {
	state, err := l.Log.Acquire(ctx)
	if err == nil {
		l.budget.Recall(time.Now(), state.Checkpoint.MonthBegun)
	}
	return state, err
}

func (l *monthLog) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject,
	next connector.Checkpoint,
) error {
	next.MonthBegun = l.budget.MonthBegun()
	return l.Log.Commit(ctx, events, rejects, next)
}
