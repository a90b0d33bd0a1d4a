package quota

import (
	"log/slog"
	"sync"
	"time"
)

// AccountUsage is what the account said of its calls at one time (connector/README.md, Credits).
type AccountUsage struct {
	At time.Time
	// Used counts the calls in the account's month, by all its integrations; 0 counts as not said, as whoever asks has
	// called.
	Used int64
	// Max is how many calls the plan has a month; 0 if the account does not say.
	Max int64

	own int64 // calls of this process by then
}

// BudgetConfig says what a Budget is kept for. All fields are required, except for Monthly, Stop and InFlight.
type BudgetConfig struct {
	// Monthly is how many calls of the account's month may be used, by all its integrations together; 0 = half of the
	// plan.
	Monthly int64
	// Streams live on it, and Interval is the shortest that is wanted between two polls of one.
	Streams  int
	Interval time.Duration
	// Stop says that not one call more is made where it is used up, until the account's month starts again.
	Stop bool
	// Own is how many calls this process has made so far, and InFlight how many of those have no answer yet; nil: none.
	// They are called often, from several goroutines.
	Own, InFlight func() int64
	Logger        *slog.Logger
}

// Budget spreads what may be spent in the account's month over the time that is left of it. It is fed with readings of
// the account's usage and answers how often to poll and to sweep. It never stops either: what is used up slows polling
// tenfold. Only where that is wanted it lets no call go any more, to the last one of the budget. It has no clock and no
// goroutine, and may be used from several goroutines.
//
// When the account's month starts again is nowhere stated; it shows as a drop of the usage, and then comes again on the
// same day of every month. Until one was seen, the worst is assumed: that the month began with the first reading, and
// so ends 31 days after it. That never spends too much, and slows polling more than needed for one month at most.
type Budget struct {
	config BudgetConfig
	descs  creditDescs

	mu      sync.Mutex
	account accountUse
	month   monthState
	state   BudgetState
	usedUp  time.Time // when the budget is used up at this rate, or was found to be; zero if it lasts
	closed  bool      // no call is let go, and the log was told so
}

// accountUse is what is known of the account's usage. Its owner guards it.
type accountUse struct {
	config  BudgetConfig
	last    AccountUsage   // the newest that is believed; At is zero before the first
	lower   *AccountUsage  // one below it, which the next has to confirm
	max     int64          // the newest Max that was said
	asked   time.Time      // of the newest reading, whatever it said
	history []AccountUsage // of the last day, oldest first
}

// monthState is when the account's month began. Its owner guards it.
type monthState struct {
	begun   time.Time // as far as is known
	learned bool      // begun is of a drop that was seen
}

// BudgetState says how the budget stands.
type BudgetState string

// The states of a budget.
const (
	BudgetUnknown BudgetState = "unknown" // nothing to reckon with: polling keeps the rate limit only
	BudgetLasts   BudgetState = "lasts"   // until the account's month starts again
	BudgetShort   BudgetState = "short"   // at the rate of the last day it is used up before
	BudgetSpent   BudgetState = "spent"   // used up, except for the reserve: polling is ten times slower
)

const (
	// reserveShare of the budget is left to what no pace can plan: catching up, others' bursts, and polling slowly at the
	// end.
	reserveShare = 0.05
	// othersShare bounds what is set aside for other integrations: a day of much traffic is no month of it.
	othersShare = 0.5
	// longestMonth is how long the account's month may be.
	longestMonth = 31 * 24 * time.Hour
	// overdue is how long a learned reset is waited for: months differ by three days, and a reset may come in the evening.
	overdue = 4 * 24 * time.Hour
	// lastDay is over how much time rates are observed, and what is left has to last while a reset is overdue.
	lastDay = 24 * time.Hour
	// measured is the least time over which a rate says anything, foreseeable the least that a forecast is made of.
	measured    = time.Hour
	foreseeable = 6 * time.Hour
)

// NewBudget makes a budget of which nothing is known yet.
func NewBudget(c BudgetConfig) *Budget {
	return &Budget{config: c, descs: newCreditDescs(), account: accountUse{config: c}, state: BudgetUnknown}
}

