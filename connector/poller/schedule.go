package poller

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// schedule decides when a stream is read next.
type schedule struct {
	config  *Config
	session *reader.Session
	record  *statusRecord

	intervals atomic.Pointer[intervals] // in force; set by whoever adjusts them

	interval  time.Duration
	lastWait  time.Duration // between polls, before jitter
	phase     float64       // the part that is taken of a growing wait, from 0 to 1
	lastSweep time.Time
	nextPoll  time.Time
	lastStart int // the reader's StartPage at the step before
	eager     int // polls in a row that followed at once without progress
}

// intervals are the shortest and the longest between two polls.
type intervals struct{ shortest, longest time.Duration }

func (s *schedule) shortest() time.Duration { return s.intervals.Load().shortest }

// adjust applies changed intervals and limits, and returns when the next step is due by them. changed is false if they
// come to the same, or if the stream waits for something else.
func (s *schedule) adjust() (due time.Time, changed bool) {
	now := s.intervals.Load()
	s.interval = min(max(s.interval, now.shortest), now.longest)
	wait := s.paced(s.interval)
	s.record.noteInterval(wait)
	if wait == s.lastWait || s.lastWait == 0 {
		return time.Time{}, false
	}
	due = time.Now().Add(jitter(s.spread(wait)))
	if due.Before(s.nextPoll) {
		s.nextPoll = due
	}
	return due, true
}

// untilPoll is how long to wait for the next step within an interval: not at all if a sweep has more to do.
func (s *schedule) untilPoll() time.Duration {
	now := time.Now()
	if s.situation(now).next() == stepSweep {
		return 0
	}
	return max(0, s.nextPoll.Sub(now))
}

// situation returns the current situation. The first sweep of a stream at rest is due after a part of an interval, so
// that the sweeps of many streams are spread.
func (s *schedule) situation(now time.Time) situation {
	if !s.session.Owns() {
		return situation{}
	}
	r := s.session.Reader()
	at := situation{
		owns: true, rested: r.Rested(), betweenPolls: r.AcceptDue() || r.EndCheckDue(), now: now, nextPoll: s.nextPoll,
	}
	if s.config.SweepEvery == nil || !at.rested || at.betweenPolls || !now.Before(s.nextPoll) {
		return at // no sweep is considered, so the budget need not be asked
	}
	at.every = s.config.SweepEvery()
	if s.lastSweep.IsZero() && at.every > 0 {
		s.lastSweep = now.Add(-time.Duration(rand.Int64N(int64(at.every))))
	}
	at.lastSweep = s.lastSweep
	return at
}

// eagerSteps is how many steps may follow at once without progress before the interval is kept again.
const eagerSteps = 3

// pause adapts the interval to what the stream does: the shortest while messages flow, and half as long again after
// each poll that brought none. While there is more to read, the next step follows at once.
func (s *schedule) pause(out reader.Outcome, sweeping bool) time.Duration {
	if out.Delivered > 0 {
		s.interval = s.shortest()
	} else if !sweeping {
		s.interval = s.quieter(s.interval)
	}
	wait := s.paced(s.interval)
	s.record.noteInterval(wait)
	reader := s.session.Reader()
	if !sweeping && !reader.Rested() {
		if out.Delivered > 0 || reader.StartPage() != s.lastStart {
			s.eager = 0
		}
		s.lastStart = reader.StartPage()
		if s.eager++; s.eager <= eagerSteps {
			return 0
		}
	}
	s.eager = 0
	s.nextPoll = time.Now().Add(jitter(s.spread(wait)))
	s.record.noteNextPoll(s.nextPoll)
	return s.untilPoll()
}

// spread lengthens a wait by only a part of its increase, which differs for each stream. So streams that start
// together, or are slowed down together, poll evenly over every interval; with jitter alone it would take hours.
func (s *schedule) spread(wait time.Duration) time.Duration {
	last := s.lastWait
	s.lastWait = wait
	if wait <= last {
		return wait
	}
	return last + time.Duration(s.phase*float64(wait-last))
}

// jitter shortens a wait by up to a tenth, so that polls of many streams do not coincide, and no wait is longer than
// stated.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d/10)+1))
}

// standDownTime is how long the other instance may take, at the current intervals, for the polls that it is given before
// it counts as gone.
func (s *schedule) standDownTime() time.Duration {
	var sum time.Duration
	interval := s.shortest()
	for range standDowns {
		sum += s.paced(interval)
		interval = s.quieter(interval)
	}
	return sum
}

// quieter is the next interval after a poll that brought nothing.
func (s *schedule) quieter(interval time.Duration) time.Duration {
	return max(s.shortest(), min(s.intervals.Load().longest, interval+interval/2))
}

// paced is the interval that the rate limit and the budget allow in place of the wanted one.
func (s *schedule) paced(wanted time.Duration) time.Duration {
	if s.config.Pace == nil {
		return wanted
	}
	return max(wanted, s.config.Pace(wanted))
}
