package quota

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	// DefaultRequestsPerMinute is the rate limit if neither the configuration nor the account names one.
	DefaultRequestsPerMinute = 10
	// AccountReadInterval is how often the account's usage is read, which costs a call each time.
	AccountReadInterval = time.Hour
	// BlockedHint is what a person can do about an account that is blocked.
	BlockedHint = "ask 2Chat why, and to lift it; neither the key nor the configuration is the cause"
)

// AccountClient asks 2Chat about the account. A *twochat.Client implements it.
type AccountClient interface {
	// Info returns the account's limits and usage. It makes one attempt, which costs a call.
	Info(ctx context.Context) (connector.AccountInfo, error)
	// Ready returns why no call can be made for a reason on this machine, or nil. It costs nothing.
	Ready() error
}

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

	config   AccountConfig
	rate     atomic.Int64  // requests a minute in force
	calls    atomic.Int64  // made so far
	inFlight atomic.Int64  // of them, pages that have not come yet
	doubted  atomic.Bool   // since its pages ceased to be read, another reading was asked for
	doubts   chan struct{} // wakes Watch for that reading

	mu     sync.Mutex
	status AccountStatus
	begun  bool // the newest reading got an answer
}

// AccountStatus is what is known about the account.
type AccountStatus struct {
	connector.AccountInfo
	// Asked is when that was its answer; zero before the first.
	Asked time.Time
	// Cause is why it could not be read since; empty if it could.
	Cause string
	// Next is when it is asked again; zero before Watch.
	Next time.Time
}

// NewAccount returns an account about which nothing is known yet. It does no I/O.
func NewAccount(c AccountConfig) *Account {
	a := &Account{config: c, doubts: make(chan struct{}, 1)}
	rate := DefaultRequestsPerMinute
	if c.RequestsPerMinute > 0 {
		rate = c.RequestsPerMinute
	}
	a.rate.Store(int64(rate))
	a.Limiter = NewLimiter(float64(rate))
	a.Budget = NewBudget(BudgetConfig{
		Monthly: c.MonthlyCredits, Streams: c.Streams, Interval: c.MinInterval, Stop: c.StopWhenSpent,
		Own: a.calls.Load, InFlight: a.inFlight.Load, Logger: c.Logger,
	})
	return a
}

// RequestsPerMinute is the rate in force.
func (a *Account) RequestsPerMinute() int64 { return a.rate.Load() }

// Status returns what is known about the account.
func (a *Account) Status() AccountStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.status
}

// Pace is the interval in force of a stream that wants this one: a poll costs one request of the rate limit and of the
// budget.
func (a *Account) Pace(wanted time.Duration) time.Duration {
	return a.Budget.Pace(time.Now(), max(wanted, ShortestInterval(a.config.Streams, int(a.rate.Load()))))
}

// ShortestInterval is the shortest polling interval at which a rate limit allows that many streams.
func ShortestInterval(streams, requestsPerMinute int) time.Duration {
	return time.Duration(float64(streams) / float64(requestsPerMinute) * float64(time.Minute))
}

// SweepEvery is how often late messages are searched for under the budget as it stands.
func (a *Account) SweepEvery() time.Duration {
	return a.Budget.SweepEvery(time.Now(), a.config.SweepEvery)
}

// Begin reads the account once, before its streams are read. It counts as a request of the rate limit.
func (a *Account) Begin(ctx context.Context) {
	a.begun = a.read(ctx)
	a.Limiter.Pause(ShortestInterval(1, int(a.rate.Load())))
}

// Watch reads the account hourly, or sooner after a failure, until the context ends. The last reading stays in force
// until there is a newer one.
func (a *Account) Watch(ctx context.Context) {
	policy := connector.NewBackoff(30*time.Second, 30*time.Minute)
	for read := a.begun; ; read = a.read(ctx) {
		// Instances should not ask in step.
		wait := AccountReadInterval - time.Duration(rand.Int64N(int64(AccountReadInterval/20)))
		if read {
			policy.Reset()
		} else {
			wait = policy.Next()
		}
		if due, cause := a.Budget.Stopped(time.Now()); cause != nil && read {
			wait = max(0, time.Until(due))
		}
		a.setNext(time.Now().Add(wait))
		if a.untilDue(ctx, wait) != nil || a.whilePaid(ctx) != nil || a.Limiter.Wait(ctx, Live) != nil {
			return
		}
	}
}

// untilDue waits until the account is to be read: for that long, or until it is doubted.
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

// whilePaid waits while the budget allows no call, until the account's next month should have started, as reading the
// account is a call too.
func (a *Account) whilePaid(ctx context.Context) error {
	for {
		due, cause := a.Budget.Stopped(time.Now())
		if cause == nil || !due.After(time.Now()) {
			return ctx.Err()
		}
		a.setNext(due)
		if err := connector.Sleep(ctx, time.Until(due)); err != nil {
			return err
		}
	}
}

func (a *Account) setNext(t time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status.Next = t
}

// read reads the account's limit and usage once, and reports whether it got an answer.
func (a *Account) read(ctx context.Context) bool {
	if a.config.Client.Ready() != nil { // which every stream says; without a key nothing is sent, and nothing is paid
		return false
	}
	a.calls.Add(1)
	info, err := a.config.Client.Info(ctx)
	if err != nil {
		if ctx.Err() == nil {
			a.failed(err)
		}
		return false
	}
	if info.RequestsPerMinute > 0 && a.config.RequestsPerMinute == 0 {
		a.rate.Store(int64(info.RequestsPerMinute))
		a.Limiter.SetRate(float64(info.RequestsPerMinute))
	}
	now := time.Now()
	a.answered(info, now)
	a.Budget.Read(AccountUsage{At: now, Used: info.Usage, Max: info.MaxUsage})
	return true
}

// failed records why the account could not be read, and logs it once.
func (a *Account) failed(err error) {
	a.mu.Lock()
	news := a.status.Cause != err.Error()
	a.status.Cause = err.Error()
	a.mu.Unlock()
	if news {
		a.config.Logger.Warn(
			"the account's limits and usage cannot be read; what is known of them stays in force until they can",
			"requests_per_minute", a.rate.Load(), "cause", err)
	}
}

// answered records the account's answer, and logs what is new.
func (a *Account) answered(info connector.AccountInfo, now time.Time) {
	a.mu.Lock()
	was := a.status
	a.status = AccountStatus{AccountInfo: info, Asked: now, Next: was.Next}
	a.mu.Unlock()
	if info.Blocked && !was.Blocked {
		a.config.Logger.Warn("the account is blocked at 2Chat", "hint", BlockedHint, "next_attempt",
			now.Add(AccountReadInterval).UTC().Truncate(time.Minute))
	}
	if was.Asked.IsZero() || was.Cause != "" || was.MaxUsage != info.MaxUsage || was.Blocked != info.Blocked {
		a.config.Logger.Info("account's limits read", "requests_per_minute", a.rate.Load(), "calls_used", info.Usage,
			"calls_allowed", info.MaxUsage, "blocked", info.Blocked)
	}
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
