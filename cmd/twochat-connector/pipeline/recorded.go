package pipeline

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector"
)

// recordedState is what a pipeline records of its sink and its account. It may be used by several goroutines.
type recordedState struct {
	logger  *slog.Logger
	doubted atomic.Bool   // the account is to be read again, or was, since its pages ceased to be read
	doubts  chan struct{} // that it is

	mu      sync.Mutex
	sinkOK  bool           // the sink was asked and refused nothing
	waiting cli.Problem    // why the sink could not be asked yet, and what to do
	account *accountReport // what it said last; nil before the first answer
	// accountCause is why it could not be read since.
	accountCause string
	accountDue   time.Time // when it is asked again
}

// notReached records and says, once for each cause, why the sink could not be asked.
func (r *recordedState) notReached(err error) {
	now := sinkTrouble(err)
	r.mu.Lock()
	news := r.waiting != now
	r.waiting = now
	r.mu.Unlock()
	if news {
		r.logger.Warn("the sink cannot be reached; nothing is polled until it can", "cause", now.Text, "hint", now.Hint)
	}
}

// judge ends the start where a finding refuses it, and says the warnings once.
func (r *recordedState) judge(findings []connector.Finding) error {
	var refused cli.RefusedError
	for _, finding := range findings {
		switch finding.Level {
		case connector.FindingRefused:
			refused = append(refused, finding)
		case connector.FindingWarning:
			r.logger.Warn("the sink's settings weaken the promise", "thing", finding.Thing, "finding", finding.Text, "hint",
				finding.Hint)
		}
	}
	if refused != nil {
		return refused
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting != (cli.Problem{}) {
		r.logger.Info("the sink is reached")
	}
	r.sinkOK, r.waiting = true, cli.Problem{}
	return nil
}

// blocked says whether the account was blocked when it was read last.
func (r *recordedState) blocked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.account != nil && r.account.Blocked
}

// askAccountOnce has the account read again, once for each time that its pages cease to be read: it may have been
// blocked since.
func (r *recordedState) askAccountOnce() {
	if r.doubted.CompareAndSwap(false, true) {
		select {
		case r.doubts <- struct{}{}:
		default:
		}
	}
}

// accountFits notes that pages are read.
func (r *recordedState) accountFits() { r.doubted.Store(false) }

// untilAccountDue waits until the account is to be read: after so long, or as soon as it is doubted.
func (r *recordedState) untilAccountDue(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.doubts:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// noteAccount records what the account said, and why it could not be read since.
func (r *recordedState) noteAccount(said *accountReport, cause string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.account, r.accountCause = said, cause
}
