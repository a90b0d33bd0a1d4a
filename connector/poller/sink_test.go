package poller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// tries records the commits that a log was asked for, and when.
type tries struct {
	atomic.Int64
	mu   sync.Mutex
	made []time.Time
}

func (t *tries) times() []time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.made)
}

// failing makes that many commits fail, and counts them.
func (s *pollerFixture) failing(times int64, written bool, err error) *tries {
	var made tries
	s.answer(func(context.Context, []connector.Event) (bool, error) {
		made.mu.Lock()
		made.made = append(made.made, time.Now())
		made.mu.Unlock()
		if made.Add(1) <= times {
			return written, err
		}
		return true, nil
	})
	return &made
}

// A commit that fails again and again waits longer each time, even if every Acquire in between succeeds, and is
// repeated without a call: the log is unchanged, so what was read is committed.
func TestPoller_ACommitThatFailsAgainAndAgainCostsNoCalls(t *testing.T) {
	for _, failures := range []int64{1, 2, 20} {
		t.Run(fmt.Sprint(failures), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
				pass(2 * time.Minute)
				s.lines.states()
				s.list.Times()
				tries := s.failing(failures, false, connectortest.ErrNoAnswer)
				s.add(5, 4)
				for tries.Load() == 0 {
					pass(time.Second)
				}
				before := len(s.list.Times())
				if failures == 20 {
					pass(time.Minute)
					s.wantState(StateNoSink)
					status := s.poller.Status()
					if !strings.Contains(status.Cause, connectortest.ErrNoAnswer.Error()) || status.Hint == "" ||
						!status.NextAttempt.After(time.Now()) {
						t.Errorf("it waits for the sink: %+v", status)
					}
					if got := s.lines.states(); got != "info:acquiring warn:no_sink" {
						t.Errorf("it logged %q", got)
					}
				}
				for tries.Load() <= failures {
					pass(time.Second)
				}
				if calls := len(s.list.Times()); before > 8 || calls > 2 {
					t.Errorf("%d calls before, and %d while %d commits failed", before, calls, failures)
				}
				waits := gaps(tries.times()[:failures+1])
				for i := 4; i < len(waits); i++ {
					if waits[i] < waits[i-4] && waits[i] < 15*time.Second {
						t.Errorf("it waited %v between commits that failed", waits)
						break
					}
				}
				if s.poller.Status().State == StateNoSink {
					t.Error("the sink took a commit, and the state says that there is none")
				}
				pass(2 * time.Minute)
				s.wantLog(connectortest.IDs(1, 5))
				s.wantState(StateLive)
				if status := s.poller.Status(); status.Unclear != uint64(failures) || status.Cause != "" || status.Hint != "" ||
					!status.NextAttempt.IsZero() {
					t.Errorf("healed: %+v", status)
				}
				s.stop()
			})
		})
	}
}

// Only a commit resets the wait for the next one; successful Acquires do not.
func TestPoller_ACommitResetsItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		tries := s.failing(15, false, connectortest.ErrNoAnswer)
		s.add(4, 4)
		pass(10 * time.Minute)
		s.wantLog(connectortest.IDs(1, 4))
		tries.Store(14) // one more fails
		s.add(5, 5)
		for tries.Load() < 15 {
			pass(100 * time.Millisecond)
		}
		pass(time.Second)
		s.wantLog(connectortest.IDs(1, 5))
		s.stop()
	})
}

// What was committed without an answer is neither committed nor read again.
func TestPoller_ALostAnswerCostsNoCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(30, 1)...)
		pass(time.Hour)
		s.wantLog(connectortest.IDs(1, 30))
		commits := s.failing(1, true, connectortest.ErrNoAnswer)
		s.list.Times()
		s.add(31, 31)
		for commits.Load() == 0 {
			pass(time.Second)
		}
		s.list.Times()
		pass(5 * time.Second)
		if calls := s.list.Times(); len(calls) > 0 {
			t.Errorf("%d calls after the answer was lost", len(calls))
		}
		pass(2 * time.Minute)
		s.wantLog(connectortest.IDs(1, 31))
		s.wantState(StateLive)
		s.stop()
	})
}

// A sink that refuses a commit is shown as a state with its hint, causes no busy loop, costs no calls, and recovers
// without a restart.
func TestPoller_ARefusedCommitIsAState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal := &connector.Refusal{
			Thing: "stream WHATSAPP", Cause: "it no longer takes whatsapp.>",
			Hint: "add the subject again",
		}
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		s.lines.states()
		tries := s.failing(1<<60, false, fmt.Errorf("commit: %w", refusal))
		s.add(4, 4)
		for tries.Load() == 0 {
			pass(time.Second)
		}
		s.list.Times()
		pass(3 * time.Hour)
		s.wantState(StateRefused)
		status := s.poller.Status()
		if status.Hint != "add the subject again" || !strings.Contains(status.Cause, "no longer takes") ||
			strings.Contains(status.Cause, "add the") {
			t.Errorf("cause %q, hint %q", status.Cause, status.Hint)
		}
		if wait := time.Until(status.NextAttempt); wait <= 0 || wait > 10*time.Minute {
			t.Errorf("it tries again in %v", wait)
		}
		if calls := s.list.Times(); len(calls) > 0 {
			t.Errorf("%d calls while the sink refused", len(calls))
		}
		if n := tries.Load(); n < 20 || n > 100 {
			t.Errorf("%d tries in three hours", n)
		}
		if got := s.lines.states(); got != "warn:refused" {
			t.Errorf("it logged %q", got)
		}
		s.answer(nil)
		pass(10 * time.Minute)
		s.wantLog(connectortest.IDs(1, 4))
		s.wantState(StateLive)
		s.stop()
	})
}

