package backfill

import (
	"context"
	"log/slog"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// Spare requests pages with what live polling leaves of the account's rate limit and of the month's budget, and waits
// out temporary failures. It is for commands that read a list beside a running instance.
type Spare struct {
	pages    *paidPages
	retrying *retryingPages // the same pages
	share    *rateShare
	beside   bool
	stop     func()
}

// NewSpare reads the account's limit and usage, and begins to limit itself to what is left. pages are the client's.
// stream is the name of a configured stream, by which the running instance is recognised; monthBegun is from its
// checkpoint. The caller closes it.
func NewSpare(
	ctx context.Context, c *config.Config, pages connector.Pages, client *twochat.Client, stream string,
	monthBegun time.Time, logger *slog.Logger,
) *Spare {
	s := &Spare{pages: newPaidPages(pages)}
	s.pages.budget = pipeline.NewBudget(c, func() int64 { return int64(s.pages.made()) }, cli.QuietLogger())
	s.pages.budget.Recall(time.Now(), monthBegun)
	s.retrying = newRetryingPages(s.pages)
	s.share = newRateShare(c, s.pages, client, stream, logger)
	s.share.start(ctx)
	s.beside = s.share.beside
	s.stop = s.share.watchBeside(ctx)
	return s
}

// StartsAgain records that the same command does not continue where it stopped, but starts again.
func (s *Spare) StartsAgain() { s.pages.again = "starts again" }

// Page implements connector.Pages.
func (s *Spare) Page(ctx context.Context, of connector.Stream, number int, held connector.Fingerprint) (
	connector.Page, error,
) {
	return s.retrying.Page(ctx, of, number, held)
}

// Calls is how many calls were made.
func (s *Spare) Calls() int { return s.pages.made() }

// Fatal is what waiting does not fix, with a hint; nil if there is none.
func (s *Spare) Fatal() error { return s.pages.fatal() }

// Waits describes in a few words what it waits for, and why; "" if it does not wait.
func (s *Spare) Waits() (word, cause string) {
	hold := s.pages.hold()
	return hold.word, hold.cause
}

// Left is how many calls of the month's budget may be made without using the reserve; false if that is not known.
func (s *Spare) Left() (calls int64, known bool) {
	of := s.pages.budget.Status(time.Now())
	return max(0, of.Left-of.Reserve), of.State != quota.BudgetUnknown
}

// Beside reports whether an instance that runs with this configuration answered at the beginning.
func (s *Spare) Beside() bool { return s.beside }

// Close ends the sharing.
func (s *Spare) Close() { s.stop() }
