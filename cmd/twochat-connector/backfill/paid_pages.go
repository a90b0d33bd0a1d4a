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
	last    *connector.PageError // the last fault that waiting does not fix
	passing *connector.PageError // the last temporary fault; nil since a page was read
	faults  int                  // temporary faults in a row
	failing int                  // number of calls when the last of them occurred
	yield   time.Time            // until when to give way to a live stream that cannot poll
	why     connector.PageFault  // why it cannot poll
	spent   *quota.BudgetStatus
	rate    float64   // requests a minute that live polling leaves
	divisor float64   // of the rate; doubled each time the limit is hit all the same
	hit     time.Time // when the limit was last hit
	again   string    // what the same command does when it is run again
}

const (
	// mostDivisor limits how slow a backfill becomes by hitting the limit. forgiven is the time without hitting it after
	// which it gets faster again.
	mostDivisor = 16
	forgiven    = 5 * time.Minute
)

func newPaidPages(pages connector.Pages) *paidPages {
	return &paidPages{
		pages: pages, limiter: quota.NewLimiter(quota.DefaultRequestsPerMinute),
		rate: quota.DefaultRequestsPerMinute, divisor: 1, again: "continues where it stopped",
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

// afford is the error of a budget of which only the reserve is left.
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

// failed records why a page could not be read. After hitting the limit, a backfill backs off more than live polling
// does: for a minute at least, and to half of its rate.
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

// succeeded records that a page was read. A call that was in flight when a fault occurred does not clear that fault.
func (p *paidPages) succeeded(call int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if call > p.failing {
		p.passing, p.faults = nil, 0
	}
}

// giveWay allows no call for a while, because a fault keeps live polling from making its own.
func (p *paidPages) giveWay(fault connector.PageFault, d time.Duration) {
	p.limiter.Pause(d)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.why, p.yield = fault, time.Now().Add(d)
}

// hold is what keeps pages from being read until it passes by itself. A single temporary failure does not count.
func (p *paidPages) hold() waitReason {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.passing != nil && (p.faults > 1 || p.passing.Fault != connector.FaultTransient):
		return waitReasonOf(p.passing.Fault, p.passing.Error())
	case time.Now().Before(p.yield):
		return waitReasonOf(p.why, "live polling is held up by it ("+string(p.why)+"), and goes first")
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

// pace is the most requests a minute that are made.
func (p *paidPages) pace() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.allowed()
}

func (p *paidPages) allowed() float64 { return max(1, p.rate/p.divisor) }

// count counts a call, and returns its number.
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

// fatal is what ends a backfill, as waiting does not fix it: a wrong key, a missing number, a refused request, or a
// budget of which only the reserve is left. It is nil if there is none. Used up credits do not count, as they come
// back.
func (p *paidPages) fatal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.spent != nil:
		return cli.Hinted(fmt.Errorf("of the month's budget of %s calls only the reserve of %s for live polling is left", text.Thousands(p.spent.Budget), text.Thousands(p.spent.Reserve)),
			"raise poll.monthly_credits, or run the same command after the account's next month has begun: it "+p.again)
	case p.last != nil:
		return cli.Hinted(p.last, "`twochat-connector check` shows what is wrong; after that the same command "+p.again)
	}
	return nil
}
