package poller

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// statusRecord is what is recorded of a stream for the status, the metrics and the log. It is safe for concurrent use.
type statusRecord struct {
	session *reader.Session
	metrics *streamMetrics
	changes *Changes
	rules   *reader.Rules
	logger  *slog.Logger

	mu         sync.Mutex
	status     Status
	hours      hourlyCounts
	committing time.Time          // since when a commit is in progress; zero if none is
	counters   connector.Counters // as of the last step
}

// stepped records what a step did.
func (r *statusRecord) stepped(out reader.Outcome, began time.Time, sweeping bool) {
	reader := r.session.Reader()
	c := reader.Checkpoint()
	seen, open := reader.Seen()
	r.metrics.counted(r.counters, c.Counters)
	r.counters = c.Counters
	r.mu.Lock()
	s := &r.status
	s.Sequence, s.Certified, s.Counters, s.ConfirmedUntil = c.Sequence, c.Certified, c.Counters, c.GroundTime
	s.Quarantined = r.session.InQuarantine()
	s.Seen, s.Unconfirmed, s.BacklogPage = seen, open, reader.StartPage()
	s.Horizon, s.Accepting = len(c.Horizon) > 0 && c.Accepting == nil && !c.Accepted, reader.AcceptProgress()
	s.EndOpen = reader.EndOpen()
	s.CatchUp.measure(s.BacklogPage, r.rules.SlicePages, r.rules.Page, time.Now())
	s.Delivered += uint64(out.Delivered)
	if !out.Newest.IsZero() {
		s.NewestMessage = out.Newest
	}
	switch {
	case reader.Rested() || open == 0: // a walk that was cut before it delivered anything leaves nothing to confirm
		s.UnconfirmedSince = time.Time{}
	case s.UnconfirmedSince.IsZero():
		s.UnconfirmedSince = began
	}
	switch {
	case sweeping && !out.More:
		s.LastSweep = time.Now()
	case !sweeping && out.Rested:
		s.LastSuccessfulPoll = time.Now()
	}
	r.mu.Unlock()
	state := StateCatchingUp
	if reader.Rested() {
		state = StateLive
	}
	r.note(state, nil)
}

// note records the state, and logs one line if it has changed.
func (r *statusRecord) note(state StreamState, cause error) { r.noteUntil(state, cause, time.Time{}) }

// noteUntil is note with the time of the next attempt.
func (r *statusRecord) noteUntil(state StreamState, cause error, next time.Time) {
	r.mu.Lock()
	tell := r.change(state, cause, next, time.Now())
	r.mu.Unlock()
	tell()
}

// change is noteUntil with the time at which the state began. It returns a function that logs the change.
func (r *statusRecord) change(state StreamState, cause error, next, began time.Time) (tell func()) {
	s := &r.status
	was, since := s.State, s.Since
	fault := faultOf(cause)
	// Several faults share one state, but differ in who has to act.
	news := s.State != state || fault != s.Fault && fault.NeedsPerson()
	s.Cause, s.Fault, s.Hint, s.NextAttempt = "", fault, hintOf(state, cause), next
	if cause != nil {
		s.Cause = causeOf(cause) + askedWait(cause, next)
	}
	if s.State != state {
		s.State, s.Since = state, began
	}
	switch {
	case state == StateLive || state == StateStandby || state == StateStopped:
		s.CatchUp = CatchUp{}
	case state == StateCatchingUp && s.CatchUp.Since.IsZero():
		s.CatchUp.Since = began
	}
	s.Owned = r.session.Owns()
	r.metrics.show(*s)
	if !news {
		return func() {}
	}
	r.changes.add(Change{At: began, Stream: s.Stream, Was: was, State: state, Fault: fault, Cause: s.Cause})
	args := []any{"state", state, "was", was, "after", time.Since(since).Round(time.Millisecond)}
	if cause != nil {
		args = append(args, "cause", s.Cause)
	}
	if s.Hint != "" {
		args = append(args, "hint", s.Hint)
	}
	if !next.IsZero() {
		args = append(args, "next_attempt", next.UTC().Truncate(time.Second))
	}
	return func() { r.logger.Log(context.Background(), levelOf(state), "stream state", args...) }
}

// noteInterval records the interval in force.
func (r *statusRecord) noteInterval(interval time.Duration) {
	r.mu.Lock()
	r.status.Interval = interval
	r.mu.Unlock()
}

// noteNextPoll records when the list is read next.
func (r *statusRecord) noteNextPoll(at time.Time) {
	r.mu.Lock()
	r.status.NextPoll = at
	r.mu.Unlock()
}

// requested records that a page was requested.
func (r *statusRecord) requested(number int) {
	r.mu.Lock()
	r.status.Requests++
	r.status.LastRequest = time.Now()
	if !r.status.CatchUp.Since.IsZero() {
		r.status.CatchUp.Page = number
	}
	r.mu.Unlock()
}

// pageRead records that a page could be read in a step that goes on, which may take long: either pages can be read
// again, or the stream is behind by more than a short walk.
func (r *statusRecord) pageRead(number int) {
	if number == 0 {
		return // the step ends soon
	}
	r.mu.Lock()
	tell := func() {}
	switch state := r.status.State; {
	case state == StateNoSource, state == StateSpent,
		number > shortWalk && (state == StateAcquiring || state == StateLive):
		tell = r.change(StateCatchingUp, nil, time.Time{}, time.Now())
	}
	r.mu.Unlock()
	tell()
}

// committed records that the sink took a commit of so many events.
func (r *statusRecord) committed(events int, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.status.LastCommit, r.status.LastCommitTook = now, took
	r.hours.add(now, events)
	if !r.status.CatchUp.Since.IsZero() {
		r.status.CatchUp.Delivered += uint64(events)
	}
}

// now returns the current status.
func (r *statusRecord) now() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// queued records that the stream waits for a memory slot, and so is not at rest.
func (r *statusRecord) queued() {
	if state := r.now().State; state == StateAcquiring || state == StateLive {
		r.note(StateCatchingUp, nil)
	}
}

// waitFor records why the stream waits, and until when.
func (r *statusRecord) waitFor(state StreamState, cause error, wait time.Duration) time.Duration {
	r.noteUntil(state, cause, time.Now().Add(wait))
	return wait
}

// unclear counts an answer of the sink after which it is unknown what the log holds.
func (r *statusRecord) unclear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Unclear++
}

// commitIsSlow records that a commit which began at this time is still in progress.
func (r *statusRecord) commitIsSlow(began time.Time) {
	r.mu.Lock()
	tell := func() {}
	if r.committing.Equal(began) && r.status.State != StateNoSink && r.status.State != StateRefused {
		tell = r.change(StateCommitting, nil, time.Time{}, began)
	}
	r.mu.Unlock()
	tell()
}

// commitEnded records that no commit is in progress and, if the sink took it, that the sink works again. It does so at
// once, as the rest of the step may be long.
func (r *statusRecord) commitEnded(err error) {
	var rejected *connector.Rejected
	r.mu.Lock()
	r.committing = time.Time{}
	tell := func() {}
	if taken := err == nil || errors.As(err, &rejected); taken {
		switch s := &r.status; {
		case s.State == StateCommitting, s.State == StateNoSink, s.State == StateRefused, s.State == StateAcquiring &&
			s.Cause != "":
			tell = r.change(StateCatchingUp, nil, time.Time{}, time.Now())
		}
	}
	r.mu.Unlock()
	tell()
}

// own records that the stream was taken over at this sequence, whatever it waits for next.
func (r *statusRecord) own(sequence uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Owned, r.status.Sequence = true, sequence
}
