package pipeline

import (
	"context"
	"errors"

	"github.com/twochat-connector/twochat-connector/connector"
)

// blockedPages reads pages of an account that may be blocked.
type blockedPages struct {
	connector.Pages
	pipeline *Pipeline
}

// Page implements connector.Pages.
func (b blockedPages) Page(ctx context.Context, s connector.Stream, number int,
	held connector.Fingerprint,
) (connector.Page, error) {
	page, err := b.Pages.Page(ctx, s, number, held)
	if ofAccount(err) {
		b.pipeline.recorded.askAccountOnce()
	} else if err == nil {
		b.pipeline.recorded.accountFits()
	}
	return page, OfBlocked(err, b.pipeline.recorded.blocked())
}

// ofAccount says whether a fault is an answer about the account: its key, its credits, its rights.
func ofAccount(err error) bool {
	var fault *connector.PageError
	return errors.As(err, &fault) && fault.Status != 0 && (fault.Fault == connector.FaultKey ||
		fault.Fault == connector.FaultCredits)
}

// OfBlocked is a fault by its cause where 2Chat says that the account is blocked: what it answers about key and credits
// comes of that, and a hint about the key would lead nowhere.
func OfBlocked(err error, blocked bool) error {
	var fault *connector.PageError
	if !blocked || !ofAccount(err) || !errors.As(err, &fault) {
		return err
	}
	return &connector.PageError{
		Fault: connector.FaultBlocked, Status: fault.Status, RetryAfter: fault.RetryAfter,
		Err: errors.New("2Chat says that the account is blocked"), Hint: BlockedHint,
	}
}
