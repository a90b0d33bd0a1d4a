package backfill

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// rateShare keeps a backfill to what live polling leaves of the account's rate limit, and reads the account's usage now
// and then. Where the instance that runs with this configuration answers at its admin server, that says what it uses;
// else it is supposed to poll as often as it may.
type rateShare struct {
	pages  *paidPages
	client *twochat.Client
	logger *slog.Logger
	stream string        // the live one
	admin  *admin.Target // of the running instance; nil where it has no fixed address
	fixed  int           // requests a minute of the configuration; 0: the account's
	blind  float64

	limit  float64            // requests a minute of the account
	due    time.Time          // when the account is to be read again
	unread *connector.Backoff // how soon where it could not be
	cause  string             // why it could not be, as the log told last; "" where it could
	before map[string]uint64  // requests of each live stream when it was asked last
	asked  time.Time
	beside bool // it answered
}

const (
	// shareEvery is how often the running instance is asked.
	shareEvery = 5 * time.Second
	// shareMost is the part of the limit that a backfill takes at most, shareSpare what it leaves beyond what live polling
	// uses.
	shareMost, shareSpare = .75, .1
	// throttledPause is how long nothing is asked for where the limit was hit, by this process or the one beside it.
	throttledPause = time.Minute
)

// newRateShare makes the share of the calls for a live stream's list.
func newRateShare(
	c *config.Config, pages *paidPages, client *twochat.Client, stream string, logger *slog.Logger,
) *rateShare {
	poll := c.Poll
	s := &rateShare{
		pages: pages, client: client, logger: logger, stream: stream, fixed: poll.RequestsPerMinute,
		blind:  float64(len(c.TwoChat.Streams)) * float64(time.Minute) / float64(poll.MinInterval),
		unread: connector.NewBackoff(30*time.Second, 30*time.Minute),
	}
	if !strings.HasSuffix(c.Admin.Listen, ":0") {
		beside := admin.Local(c)
		s.admin = &beside
	}
	return s
}

// watchBeside lets the share be adjusted until the returned function is called.
func (s *rateShare) watchBeside(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx) })
	return func() {
		cancel()
		watching.Wait()
	}
}

// start reads the account, once, and settles a rate.
func (s *rateShare) start(ctx context.Context) {
	s.limit = quota.DefaultRequestsPerMinute
	if s.fixed > 0 {
		s.limit = float64(s.fixed)
	}
	s.readAccount(ctx)
	s.adjust(ctx)
}

// watch adjusts the rate until the context ends.
func (s *rateShare) watch(ctx context.Context) {
	ticker := time.NewTicker(shareEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if !time.Now().Before(s.due) && s.pages.limiter.Wait(ctx, quota.CatchUp) == nil {
			s.readAccount(ctx)
		}
		s.adjust(ctx)
	}
}

// readAccount asks for the account's limit and usage: hourly, and sooner where it got no answer.
func (s *rateShare) readAccount(ctx context.Context) {
	s.pages.count()
	info, err := s.client.Info(ctx)
	now := time.Now()
	if err != nil {
		s.due = now.Add(s.unread.Next())
		if ctx.Err() == nil && s.cause != err.Error() {
			s.cause = err.Error()
			s.logger.Warn("the account's limit and usage cannot be read; what is known of them stays in force until they can",
				"requests_per_minute", s.limit, "cause", err)
		}
		return
	}
	s.unread.Reset()
	s.due, s.cause = now.Add(quota.AccountReadInterval), ""
	if info.RequestsPerMinute > 0 && s.fixed == 0 {
		s.limit = float64(info.RequestsPerMinute)
	}
	s.pages.budget.Read(quota.AccountUsage{At: now, Used: info.Usage, Max: info.MaxUsage})
}

// adjust sets the rate to what is left over now.
func (s *rateShare) adjust(ctx context.Context) {
	live, kept, answered := s.beneath(ctx)
	if answered != s.beside {
		s.beside = answered
		s.logger.Info("rate shared with live polling", "running_instance_answers", answered, "requests_per_minute_live",
			int(live), "limit", int(s.limit))
	}
	if kept != "" {
		s.pages.giveWay(kept, throttledPause)
	}
	s.pages.setRate(restOf(s.limit, live))
}

// restOf is how many requests a minute are left over.
func restOf(limit, live float64) float64 {
	return max(1, min(limit-live-limit*shareSpare, limit*shareMost))
}

// beneath says how many requests a minute live polling makes, and what keeps it from polling: limit, credits, or "" for
// neither.
func (s *rateShare) beneath(ctx context.Context) (perMinute float64, kept connector.PageFault, answered bool) {
	var r pipeline.Report
	if s.admin == nil {
		return s.blind, "", false
	}
	body, err := s.admin.Ask(ctx)
	if err != nil || json.Unmarshal(body, &r) != nil {
		return s.blind, "", false
	}
	if !slices.ContainsFunc(r.Streams, func(of pipeline.StreamReport) bool { return of.Stream == s.stream }) {
		return s.blind, "", false // it serves something else
	}
	now, planned, made := time.Now(), 0.0, uint64(0)
	requests := make(map[string]uint64, len(r.Streams))
	for _, of := range r.Streams {
		requests[of.Stream] = of.Requests
		made += of.Requests - min(of.Requests, s.before[of.Stream])
		if of.Interval > 0 {
			planned += float64(time.Minute) / float64(of.Interval)
		}
		for _, fault := range []connector.PageFault{connector.FaultRateLimited, connector.FaultCredits} {
			if of.State == poller.StateNoSource && strings.HasPrefix(of.Cause, string(fault)) {
				kept = fault
			}
		}
	}
	perMinute = planned
	if span := now.Sub(s.asked); s.before != nil && span > 0 && span < time.Minute {
		perMinute = max(planned, float64(made)*float64(time.Minute)/float64(span))
	}
	s.before, s.asked = requests, now
	return perMinute, kept, true
}
