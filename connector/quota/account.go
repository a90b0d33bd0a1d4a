package quota

import (
	"context"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// AccountConfig is the configuration of an Account. Client, Streams, MinInterval and Logger are required.
type AccountConfig struct {
	Client AccountClient
	// RequestsPerMinute is the rate limit to keep; 0 = the one that the account names.
	RequestsPerMinute int
	// Streams is how many streams share the account, and MinInterval the shortest wanted interval between two polls of
	// one.
	Streams     int
	MinInterval time.Duration
	// SweepEvery is the wanted interval between two sweeps of a stream; 0 = never.
	SweepEvery time.Duration
	// MonthlyCredits is how many calls of the account's month may be used, by all its integrations together; 0 = half of
	// the plan.
	MonthlyCredits int64
	// StopWhenSpent makes no more calls once they are used up, until the next month.
	StopWhenSpent bool
	Logger        *slog.Logger
}

// Account is what the streams of an API key share: the rate limit, the month's budget, and the readings of the account
// that both follow. Its Limiter, Pace, SweepEvery and itself as the CallBudget are for each poller.Config, whose Pages
// and Log go through it. Begin reads the account once, and Watch reads it regularly. It is safe for concurrent use.
type Account struct {
	Limiter *Limiter
	Budget  *Budget

	reader     *AccountReader
	streams    atomic.Int64  // that share it
	sweepEvery atomic.Int64  // the wanted interval between two sweeps
	part       atomic.Uint64 // of the rate limit that this process may use, as the bits of a float64
	calls      atomic.Int64  // made so far
	inFlight   atomic.Int64  // of these, calls for pages whose answer has not come yet
	doubted    atomic.Bool   // another reading was requested since the account's pages became unreadable
	doubts     chan struct{} // wakes Watch for that reading
	begun      bool          // the newest reading was answered
}

// NewAccount returns an account about which nothing is known yet. It does no I/O.
func NewAccount(c AccountConfig) *Account {
	a := &Account{doubts: make(chan struct{}, 1)}
	a.part.Store(math.Float64bits(1))
	a.share(c)
	a.Budget = NewBudget(BudgetConfig{
		Monthly: c.MonthlyCredits, Streams: c.Streams, Interval: c.MinInterval, Stop: c.StopWhenSpent,
		Own: a.calls.Load, InFlight: a.inFlight.Load, Logger: c.Logger,
	})
	a.reader = NewAccountReader(AccountReaderConfig{
		Client: c.Client, RequestsPerMinute: c.RequestsPerMinute, Budget: a.Budget, Count: func() { a.calls.Add(1) },
		Logger: c.Logger,
	})
	a.Limiter = NewLimiter(a.rate())
	return a
}

// Adjust takes over the limits, intervals and number of streams of a changed configuration. Its client and logger are
// ignored. What is known about the account stays known.
func (a *Account) Adjust(c AccountConfig) {
	_, before := a.Stopped()
	a.share(c)
	a.reader.SetRequestsPerMinute(c.RequestsPerMinute)
	a.Limiter.SetRate(a.rate())
	adjustBudget(a.Budget, c)
	if _, after := a.Stopped(); before != nil && after == nil {
		a.wake() // it waits for the next month
	}
}

// share records how the account's limits are shared.
func (a *Account) share(c AccountConfig) {
	a.streams.Store(int64(c.Streams))
	a.sweepEvery.Store(int64(c.SweepEvery))
}

// SetPart says which part of the rate limit this process may use: more than 0, and at most 1, which it is at first.
// Other processes use the rest. Intervals and budget stay as they are: both follow from all streams of the account.
func (a *Account) SetPart(part float64) {
	a.part.Store(math.Float64bits(part))
	a.Limiter.SetRate(a.rate())
}

// Part is the part of the rate limit that this process may use.
func (a *Account) Part() float64 { return math.Float64frombits(a.part.Load()) }

// rate is how many requests a minute this process may make.
func (a *Account) rate() float64 { return float64(a.RequestsPerMinute()) * a.Part() }

// RequestsPerMinute is the rate in force, for all processes that use the account.
func (a *Account) RequestsPerMinute() int64 { return a.reader.RequestsPerMinute() }

// Status returns what is known about the account.
func (a *Account) Status() AccountStatus { return a.reader.Status() }

// Pace is the interval in force for a stream that wants this one: a poll costs one request of the rate limit and of the
// budget.
func (a *Account) Pace(wanted time.Duration) time.Duration {
	return a.Budget.Pace(time.Now(), max(wanted, ShortestInterval(int(a.streams.Load()), int(a.RequestsPerMinute()))))
}

// ShortestInterval is the shortest polling interval that a rate limit allows for that many streams.
func ShortestInterval(streams, requestsPerMinute int) time.Duration {
	return time.Duration(float64(streams) / float64(requestsPerMinute) * float64(time.Minute))
}

// SweepEvery is how often late messages are searched for under the current budget.
func (a *Account) SweepEvery() time.Duration {
	return a.Budget.SweepEvery(time.Now(), time.Duration(a.sweepEvery.Load()))
}

// Begin reads the account once, before its streams are read. It counts as a request of the rate limit.
func (a *Account) Begin(ctx context.Context) {
	a.begun = a.read(ctx)
	a.Limiter.Pause(ShortestInterval(1, int(a.RequestsPerMinute())))
}

// Watch reads the account hourly, or sooner after a failure, until the context ends. The last reading stays in force
// until there is a newer one.
func (a *Account) Watch(ctx context.Context) {
	for read := a.begun; ; read = a.read(ctx) {
		wait := a.reader.Next(read)
		if due, cause := a.Budget.Stopped(time.Now()); cause != nil && read {
			wait = max(0, time.Until(due))
		}
		a.reader.setNext(time.Now().Add(wait))
		if a.untilDue(ctx, wait) != nil || a.whilePaid(ctx) != nil || a.Limiter.Wait(ctx, Live) != nil {
			return
		}
	}
}

// untilDue waits until the account has to be read: for that long, or until doubt asks for a reading.
func (a *Account) untilDue(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-a.doubts:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// budgetEvery is how often a budget that allows no call is checked again, as it may have been raised.
const budgetEvery = time.Minute

// whilePaid waits while the budget allows no call, until the account's next month should have started: reading the
// account is a call too.
func (a *Account) whilePaid(ctx context.Context) error {
	for {
		due, cause := a.Budget.Stopped(time.Now())
		if cause == nil || !due.After(time.Now()) {
			return ctx.Err()
		}
		a.reader.setNext(due)
		if err := connector.Sleep(ctx, min(budgetEvery, time.Until(due))); err != nil {
			return err
		}
	}
}

// read reads the account once, follows its limit, and reports whether it got an answer.
func (a *Account) read(ctx context.Context) bool {
	answered := a.reader.Read(ctx)
	a.Limiter.SetRate(a.rate())
	return answered
}

// Stopped returns why no call may be made now, and until when; nil if one may.
func (a *Account) Stopped() (until time.Time, cause error) { return a.Budget.Stopped(time.Now()) }

// Take takes the cost of a call for a page from the budget, and reports whether the budget had it.
func (a *Account) Take() bool {
	if !a.Budget.Pays(a.calls.Add(1)) {
		a.calls.Add(-1)
		return false
	}
	a.inFlight.Add(1)
	return true
}
