package main

import (
	"context"
	"errors"
	"sync"

	"github.com/twochat-connector/twochat-connector/connector"
)

// paidPages counts the calls of a backfill and keeps its rate. It may be used from several goroutines.
type paidPages struct {
	pages   connector.Pages
	limiter *connector.Limiter

	mu    sync.Mutex
	calls int
	last  *connector.PageError // that waiting does not mend
}

func (p *paidPages) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (connector.Page, error) {
	if err := p.limiter.Wait(ctx, connector.CatchUp); err != nil {
		return connector.Page{}, err
	}
	page, err := p.pages.Page(ctx, s, number, held)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	var fault *connector.PageError
	if errors.As(err, &fault) {
		switch fault.Fault {
		case connector.FaultCredits, connector.FaultKey, connector.FaultNumber, connector.FaultRequest:
			p.last = fault
		case connector.FaultRateLimited:
			p.limiter.Pause(fault.RetryAfter)
		}
	}
	return page, err
}

func (p *paidPages) made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls
}

// fatal is what keeps pages from being read until a person does something; nil while nothing does.
func (p *paidPages) fatal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		return nil
	}
	mend := "`twochat-connector check` says what is wrong; then the same command goes on where it was"
	if p.last.Fault == connector.FaultCredits {
		mend = "top up the account, or wait for the month's reset; then the same command goes on where it was"
	}
	return mended(p.last, mend)
}
