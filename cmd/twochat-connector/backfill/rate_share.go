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

// rateShare limits a backfill to what live polling leaves of the account's rate limit, and has the account read now and
// then. If the instance that runs with this configuration answers at its admin server, it reports its usage;
// otherwise it is assumed to poll as often as it may.
type rateShare struct {
	pages   *paidPages
	account *quota.AccountReader
	logger  *slog.Logger
	stream  string        // the live stream
	named   string        // its account, if there are several
	admin   *admin.Target // the running instance's; nil if it has no fixed address
	blind   float64

	due    time.Time         // when to read the account again
	before map[string]uint64 // requests of each live stream at the last reading
	asked  time.Time
	beside bool // the running instance answered
}

const (
	// shareEvery is how often the running instance's status is read.
	shareEvery = 5 * time.Second
	// shareMost is the largest part of the limit that a backfill uses. shareSpare is what it leaves in addition to the
	// usage of live polling.
	shareMost, shareSpare = .75, .1
	// throttledPause is how long no request is made after the limit was hit, by this process or by the running instance.
	throttledPause = time.Minute
)

// newRateShare makes the share of the calls for a live stream's list.
func newRateShare(
	c *config.Config, pages *paidPages, client *twochat.Client, stream string, logger *slog.Logger,
) *rateShare {
	poll := c.Poll
	s := &rateShare{
		pages: pages, logger: logger, stream: stream, named: c.Account(),
		blind: float64(len(c.TwoChat.Streams)) * float64(time.Minute) / float64(poll.MinInterval),
		account: quota.NewAccountReader(quota.AccountReaderConfig{
			Client: client, RequestsPerMinute: poll.RequestsPerMinute, Budget: pages.budget,
			Count: func() { pages.count() }, Logger: logger,
		}),
	}
	if !strings.HasSuffix(c.Admin.Listen, ":0") {
		beside := admin.Local(c)
		s.admin = &beside
	}
	return s
}

// watchBeside adjusts the share until the returned function is called.
func (s *rateShare) watchBeside(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { s.watch(ctx) })
	return func() {
		cancel()
		watching.Wait()
	}
}

// start reads the account once, and sets a first rate.
func (s *rateShare) start(ctx context.Context) {
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

func (s *rateShare) readAccount(ctx context.Context) {
	answered := s.account.Read(ctx)
	s.due = time.Now().Add(s.account.Next(answered))
}

// limit is how many requests a minute the account may make.
func (s *rateShare) limit() float64 { return float64(s.account.RequestsPerMinute()) }

// adjust sets the rate to what is left over now.
func (s *rateShare) adjust(ctx context.Context) {
	live, kept, answered := s.beneath(ctx)
	if answered != s.beside {
		s.beside = answered
		s.logger.Info("rate shared with live polling", "running_instance_answers", answered, "requests_per_minute_live",
			int(live), "limit", int(s.limit()))
	}
	if kept != "" {
		s.pages.giveWay(kept, throttledPause)
	}
	s.pages.setRate(restOf(s.limit(), live))
}

// restOf is how many requests a minute are left over.
func restOf(limit, live float64) float64 {
	return max(1, min(limit-live-limit*shareSpare, limit*shareMost))
}

// beneath is how many requests a minute live polling makes, and what keeps it from polling: the limit, credits, or ""
// for neither.
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
		return s.blind, "", false // another program answers there
	}
	now, planned, made := time.Now(), 0.0, uint64(0)
	requests := make(map[string]uint64, len(r.Streams))
	for _, of := range r.Streams {
		if of.Account != s.named {
			continue // it has a limit of its own
		}
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
