package poller

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// fenced is a log for two owners, of which the one that acquired last may commit.
type fenced struct {
	*connectortest.Log
	mu     sync.Mutex
	holder *rival
}

// rival is one owner's access to it.
type rival struct{ *fenced }

func (r *rival) Acquire(ctx context.Context) (connector.State, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holder = r
	return r.Log.Acquire(ctx)
}

func (r *rival) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject,
	next connector.Checkpoint,
) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.holder != r {
		return connector.ErrFenced
	}
	return r.Log.Commit(ctx, events, rejects, next)
}

// slowPages takes time for each page.
type slowPages struct {
	connector.Pages
	delay time.Duration
}

func (s slowPages) Page(ctx context.Context, stream connector.Stream, number int, held connector.Fingerprint) (
	connector.Page, error,
) {
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return connector.Page{}, ctx.Err()
	}
	return s.Pages.Page(ctx, stream, number, held)
}

// Two instances that take longer between two commits than the other waits do not take the stream from each other
// forever.
func TestPoller_TwoThatAreSlowGetOn(t *testing.T) {
	for _, delay := range []time.Duration{5 * time.Second, time.Minute, 4 * time.Minute} {
		t.Run(fmt.Sprint(delay), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { twoThatAreSlow(t, delay) })
		})
	}
}

func twoThatAreSlow(t *testing.T, delay time.Duration) {
	t.Helper()
	list, log := &connectortest.List{PageSize: small.Page, Rows: connectortest.Newest(300, 1)},
		&fenced{Log: &connectortest.Log{T: t}}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range 2 {
		poller := New(Config{
			Pages: slowPages{list, delay}, Log: &rival{log}, Start: connectortest.StartBeginning, MinInterval: shortest,
			MaxInterval: longest, Limiter: quota.NewLimiter(0),
			Reading: reader.Reading{
				Stream: connector.Stream{Name: "a", SourceKey: "k"}, Rules: small,
				Events: connector.EventSettings{TypePrefix: "p"},
			},
			Metrics: NewMetrics(prometheus.NewRegistry()), Logger: slog.New(slog.DiscardHandler),
		})
		group.Go(func() {
			if err := poller.Run(ctx); err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	pass(48 * time.Hour)
	if got := log.Text(); got != connectortest.IDs(1, 300) {
		t.Errorf("after two days the log has %s", got)
	}
	cancel()
	group.Wait()
}

// A quiet stream that was taken over, as by a repair, shows it within a minute and a poll, and afterwards what the
// other owner has written. An older checkpoint, from a server that lags behind, takes nothing over.
func TestPoller_AQuietStreamNoticesATakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(10 * time.Minute)
		s.wantState(StateLive)
		_, _, own := s.log.Counts()
		older, newer := own, own
		older.Owner, older.Epoch = "another", own.Epoch-1
		newer.Owner, newer.Epoch, newer.Written = "another", own.Epoch+1, time.Now()
		seen := func(c *connector.Checkpoint) {
			s.log.Mu.Lock()
			defer s.log.Mu.Unlock()
			s.log.Twin = func() connector.Checkpoint { return *c }
		}
		seen(&older)
		pass(10 * time.Minute)
		s.wantState(StateLive)
		seen(&newer)
		pass(ownershipChecked + longest)
		s.wantState(StateStandby)
		pass(5 * longest)
		if acquired, _, _ := s.log.Counts(); acquired != 2 {
			t.Errorf("it acquired %d times", acquired)
		}
		s.stop()
	})
}

// A fenced instance leaves the stream alone for five polls after the other's last commit, and then takes it over. Those
// are the polls of a stream that becomes quiet, at the intervals in force, and not five of the longest interval.
func TestPoller_WhoWasFencedStandsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		s.lines.states()
		s.log.Mu.Lock()
		last, alive := time.Now(), true
		s.log.Twin = func() connector.Checkpoint {
			if alive {
				last = time.Now()
			}
			return connector.Checkpoint{Written: last}
		}
		s.log.Answer = func(context.Context, []connector.Event) (bool, error) { return false, connector.ErrFenced }
		s.log.Mu.Unlock()
		s.add(4, 4)
		pass(2 * longest)
		s.list.Times()
		pass(3 * time.Hour)
		s.wantState(StateStandby)
		acquired, _, _ := s.log.Counts()
		if got := s.list.Times(); len(got) > 0 || acquired != 1 {
			t.Errorf("fenced, it asked for %d pages and acquired %d times", len(got), acquired)
		}
		if status := s.poller.Status(); status.Fenced != 1 || status.Owned {
			t.Errorf("%+v", status)
		}
		s.log.Mu.Lock()
		alive, s.log.Answer = false, nil
		s.log.Mu.Unlock()
		const fivePolls = 131875 * time.Millisecond // 10 s + 15 s + 22.5 s + 33.75 s + 50.625 s
		pass(2 * time.Minute)
		if acquired, _, _ := s.log.Counts(); acquired != 1 {
			t.Error("it came back early")
		}
		pass(2 * longest)
		s.wantLog(connectortest.IDs(1, 4))
		s.log.Mu.Lock()
		lastCommit := last
		s.log.Mu.Unlock()
		_, _, checkpoint := s.log.Counts()
		if took := checkpoint.Written.Sub(lastCommit); took < fivePolls || took > fivePolls+3*shortest {
			t.Errorf("it came back %v after the other's last commit", took)
		}
		if got := s.lines.states(); !strings.HasPrefix(got, "warn:standby info:") || strings.Count(got, "standby") != 1 ||
			!strings.HasSuffix(got, "info:live") {
			t.Errorf("it logged %q", got)
		}
		s.stop()
	})
}

// A replica that shares the streams with the other owner waits only until it would know that the other has gone, or until
// somebody tells it. Of an owner that it does not know it waits for five polls.
func TestPoller_StandDownOfAMate(t *testing.T) {
	const ofMate = 10 * time.Second
	for _, c := range []struct {
		name, owner string
		told        bool
		from, to    time.Duration
	}{
		{"a mate", "mate", false, ofMate, ofMate + 2*shortest},
		{"a mate, and told", "mate", true, 3 * time.Second, 4 * time.Second},
		{"somebody else", "stranger", false, 2 * time.Minute, 4 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPollerFixture(t, func(_ *pollerFixture, config *Config) {
					config.StandDown = func(owner string) time.Duration {
						if owner == "mate" {
							return ofMate
						}
						return 0
					}
				}, connectortest.Newest(3, 1)...)
				pass(2 * time.Minute)
				fenced := time.Now()
				s.log.Mu.Lock()
				s.log.Twin = func() connector.Checkpoint { return connector.Checkpoint{Owner: c.owner, Written: fenced} }
				s.log.Answer = func(context.Context, []connector.Event) (bool, error) { return false, connector.ErrFenced }
				s.log.Mu.Unlock()
				s.add(4, 4)
				for s.poller.Status().State != StateStandby {
					pass(100 * time.Millisecond)
				}
				began := time.Now()
				s.log.Mu.Lock()
				s.log.Answer = nil
				s.log.Mu.Unlock()
				pass(3 * time.Second)
				if c.told {
					s.poller.EndStandby()
				}
				for acquired := 1; acquired < 2; acquired, _, _ = s.log.Counts() {
					pass(100 * time.Millisecond)
				}
				if took := time.Since(began); took < c.from || took > c.to {
					t.Errorf("it came back after %s, want %s to %s", took, c.from, c.to)
				}
				s.stop()
			})
		})
	}
}