// If a log is refused while the stream runs, for example because it went back, that does not end the stream: it
// recovers when a person fixes it.
func TestPoller_ARefusalWhileItRunsDoesNotEndIt(t *testing.T) {
	for name, first := range map[string]error{
		"after an unclear commit": connectortest.ErrNoAnswer,
		"after it was fenced":     connector.ErrFenced,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { refusedWhileItRuns(t, first) })
		})
	}
}

func refusedWhileItRuns(t *testing.T, first error) {
	t.Helper()
	refusal := &connector.Refusal{Thing: "stream a", Cause: "its log went back from 3 to 0", Hint: "bring it back"}
	s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
	pass(2 * time.Minute)
	s.log.Mu.Lock()
	s.log.Refuse = func() error { return refusal }
	s.log.Mu.Unlock()
	tries := s.failing(1, false, first)
	s.add(4, 4)
	for tries.Load() == 0 {
		pass(time.Second)
	}
	s.list.Times()
	pass(24 * time.Hour)
	s.wantState(StateRefused)
	if status := s.poller.Status(); status.Hint != "bring it back" || status.NextAttempt.IsZero() {
		t.Errorf("%+v", status)
	}
	if calls := s.list.Times(); len(calls) > 0 {
		t.Errorf("%d calls while the log was refused", len(calls))
	}
	s.log.Mu.Lock()
	s.log.Refuse = nil
	s.log.Mu.Unlock()
	pass(10 * time.Minute)
	s.wantLog(connectortest.IDs(1, 4))
	s.wantState(StateLive)
	s.stop()
}

// What prevents the stream from being acquired is shown from the first time on, and stays shown during further
// attempts.
func TestPoller_WhatKeepsItFromAcquiringIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, func(s *pollerFixture, _ *Config) {
			s.log.Refuse = func() error {
				time.Sleep(150 * time.Millisecond) // the sink takes a while to answer
				return errors.New("no right to create a consumer")
			}
		}, connectortest.Newest(3, 1)...)
		shown := 0
		for range 600 {
			pass(100 * time.Millisecond)
			switch status := s.poller.Status(); {
			case strings.Contains(status.Cause, "no right"):
				shown++
			case shown > 0:
				t.Fatalf("the cause is gone: %+v", status)
			}
		}
		if shown < 500 {
			t.Errorf("the cause was shown in %d of 600 looks", shown)
		}
		s.wantState(StateNoSink)
		if got := s.lines.states(); got != "warn:no_sink" {
			t.Errorf("it logged %q", got)
		}
		s.stop()
	})
}

// A commit that takes longer than two seconds is shown as a state, with its start; the stream is not live meanwhile.
func TestPoller_ASlowCommitIsAState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(2 * time.Minute)
		begun := make(chan time.Time, 1)
		s.answer(func(context.Context, []connector.Event) (bool, error) {
			begun <- time.Now()
			time.Sleep(10 * time.Second)
			return true, nil
		})
		s.add(4, 4)
		began := <-begun
		pass(1900 * time.Millisecond)
		s.wantState(StateLive)
		pass(200 * time.Millisecond)
		s.wantState(StateCommitting)
		if since := s.poller.Status().Since; !since.Equal(began) {
			t.Errorf("since %v, the commit began at %v", since, began)
		}
		pass(8 * time.Second)
		if got := s.poller.Status().State; got == StateCommitting {
			t.Error("the commit is done, and the state says that it is under way")
		}
		s.answer(nil)
		pass(2 * time.Minute)
		s.wantLog(connectortest.IDs(1, 4))
		s.wantState(StateLive)
		s.stop()
	})
}

// An instance that was fenced and then sees its own checkpoint repeatedly comes back soon: there is no other owner.
func TestPoller_AStandByOfNobodyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, func(_ *pollerFixture, c *Config) {
			c.Pace = func(time.Duration) time.Duration { return longest }
		}, connectortest.Newest(3, 1)...)
		pass(5 * time.Minute)
		tries := s.failing(1, false, connector.ErrFenced)
		s.add(4, 4)
		for tries.Load() == 0 {
			pass(time.Second)
		}
		s.wantState(StateStandby)
		pass(3 * longest)
		s.wantLog(connectortest.IDs(1, 4))
		s.stop()
	})
}

