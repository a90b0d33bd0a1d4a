package quota

import (
	"cmp"
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
	BlockedHint = "ask 2Chat why, and to unblock it; the cause is neither the key nor the configuration"
)

// AbovePlanHint is what to do about a budget that is above the account's plan.
const AbovePlanHint = "set poll.monthly_credits to less than the plan, which other integrations use too; 0 is half of it"

// AccountClient asks 2Chat about the account. A *twochat.Client implements it.
type AccountClient interface {
	// Info returns the account's limits and usage. It makes one attempt, which costs a call.
	Info(ctx context.Context) (connector.AccountInfo, error)
	// Ready returns why no call can be made for a reason on this machine, or nil. It costs nothing.
	Ready() error
}

// AccountReaderConfig is the configuration of an AccountReader. All fields but RequestsPerMinute are required.
type AccountReaderConfig struct {
	Client AccountClient
	// RequestsPerMinute is the rate limit to keep; 0 = the one that the account names.
	RequestsPerMinute int
	// Budget is given each reading of the account's usage.
	Budget *Budget
	// Count is called before each call, as reading the account is a call too.
	Count  func()
	Logger *slog.Logger
}

// AccountReader reads the account's limit and usage for whoever shares the account: an Account, or a command that runs
// beside an instance. The last reading stays in force until there is a newer one. It makes one call at a time;
// RequestsPerMinute and Status may be called meanwhile.
type AccountReader struct {
	config  AccountReaderConfig
	backoff *connector.Backoff // how soon the account is read again after a failure
	fixed   atomic.Int64       // requests a minute to keep; 0: those that the account names
	rate    atomic.Int64       // requests a minute in force

	mu     sync.Mutex
	status AccountStatus
}

// AccountStatus is what is known about the account.
type AccountStatus struct {
	connector.AccountInfo
	// Asked is when the account answered this; zero before the first answer.
	Asked time.Time
	// Cause is why a later reading failed; empty if none did.
	Cause string
	// Next is when it is asked again; zero before Watch.
	Next time.Time
}

// NewAccountReader returns a reader that has read nothing yet. It does no I/O.
func NewAccountReader(c AccountReaderConfig) *AccountReader {
	r := &AccountReader{config: c, backoff: connector.NewBackoff(30*time.Second, 30*time.Minute)}
	r.SetRequestsPerMinute(c.RequestsPerMinute)
	return r
}

// SetRequestsPerMinute changes the rate limit to keep; 0 = the one that the account names or last named.
func (r *AccountReader) SetRequestsPerMinute(rate int) {
	r.fixed.Store(int64(rate))
	r.rate.Store(int64(cmp.Or(rate, r.Status().RequestsPerMinute, DefaultRequestsPerMinute)))
}

// RequestsPerMinute is the rate in force.
func (r *AccountReader) RequestsPerMinute() int64 { return r.rate.Load() }

// Status returns what is known about the account.
func (r *AccountReader) Status() AccountStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// Read reads the account's limit and usage once, and reports whether it got an answer.
func (r *AccountReader) Read(ctx context.Context) bool {
	if r.config.Client.Ready() != nil { // every stream reports this; without a key nothing is sent and nothing is paid
		return false
	}
	r.config.Count()
	info, err := r.config.Client.Info(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.failed(err)
		}
		return false
	}
	if info.RequestsPerMinute > 0 && r.fixed.Load() == 0 {
		r.rate.Store(int64(info.RequestsPerMinute))
	}
	now := time.Now()
	r.config.Budget.Read(AccountUsage{At: now, Used: info.Usage, Max: info.MaxUsage})
	r.answered(info, now)
	return true
}

// Next is how long to wait for the next reading: an hour, or less after one that got no answer.
func (r *AccountReader) Next(answered bool) time.Duration {
	if !answered {
		return r.backoff.Next()
	}
	r.backoff.Reset()
	return AccountReadInterval - time.Duration(rand.Int64N(int64(AccountReadInterval/20))) // not in step with others
}

func (r *AccountReader) setNext(t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Next = t
}

// failed records why the account could not be read, and logs it once.
func (r *AccountReader) failed(err error) {
	r.mu.Lock()
	news := r.status.Cause != err.Error()
	r.status.Cause = err.Error()
	r.mu.Unlock()
	if news {
		r.config.Logger.Warn(
			"the account's limits and usage cannot be read; the last known ones stay in force until then",
			"requests_per_minute", r.rate.Load(), "cause", err)
	}
}

// answered records the account's answer, and logs what is new.
func (r *AccountReader) answered(info connector.AccountInfo, now time.Time) {
	r.mu.Lock()
	was := r.status
	r.status = AccountStatus{AccountInfo: info, Asked: now, Next: was.Next}
	r.mu.Unlock()
	if info.Blocked && !was.Blocked {
		r.config.Logger.Warn("the account is blocked at 2Chat", "hint", BlockedHint, "next_attempt",
			now.Add(AccountReadInterval).UTC().Truncate(time.Minute))
	}
	if was.Asked.IsZero() || was.Cause != "" || was.MaxUsage != info.MaxUsage || was.Blocked != info.Blocked {
		if monthly, plan := AbovePlan(r.config.Budget); plan > 0 {
			r.config.Logger.Warn("the month's budget is above the account's plan, whose end it does not prevent",
				"monthly_credits", monthly, "plan", plan, "hint", AbovePlanHint)
		}
		r.config.Logger.Info("account's limits read", "requests_per_minute", r.rate.Load(), "calls_used", info.Usage,
			"calls_allowed", info.MaxUsage, "blocked", info.Blocked)
	}
}
