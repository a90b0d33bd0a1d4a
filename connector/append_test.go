package connector

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// between answers the first commits as a test says, and lets it do something to the log before the next Acquire.
func between(log *ledger, written bool, meddle func()) {
	first := true
	log.answer = func(context.Context, []Event) (bool, error) {
		if first {
			first = false
			return written, errNoAnswer
		}
		return true, nil
	}
	log.refuse = func() error {
		if meddle != nil {
			meddle()
			meddle = nil
		}
		return nil
	}
}

// After an unclear commit the log is taken over by the very reader, where patience lasts: it goes on where the log is as it was or
// holds what was committed, and is spent where it is neither.
func TestReader_AnUnclearCommitIsResolved(t *testing.T) {
	tests := []struct {
		name    string
		written bool
		meddle  func(*ledger)
		kept    bool
	}{
		{name: "not written", kept: true},
		{name: "written", written: true, kept: true},
		{name: "events of another owner", meddle: func(l *ledger) {
			e := Event{ID: "m5", Key: nth(5), Sequence: 5}
			l.events, l.checkpoint.Sequence, l.checkpoint.Tail = append(l.events, e), 5, append(l.checkpoint.Tail, nth(5))
		}},
		{name: "as many events, but others", meddle: func(l *ledger) {
			l.checkpoint.Tail = append(append(Keys(nil), l.checkpoint.Tail[:3]...), nth(70))
		}},
		{name: "certified by another owner", meddle: func(l *ledger) { l.checkpoint.Certified-- }},
		{name: "rejects of another owner", meddle: func(l *ledger) { l.checkpoint.Counters.Rejected++ }},
		{name: "a horizon of another owner", meddle: func(l *ledger) { l.checkpoint.Horizon = Keys{nth(1)} }},
		{name: "another floor", meddle: func(l *ledger) { l.checkpoint.Floor = Keys{nth(1)} }},
		{name: "never started", meddle: func(l *ledger) { l.checkpoint.Started = false }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, l, log := newCounter(t, newest(4, 1)...)
			s.reading.Patience = &patient{0, 1}
			rest(t, s)
			reader := s.Reader()
			l.add(newest(6, 5)...)
			l.requests()
			between(log, test.written, func() {
				if test.meddle != nil {
					test.meddle(log)
				}
			})
			_, err := s.Poll(t.Context())
			if (err == nil) != test.kept || s.Owns() != test.kept || test.kept && s.Reader() != reader {
				t.Fatalf("%v, it owns the stream: %v", err, s.Owns())
			}
			if !test.kept {
				return
			}
			if got := l.requests(); strings.Count(got, "0") != 1 {
				t.Errorf("pages asked for: %s", got)
			}
			if got := log.text(); got != ids(1, 6) || log.acquired != 2 {
				t.Errorf("the log has %s, acquired %d times", got, log.acquired)
			}
			if got := s.Reader().Checkpoint(); got.Epoch != log.checkpoint.Epoch || got.Owner != log.checkpoint.Owner {
				t.Errorf("it goes on with epoch %d of %q, the log has %d of %q", got.Epoch, got.Owner, log.checkpoint.Epoch, log.checkpoint.Owner)
			}
			l.add(newest(9, 7)...)
			rest(t, s)
			if got := log.text(); got != ids(1, 9) {
				t.Errorf("the log has %s", got)
			}
		})
	}
}

// A step that is given up while nobody knows what the log holds spends the reader, though the last thing it heard was "not now".
func TestReader_WhatIsOpenSpendsTheReader(t *testing.T) {
	s, l, log := newCounter(t, newest(4, 1)...)
	s.reading.Patience = &patient{0, 3}
	rest(t, s)
	l.add(newest(6, 5)...)
	log.answer = func(context.Context, []Event) (bool, error) { return false, errNoAnswer }
	log.refuse = func() error { return ErrNotNow }
	if _, err := s.Poll(t.Context()); !errors.Is(err, ErrNotNow) || s.Owns() {
		t.Errorf("%v, it owns the stream: %v", err, s.Owns())
	}
}
