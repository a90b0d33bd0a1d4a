package quota

import (
	"context"
	"errors"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Pages wraps pages, each of which has been paid for by Take, to notice whether the account is blocked.
func (a *Account) Pages(pages connector.Pages) connector.Pages { return &accountPages{pages, a} }

// accountPages reads pages of an account that may be blocked.
type accountPages struct {
	pages   connector.Pages
	account *Account
}

// Page implements connector.Pages.
func (p *accountPages) Page(ctx context.Context, s connector.Stream, number int,
	held connector.Fingerprint,
) (connector.Page, error) {
	defer p.account.inFlight.Add(-1)
	page, err := p.pages.Page(ctx, s, number, held)
	if ofAccount(err) {
		p.account.doubt()
	} else if err == nil {
		p.account.doubted.Store(false)
	}
	return page, AsBlocked(err, p.account.Status().Blocked)
}

// doubt makes the account be read again, once each time that its pages become unreadable, as it may have been blocked.
func (a *Account) doubt() {
	if a.doubted.CompareAndSwap(false, true) {
		a.wake()
	}
}

// wake makes Watch read the account now.
func (a *Account) wake() {
	select {
	case a.doubts <- struct{}{}:
	default:
	}
}

// ofAccount reports whether a fault concerns the account: its key, its credits, its rights.
func ofAccount(err error) bool {
	var fault *connector.PageError
	return errors.As(err, &fault) && fault.Status != 0 && (fault.Fault == connector.FaultKey ||
		fault.Fault == connector.FaultCredits)
}

// AsBlocked returns a fault of a blocked account as FaultBlocked, and any other error as it is. What 2Chat answers about
// the key and the credits results from the block, and a hint about the key would not help.
func AsBlocked(err error, blocked bool) error {
	var fault *connector.PageError
	if !blocked || !ofAccount(err) || !errors.As(err, &fault) {
		return err
	}
	return &connector.PageError{
		Fault: connector.FaultBlocked, Status: fault.Status, RetryAfter: fault.RetryAfter,
		Err: errors.New("2Chat says that the account is blocked"), Hint: BlockedHint,
	}
}
