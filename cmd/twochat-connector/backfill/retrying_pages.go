package backfill

import (
	"context"
	"errors"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// retryingPages waits out temporary faults while a history is measured; once it is read, the Poller does that. It waits
// at each page: a measurement that started over after each fault would never end beside a `run` that uses the whole
// limit.
type retryingPages struct {
	pages    *paidPages
	measured bool // from now on faults are returned; set while no page is read
	retry    *poller.PageRetry
}

func newRetryingPages(pages *paidPages) *retryingPages {
	return &retryingPages{pages: pages, retry: poller.NewPageRetry()}
}

// Page implements connector.Pages. While the history is measured, it returns only those faults that waiting does not
// fix.
func (p *retryingPages) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (
	connector.Page, error,
) {
	for {
		page, err := p.pages.Page(ctx, s, number, held)
		var fault *connector.PageError
		switch {
		case p.measured:
			return page, err
		case err == nil:
			p.retry.Read()
			return page, nil
		case !errors.As(err, &fault) || p.pages.fatal() != nil:
			return page, err
		}
		wait, _ := p.retry.Next(fault)
		if err := connector.Sleep(ctx, wait); err != nil {
			return connector.Page{}, err
		}
	}
}

// measure finds out how much there is, and shows progress meanwhile.
func (b *Engine) measure(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- b.extend(ctx) }()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			b.spare.retrying.measured = true
			b.view.extent = b.extent
			return err
		case <-ticker.C:
			b.view.measuring(b.spare.pages.made(), b.spare.pages.pace(), b.spare.pages.hold())
		}
	}
}

// extend finds how far the history extends. If the list moves as fast as it is searched, the search goes on from where
// it got to.
func (b *Engine) extend(ctx context.Context) error {
	moved := connector.NewBackoff(time.Second, time.Minute)
	for {
		pages, messages, err := b.history.Extent(ctx, b.start)
		switch {
		case err == nil:
			b.extent = extent{Pages: pages, Messages: messages}
			b.extent.Calls, b.extent.CallsMost = callsFor(pages)
			return nil
		case !errors.Is(err, reader.ErrMoved) && !errors.Is(err, reader.ErrStalled):
			return err
		}
		if err := connector.Sleep(ctx, moved.Next()); err != nil {
			return err
		}
	}
}
