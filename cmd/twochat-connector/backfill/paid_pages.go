package backfill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

// paidPages counts the calls of a backfill, keeps to its rate, and does not use the reserve of the month's budget. It
// is safe for concurrent use.
type paidPages struct {
	pages   connector.Pages
	limiter *quota.Limiter
	budget  *quota.Budget

	mu      sync.Mutex
	calls   int
	last    *connector.PageError // that waiting does not fix
	passing *connector.PageError // that it fixes; nil since a page could be read
	faults  int                  // in a row
	failing int                  // how many calls were made when the last of them came
	yield   time.Time            // until when a kept back live stream is given way to
	why     connector.PageFault  // that keeps it back
	spent   *quota.BudgetStatus
	rate    float64   // requests a minute that are left over
	divisor float64   // of the rate: it doubles each time that the limit is hit all the same
	hit     time.Time // when it was last
	again   string    // what the same command does when it is run again
}

const (
	// mostDivisor bounds how slow a backfill becomes by hitting the limit, forgiven is after how long without that it gets
	// faster.
	mostDivisor = 16
	forgiven    = 5 * time.Minute
)

func newPaidPages(pages connector.Pages) *paidPages {
	return &paidPages{
		pages: pages, limiter: quota.NewLimiter(quota.DefaultRequestsPerMinute),
		rate: quota.DefaultRequestsPerMinute, divisor: 1, again: "goes on where it was",
	}
}

func (p *paidPages) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (
	connector.Page, error,
) {
	if err := p.limiter.Wait(ctx, quota.CatchUp); err != nil {
		return connector.Page{}, err
	}
	if err := p.afford(); err != nil {
		return connector.Page{}, err
	}
	call := p.count()
	page, err := p.pages.Page(ctx, s, number, held)
	var fault *connector.PageError
	switch {
	case errors.As(err, &fault):
		p.failed(fault)
	case err == nil:
		p.succeeded(call)
	}
	return page, err
}

// afford is the error of a budget of which no more is left than the reserve.
func (p *paidPages) afford() error {
	if p.budget == nil {
		return nil
	}
	of := p.budget.Status(time.Now())
	if of.State == quota.BudgetUnknown || of.Left > of.Reserve {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spent = &of
	return &connector.PageError{
		Fault: connector.FaultCredits,
		Err:   errors.New("only the reserve of the month's budget is left"),
	}
}

// failed notes why a page could not be read. Where the limit is hit, a backfill backs off more than live polling does:
// for a minute at least, and to half of its rate.
func (p *paidPages) failed(fault *connector.PageError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passing, p.failing = fault, p.calls
	p.faults++
	switch fault.Fault {
	case connector.FaultKey, connector.FaultBlocked, connector.FaultNumber, connector.FaultRequest:
		p.last = fault
	case connector.FaultRateLimited:
		p.limiter.Pause(max(2*fault.RetryAfter, throttledPause))
		p.divisor, p.hit = min(2*p.divisor, mostDivisor), time.Now()
		p.limiter.SetRate(p.allowed())
	}
}

// succeeded notes that a page could be read. Of a call that was under way when a fault came it says nothing of what is
// since.
func (p *paidPages) succeeded(call int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if call > p.failing {
		p.passing, p.faults = nil, 0
	}
}

// giveWay allows no call for a while, as a fault keeps live polling from making its own.
func (p *paidPages) giveWay(fault connector.PageFault, d time.Duration) {
	p.limiter.Pause(d)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.why, p.yield = fault, time.Now().Add(d)
}

// hold is what no page can be read for, until it is over by itself. A single answer that failed in passing is none.
func (p *paidPages) hold() waitReason {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.passing != nil && (p.faults > 1 || p.passing.Fault != connector.FaultTransient):
		return waitReasonOf(p.passing.Fault, p.passing.Error())
	case time.Now().Before(p.yield):
		return waitReasonOf(p.why, "live polling is kept back by it ("+string(p.why)+"), and goes first")
	}
	return waitReason{}
}

// setRate sets how many requests a minute are left over.
func (p *paidPages) setRate(perMinute float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.divisor > 1 && time.Since(p.hit) >= forgiven {
		p.divisor, p.hit = p.divisor/2, time.Now()
	}
	p.rate = perMinute
	p.limiter.SetRate(p.allowed())
}

// pace is how many requests a minute are made at most.
func (p *paidPages) pace() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.allowed()
}

func (p *paidPages) allowed() float64 { return max(1, p.rate/p.divisor) }

// count notes a call, and reports which it is.
func (p *paidPages) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	return p.calls
}

func (p *paidPages) made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// fatal is what ends a backfill, as no waiting fixes it: a wrong key, a missing number, a request that is refused, or a
// budget of which only the reserve is left. It is nil while there is none. Used up credits are none: they come back.
func (p *paidPages) fatal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.spent != nil:
		return cli.Hinted(fmt.Errorf("of the month's budget of %s calls no more is left than the reserve of %s, which live polling lives on", text.Thousands(p.spent.Budget), text.Thousands(p.spent.Reserve)),
			"raise poll.monthly_credits, or run the same command when the account's next month has begun: it "+p.again)
	case p.last != nil:
		return cli.Hinted(p.last, "`twochat-connector check` says what is wrong; then the same command "+p.again)
	}
	return nil
}