// If the interval in force is long, so is the time that is left to the other instance. A twin is recognised as active
// by what it has committed: the time in its checkpoint may be that of its take-over.
func TestPoller_AStandByLeavesTheStreamToATwinThatCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newPollerFixture(t, nil, connectortest.Newest(3, 1)...)
		pass(time.Minute)
		last, committed := time.Now(), uint64(3)
		s.log.Mu.Lock()
		s.log.Twin = func() connector.Checkpoint {
			return connector.Checkpoint{Owner: "twin", Epoch: 9, Written: last, Sequence: committed}
		}
		s.log.Mu.Unlock()
		s.failing(1, false, connector.ErrFenced)
		s.add(4, 4)
		for s.poller.Status().State != StateStandby {
			pass(time.Second)
		}
		for range 120 {
			s.log.Mu.Lock()
			committed++
			s.log.Mu.Unlock()
			pass(30 * time.Second)
		}
		s.wantState(StateStandby)
		if acquired, _, _ := s.log.Counts(); acquired != 1 {
			t.Error("it took the stream back from a twin that commits")
		}
		pass(time.Hour) // then the twin is gone
		s.wantLog(connectortest.IDs(1, 4))
		s.stop()
	})
}

func TestPoller_AStandByKeepsToTheIntervalInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const interval = 10 * time.Minute
		s := newPollerFixture(t, func(_ *pollerFixture, c *Config) {
			c.Pace = func(time.Duration) time.Duration { return interval }
		}, connectortest.Newest(3, 1)...)
		pass(time.Hour)
		last := time.Now()
		s.log.Mu.Lock()
		s.log.Twin = func() connector.Checkpoint { return connector.Checkpoint{Owner: "twin", Written: last} }
		s.log.Mu.Unlock()
		tries := s.failing(1, false, connector.ErrFenced)
		s.add(4, 4)
		for tries.Load() == 0 {
			pass(time.Second)
		}
		pass(standDowns*interval - time.Minute)
		if acquired, _, _ := s.log.Counts(); acquired != 1 {
			t.Error("it came back early")
		}
		pass(3 * interval)
		s.wantLog(connectortest.IDs(1, 4))
		s.stop()
	})
}

// If one stream alone gets no clear answer, it leaves the memory to the others.
func TestPoller_AFailingSinkKeepsNoRoomFromOthers(t *testing.T) {
	for name, err := range map[string]error{
		"unclear": connectortest.ErrNoAnswer,
		"refused": &connector.Refusal{Thing: "stream a", Cause: "no right", Hint: "grant it"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gate := NewMemoryGate()
				for range longSlots - 1 {
					gate.long <- struct{}{}
				}
				s := newPollerFixture(t, func(_ *pollerFixture, c *Config) { c.MemoryGate = gate }, connectortest.Newest(300, 1)...)
				s.answer(func(_ context.Context, events []connector.Event) (bool, error) {
					if len(events) > 0 {
						return false, err
					}
					return true, nil
				})
				pass(time.Minute)
				if s.poller.slot.has() != longSlot {
					t.Fatal("it holds no place, so this test says nothing")
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				other := &slot{gate: gate, wants: longSlot}
				if !other.wait(ctx, func() {}) {
					t.Error("nobody else got its place")
				}
				s.list.Times()
				pass(time.Hour)
				other.leave()
				pass(12 * time.Hour)
				if calls := len(s.list.Times()); calls > 40*75 {
					t.Errorf("%d calls in half a day", calls)
				}
				s.answer(nil)
				pass(time.Hour)
				s.wantLog(connectortest.IDs(1, 300))
				s.stop()
			})
		})
	}
}

// Once the sink takes a commit again the state shows that at once, even if the step has more to commit.
func TestPoller_AHealedSinkIsShownAtOnce(t *testing.T) {
	for name, heal := range map[string]error{
		"not now": connector.ErrNotNow,
		"refused": &connector.Refusal{Thing: "stream a", Cause: "no right", Hint: "grant it"}, "slow": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newPollerFixture(t, func(s *pollerFixture, _ *Config) {
					s.log.MaxCommit = connector.Limits{Messages: 1, Bytes: 1 << 20}
				}, connectortest.Newest(3, 1)...)
				pass(5 * time.Minute)
				tries, healed := 0, make(chan struct{})
				s.answer(func(context.Context, []connector.Event) (bool, error) {
					tries++
					switch {
					case tries < 3 && heal != nil:
						return false, heal
					case tries < 3:
						time.Sleep(5 * time.Second)
					case tries == 4:
						close(healed)
						time.Sleep(1500 * time.Millisecond)
					}
					return true, nil
				})
				s.add(8, 4)
				<-healed
				s.wantState(StateCatchingUp)
				pass(5 * time.Minute)
				s.wantLog(connectortest.IDs(1, 8))
				s.stop()
			})
		})
	}
}