// Read takes a reading of the account's usage, not older than the one before, and says in the log what changed by it.
func (b *Budget) Read(u AccountUsage) {
	u.own = b.config.Own()
	if b.config.InFlight != nil {
		u.own -= b.config.InFlight() // the account may not have counted them yet
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.account.asked.IsZero()
	b.account.asked = u.At
	if u.Max > 0 {
		b.account.max = u.Max
	}
	if u.Used > 0 && b.believe(u) {
		b.account.last = u
		b.account.history = append(b.account.history, u)
		for len(b.account.history) > 1 && u.At.Sub(b.account.history[1].At) >= lastDay {
			b.account.history = b.account.history[1:]
		}
	}
	b.judge(first)
	b.open(u.At, b.config.Own())
}

// believe reports whether a reading counts. One below the last does if the next is below it as well: an answer may be
// stale or wrong once. Less than half of what it was is a month that began again, anything else a correction.
func (b *Budget) believe(u AccountUsage) bool {
	switch {
	case b.account.last.At.IsZero():
		if !b.month.learned {
			b.month.begun = u.At
		}
		return true
	case u.Used >= b.account.last.Used:
		b.account.lower = nil
		return true
	case b.account.lower == nil:
		b.account.lower = &u
		return false
	}
	low := *b.account.lower
	b.account.lower, b.account.history = nil, nil
	if low.Used < b.account.last.Used/2 {
		b.month.begun, b.month.learned = low.At, true
		b.account.history = []AccountUsage{low}
		b.config.Logger.Info("the account's month began anew", "calls_used_before", b.account.last.Used, "next",
			b.month.reset(u.At))
	}
	return true
}

// reset is when the account's month starts again, as far as is known; it may be past for a learned one that is overdue.
func (m *monthState) reset(now time.Time) time.Time {
	if m.learned {
		if next := monthAfter(m.begun); now.Before(next.Add(overdue)) {
			return next
		}
	}
	next := m.begun.Add(longestMonth)
	if now.Before(next) {
		return next
	}
	return next.Add((now.Sub(next)/longestMonth + 1) * longestMonth)
}

// monthAfter is the same day of the next month, or its last day where it has fewer.
func monthAfter(t time.Time) time.Time { return monthsAfter(t, 1) }

func monthsAfter(t time.Time, n int) time.Time {
	next := t.AddDate(0, n, 0)
	if next.Day() != t.Day() {
		next = next.AddDate(0, 0, -next.Day())
	}
	return next
}

// MonthBegun is when the account's month was last seen to begin again; zero if it never was.
func (b *Budget) MonthBegun() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.month.learned {
		return time.Time{}
	}
	return b.month.begun
}

// Recall takes over when the account's month was seen to begin again by an earlier process, or by another one. Where it
// should have begun again since, it is taken to have done so: if it has not, polling is slower for some days than it
// need be.
func (b *Budget) Recall(now, begun time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if begun.IsZero() || begun.After(now) || b.month.learned && !begun.After(b.month.begun) {
		return
	}
	latest := begun
	for n := 1; !monthsAfter(begun, n).After(now); n++ {
		latest = monthsAfter(begun, n)
	}
	b.month.begun, b.month.learned = latest, true
}

// timeLeft is how long what is left has to last.
func (m *monthState) timeLeft(now time.Time) time.Duration {
	left := m.reset(now).Sub(now)
	if left <= 0 { // overdue
		return lastDay
	}
	return min(max(left, measured), longestMonth)
}

// total is the budget of a month; 0 if it is not known.
func (a *accountUse) total() int64 {
	if a.config.Monthly > 0 {
		return a.config.Monthly
	}
	return a.max / 2
}

// known reports whether there is anything to reckon with.
func (a *accountUse) known() bool { return a.total() > 0 && !a.last.At.IsZero() }

// used is the account's usage by now: what it said, and what this process has called since.
func (a *accountUse) used(own int64) int64 { return a.last.Used + max(0, own-a.last.own) }

// left is what may be used, the reserve included.
func (a *accountUse) left(own int64) int64 { return max(0, a.total()-a.used(own)) }

// spendable is what may be used, except for the reserve.
func (a *accountUse) spendable(own int64) float64 {
	return max(0, float64(a.total())*(1-reserveShare)-float64(a.used(own)))
}

// rates are the calls a second of the last day: the account's, and those of them that are not this process's; 0 if they
// were observed for less than the least time.
func (a *accountUse) rates(least time.Duration) (all, others float64) {
	if len(a.history) < 2 {
		return 0, 0
	}
	from, to := a.history[0], a.history[len(a.history)-1]
	span := to.At.Sub(from.At)
	if span < least {
		return 0, 0
	}
	used := float64(to.Used - from.Used)
	return used / span.Seconds(), max(0, used-float64(to.own-from.own)) / span.Seconds()
}
