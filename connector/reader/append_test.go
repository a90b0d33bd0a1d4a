package reader

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// between answers the first commits as a test determines, and lets it change the log before the next Acquire.
func between(log *connectortest.Log, written bool, meddle func()) {
	first := true
	log.Answer = func(context.Context, []connector.Event) (bool, error) {
		if first {
			first = false
			return written, connectortest.ErrNoAnswer
		}
		return true, nil
	}
	log.Refuse = func() error {
		if meddle != nil {
			meddle()
			meddle = nil
		}
		return nil
	}
}

// After an unclear commit the same reader takes the log over, if the retry policy decides so. It continues if the log
// is unchanged or holds what was committed; otherwise it cannot be used any more.
func TestReader_AnUnclearCommitIsResolved(t *testing.T) {
	tests := []struct {
		name    string
		written bool
		meddle  func(*connectortest.Log)
		kept    bool
	}{
		{name: "not written", kept: true},
		{name: "written", written: true, kept: true},
		{name: "events of another owner", meddle: func(l *connectortest.Log) {
			e := connector.Event{ID: "m5", Key: connectortest.Key(5), Sequence: 5}
			l.Events, l.Checkpoint.Sequence, l.Checkpoint.Tail = append(l.Events, e), 5,
				append(l.Checkpoint.Tail, connectortest.Key(5))
		}},
		{name: "as many events, but others", meddle: func(l *connectortest.Log) {
			l.Checkpoint.Tail = append(append(connector.Keys(nil), l.Checkpoint.Tail[:3]...), connectortest.Key(70))
		}},
		{name: "certified by another owner", meddle: func(l *connectortest.Log) { l.Checkpoint.Certified-- }},
		{name: "rejects of another owner", meddle: func(l *connectortest.Log) { l.Checkpoint.Counters.Rejected++ }},
		{name: "a horizon of another owner", meddle: func(l *connectortest.Log) {
			l.Checkpoint.Horizon = connector.Keys{connectortest.Key(1)}
		}},
		{name: "another floor", meddle: func(l *connectortest.Log) {
			l.Checkpoint.Floor = connector.Keys{connectortest.Key(1)}
		}},
		{name: "never started", meddle: func(l *connectortest.Log) { l.Checkpoint.Started = false }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, l, log := newSessionFixture(t, connectortest.Newest(4, 1)...)
			s.reading.Retry = &connectortest.TryAgain{Pages: 0, Commits: 1}
			rest(t, s)
			reader := s.Reader()
			l.Add(connectortest.Newest(6, 5)...)
			l.Requests()
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
			if got := l.Requests(); strings.Count(got, "0") != 1 {
				t.Errorf("pages asked for: %s", got)
			}
			if got := log.Text(); got != connectortest.IDs(1, 6) || log.Acquired != 2 {
				t.Errorf("the log has %s, acquired %d times", got, log.Acquired)
			}
			if got := s.Reader().Checkpoint(); got.Epoch != log.Checkpoint.Epoch || got.Owner != log.Checkpoint.Owner {
				t.Errorf("it goes on with epoch %d of %q, the log has %d of %q", got.Epoch, got.Owner, log.Checkpoint.Epoch,
					log.Checkpoint.Owner)
			}
			l.Add(connectortest.Newest(9, 7)...)
			rest(t, s)
			if got := log.Text(); got != connectortest.IDs(1, 9) {
				t.Errorf("the log has %s", got)
			}
		})
	}
}

// A step that is given up while it is unknown what the log holds makes the reader unusable, even if the last answer was
// "not now".
func TestReader_WhatIsOpenSpendsTheReader(t *testing.T) {
	s, l, log := newSessionFixture(t, connectortest.Newest(4, 1)...)
	s.reading.Retry = &connectortest.TryAgain{Pages: 0, Commits: 3}
	rest(t, s)
	l.Add(connectortest.Newest(6, 5)...)
	log.Answer = func(context.Context, []connector.Event) (bool, error) { return false, connectortest.ErrNoAnswer }
	log.Refuse = func() error { return connector.ErrNotNow }
	if _, err := s.Poll(t.Context()); !errors.Is(err, connector.ErrNotNow) || s.Owns() {
		t.Errorf("%v, it owns the stream: %v", err, s.Owns())
	}
}
