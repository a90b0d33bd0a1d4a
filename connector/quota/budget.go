package quota

import (
	"log/slog"
	"sync"
	"time"
)

// AccountUsage is the account's usage at one time, as 2Chat returned it (connector/README.md, Credits).
type AccountUsage struct {
	At time.Time
	// Used counts the calls in the account's month, by all its integrations; 0 counts as unknown, as the request itself is
	// a call.
	Used int64
	// Max is how many calls the plan has a month; 0 if the account does not say.
	Max int64

	own int64 // calls of this process up to then
}

// BudgetConfig is the configuration of a Budget. All fields but Monthly, Stop and InFlight are required.
type BudgetConfig struct {
	// Monthly is how many calls of the account's month may be used, by all its integrations together; 0 = half of the
	// plan.
	Monthly int64
	// Streams is how many streams share the budget, and Interval the shortest wanted interval between two polls of one.
	Streams  int
	Interval time.Duration
	// Stop allows no more calls once the budget is used up, until the account's next month.
	Stop bool
	// Own is how many calls this process has made so far, and InFlight how many of those have no answer yet; nil: none.
	// They are called often, from several goroutines.
	Own, InFlight func() int64
	Logger        *slog.Logger
}

// Budget spreads the calls of the account's month over the time that is left of it. It is given readings of the
// account's usage and returns how often to poll and to sweep. When it is used up, polling becomes ten times slower but
// does not stop, unless Stop is set: then no more calls are allowed. It has no clock and no goroutine, and is safe for
// concurrent use.
//
// 2Chat does not say when the account's month starts again. It shows as a drop of the usage, and then recurs on the
// same day of every month. Until a drop was seen, the worst is assumed: that the month began with the first reading,
// and so ends 31 days after it. That never spends too much, and slows polling more than necessary for one month at
// most.
type Budget struct {
	config BudgetConfig
	descs  creditDescs

	mu         sync.Mutex
	account    accountUse
	month      monthState
	state      BudgetState
	usedUp     time.Time // when the budget is used up at this rate, or was found to be; zero if it lasts
	wasStopped bool      // calls are stopped, and this was logged
}

// accountUse is what is known about the account's usage. It is guarded by its owner.
type accountUse struct {
	config  BudgetConfig
	last    AccountUsage   // the newest that is believed; At is zero before the first
	lower   *AccountUsage  // a lower one, which the next reading has to confirm
	max     int64          // the newest known Max
	asked   time.Time      // time of the newest reading, believed or not
	history []AccountUsage // of the last day, oldest first
}

// AbovePlan returns a month's budget and the account's plan, in calls, if the budget is the larger one; else 0 and 0.
// Polling is then paced for more calls than there are.
func AbovePlan(b *Budget) (monthly, plan int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if monthly, plan = b.config.Monthly, b.account.max; plan == 0 || monthly <= plan {
		return 0, 0
	}
	return monthly, plan
}

// BudgetState is the state of a budget.
type BudgetState string

// The states of a budget.
const (
	BudgetUnknown BudgetState = "unknown" // not enough is known: polling is bounded only by the rate limit
	BudgetLasts   BudgetState = "lasts"   // it lasts until the account's month starts again
	BudgetShort   BudgetState = "short"   // at the rate of the last day it is used up before that
	BudgetSpent   BudgetState = "spent"   // used up, except for the reserve: polling is ten times slower
)

const (
	// reserveShare is the part of the budget that is kept for what cannot be planned: catching up, bursts of other
	// integrations, and slow polling at the end.
	reserveShare = 0.05
	// othersShare bounds what is set aside for other integrations, as one busy day is not typical of a month.
	othersShare = 0.5
	// longestMonth is the longest that the account's month may be.
	longestMonth = 31 * 24 * time.Hour
	// overdue is how long a learned reset is waited for: months differ by three days, and a reset may come in the evening.
	overdue = 4 * 24 * time.Hour
	// lastDay is the time over which rates are observed, and for which the rest has to last while a reset is overdue.
	lastDay = 24 * time.Hour
	// measured is the shortest time over which a rate is meaningful, and foreseeable the shortest on which a forecast is
	// based.
	measured    = time.Hour
	foreseeable = 6 * time.Hour
)

// NewBudget returns a budget about which nothing is known yet.
func NewBudget(c BudgetConfig) *Budget {
	return &Budget{config: c, descs: newCreditDescs(), account: accountUse{config: c}, state: BudgetUnknown}
}

// adjustBudget changes how many calls a budget has and how they are shared. What is known about the account stays
// known.
func adjustBudget(b *Budget, c AccountConfig) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.config.Monthly, b.config.Streams, b.config.Interval = c.MonthlyCredits, c.Streams, c.MinInterval
	b.config.Stop = c.StopWhenSpent
	b.account.config = b.config
	if !b.account.asked.IsZero() {
		b.judge(false)
	}
}

// Read takes a reading of the account's usage, which must not be older than the one before, and logs changes.
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
	b.stopped(u.At, b.config.Own())
}

// believe reports whether a reading counts. One below the last counts only if the next is below it as well, as an
// answer may be stale or wrong once. A drop to less than half means that a new month has started; any other drop is a
// correction.
func (b *Budget) believe(u AccountUsage) bool {
	switch {
	case b.account.last.At.IsZero():
		if !b.month.observed {
			b.month.start = u.At
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
		b.month.start, b.month.observed = low.At, true
		b.account.history = []AccountUsage{low}
		b.config.Logger.Info("a new month of the account began", "calls_used_before", b.account.last.Used, "next",
			b.month.reset(u.At))
	}
	return true
}

// total is the budget of a month; 0 if it is unknown.
func (a *accountUse) total() int64 {
	if a.config.Monthly > 0 {
		return a.config.Monthly
	}
	return a.max / 2
}

// known reports whether the budget and the usage are known.
func (a *accountUse) known() bool { return a.total() > 0 && !a.last.At.IsZero() }

// used is the account's usage by now: the last reading plus the calls of this process since.
func (a *accountUse) used(own int64) int64 { return a.last.Used + max(0, own-a.last.own) }

// left is how many calls may be made, including the reserve.
func (a *accountUse) left(own int64) int64 { return max(0, a.total()-a.used(own)) }

// spendable is how many calls may be made, without the reserve.
func (a *accountUse) spendable(own int64) float64 {
	return max(0, float64(a.total())*(1-reserveShare)-float64(a.used(own)))
}

// rates are the calls per second over the last day, of the whole account and of others than this process; 0 if they
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
