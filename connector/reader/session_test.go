package reader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// newSessionFixture is a session between a list and a log.
func newSessionFixture(t *testing.T, rows ...connector.Message) (*Session, *connectortest.List, *connectortest.Log) {
	t.Helper()
	l, log := &connectortest.List{PageSize: small.Page, Rows: rows}, &connectortest.Log{T: t}
	reading := Reading{
		Retry: connectortest.GiveUp{}, Stream: connector.Stream{Name: "a", SourceKey: "k"}, Rules: small,
		Events: connector.EventSettings{TypePrefix: "p"},
	}
	return NewSession(l, log, reading, connectortest.StartBeginning), l, log
}

// rest polls a session until nothing is left to do.
func rest(t *testing.T, s *Session) {
	t.Helper()
	for range 20 {
		out, err := s.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if out.Unchanged {
			return
		}
	}
	t.Fatal("never at rest")
}

// After an error that leaves unknown what the log holds, the session asks the log again; other errors change nothing.
func TestSession_AnErrorKeepsOrDropsTheReader(t *testing.T) {
	fault := &connector.PageError{Fault: connector.FaultTransient, Err: connectortest.ErrNoAnswer}
	tests := []struct {
		name   string
		page   error
		commit error
		burst  int
		empty  bool
		keeps  bool
	}{
		{name: "page", page: fault, keeps: true},
		{name: "page, wrapped", page: fmt.Errorf("get: %w", fault), keeps: true},
		{name: "moved", burst: 8, keeps: true},
		{name: "empty page 0", empty: true, keeps: true},
		{name: "not now", commit: connector.ErrNotNow, keeps: true},
		{name: "not now, wrapped", commit: fmt.Errorf("publish: %w", connector.ErrNotNow), keeps: true},
		{name: "fenced", commit: connector.ErrFenced},
		{name: "fenced, wrapped", commit: fmt.Errorf("publish: %w", connector.ErrFenced)},
		{name: "unclear", commit: connectortest.ErrNoAnswer},
		{name: "a reject of another message", commit: &connector.Rejected{Key: connectortest.Key(1), Reason: "too large"}},
		{name: "context ended in a commit", commit: context.Canceled},
		{name: "context ended in a page", page: context.Canceled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, l, log := newSessionFixture(t, connectortest.Newest(4, 1)...)
			if s.Owns() || s.Reader() != nil {
				t.Error("it owns the stream before it asked")
			}
			rest(t, s)
			reader := s.Reader()
			l.Add(connectortest.Newest(8, 5)...)
			l.Requests()
			l.Before = func(call, _ int) error {
				if call == 2 && test.burst > 0 {
					l.Add(connectortest.Newest(8+test.burst, 9)...)
				}
				return test.page
			}
			if test.empty {
				l.Rows = nil
			}
			log.Answer = func(context.Context, []connector.Event) (bool, error) { return test.commit == nil, test.commit }
			if _, err := s.Poll(t.Context()); err == nil {
				t.Fatal("no error")
			}
			if s.Owns() != test.keeps || test.keeps && s.Reader() != reader {
				t.Errorf("it keeps its reader: %v, want %v", s.Owns(), test.keeps)
			}
		})
	}
}

// After an unclear commit the log is asked for the result, and either way nothing is duplicated or lost.
func TestSession_AnUnclearCommitIsLookedUp(t *testing.T) {
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprintf("written %v", written), func(t *testing.T) {
			s, l, log := newSessionFixture(t, connectortest.Newest(4, 1)...)
			rest(t, s)
			l.Add(connectortest.Newest(9, 5)...)
			lost := 0
			log.Answer = func(context.Context, []connector.Event) (bool, error) {
				if lost++; lost == 1 {
					return written, connectortest.ErrNoAnswer
				}
				return true, nil
			}
			if _, err := s.Poll(t.Context()); !errors.Is(err, connectortest.ErrNoAnswer) {
				t.Fatal(err)
			}
			rest(t, s)
			if got := log.Text(); got != connectortest.IDs(1, 9) {
				t.Errorf("the log has %s", got)
			}
			if log.Acquired != 2 {
				t.Errorf("acquired %d times", log.Acquired)
			}
		})
	}
}

func TestSession_AcquireFailsByName(t *testing.T) {
	s, _, log := newSessionFixture(t)
	log.Refuse = func() error { return connector.ErrNotNow }
	if _, err := s.Poll(t.Context()); !errors.Is(err, connector.ErrNotNow) ||
		!strings.Contains(err.Error(), "acquire stream a") || s.Owns() {
		t.Error(err)
	}
	log.Refuse = nil
	if err := s.Acquire(t.Context()); err != nil || !s.Owns() {
		t.Error(err)
	}
	if err := s.Acquire(t.Context()); err != nil || log.Acquired != 1 {
		t.Errorf("it acquires what it holds: %d times, %v", log.Acquired, err)
	}
}
