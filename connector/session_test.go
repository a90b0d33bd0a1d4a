package connector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

var errNoAnswer = errors.New("no answer")

// newCounter is a session between a list and a log.
func newCounter(t *testing.T, rows ...Message) (*Session, *list, *ledger) {
	t.Helper()
	l, log := &list{page: small.Page, rows: rows}, &ledger{t: t}
	reading := Reading{Patience: impatient{}, Stream: Stream{Name: "a", SourceKey: "k"}, Rules: small, Events: EventSettings{TypePrefix: "p"}}
	return NewSession(l, log, reading, beginning), l, log
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

// Whatever leaves it open what the log holds makes the session ask the log again; all else leaves it as it is.
func TestSession_AnErrorKeepsOrDropsTheReader(t *testing.T) {
	fault := &PageError{Fault: FaultTransient, Err: errNoAnswer}
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
		{name: "not now", commit: ErrNotNow, keeps: true},
		{name: "not now, wrapped", commit: fmt.Errorf("publish: %w", ErrNotNow), keeps: true},
		{name: "fenced", commit: ErrFenced},
		{name: "fenced, wrapped", commit: fmt.Errorf("publish: %w", ErrFenced)},
		{name: "unclear", commit: errNoAnswer},
		{name: "a reject of another message", commit: &Rejected{nth(1), "too large"}},
		{name: "context ended in a commit", commit: context.Canceled},
		{name: "context ended in a page", page: context.Canceled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, l, log := newCounter(t, newest(4, 1)...)
			if s.Owns() || s.Reader() != nil {
				t.Error("it owns the stream before it asked")
			}
			rest(t, s)
			reader := s.Reader()
			l.add(newest(8, 5)...)
			l.requests()
			l.before = func(call, _ int) error {
				if call == 2 && test.burst > 0 {
					l.add(newest(8+test.burst, 9)...)
				}
				return test.page
			}
			if test.empty {
				l.rows = nil
			}
			log.answer = func(context.Context, []Event) (bool, error) { return test.commit == nil, test.commit }
			if _, err := s.Poll(t.Context()); err == nil {
				t.Fatal("no error")
			}
			if s.Owns() != test.keeps || test.keeps && s.Reader() != reader {
				t.Errorf("it keeps its reader: %v, want %v", s.Owns(), test.keeps)
			}
		})
	}
}

// After an unclear commit the log is asked what became of it, and nothing is doubled or lost either way.
func TestSession_AnUnclearCommitIsLookedUp(t *testing.T) {
	for _, written := range []bool{false, true} {
		t.Run(fmt.Sprintf("written %v", written), func(t *testing.T) {
			s, l, log := newCounter(t, newest(4, 1)...)
			rest(t, s)
			l.add(newest(9, 5)...)
			lost := 0
			log.answer = func(context.Context, []Event) (bool, error) {
				if lost++; lost == 1 {
					return written, errNoAnswer
				}
				return true, nil
			}
			if _, err := s.Poll(t.Context()); !errors.Is(err, errNoAnswer) {
				t.Fatal(err)
			}
			rest(t, s)
			if got := log.text(); got != ids(1, 9) {
				t.Errorf("the log has %s", got)
			}
			if log.acquired != 2 {
				t.Errorf("acquired %d times", log.acquired)
			}
		})
	}
}

func TestSession_AcquireFailsByName(t *testing.T) {
	s, _, log := newCounter(t)
	log.refuse = func() error { return ErrNotNow }
	if _, err := s.Poll(t.Context()); !errors.Is(err, ErrNotNow) || !strings.Contains(err.Error(), "acquire stream a") || s.Owns() {
		t.Error(err)
	}
	log.refuse = nil
	if err := s.Acquire(t.Context()); err != nil || !s.Owns() {
		t.Error(err)
	}
	if err := s.Acquire(t.Context()); err != nil || log.acquired != 1 {
		t.Errorf("it acquires what it holds: %d times, %v", log.acquired, err)
	}
}

func TestClaim_Admit(t *testing.T) {
	claim := Claim{Stream: Stream{Name: "support", SourceKey: "k"}, Privacy: "hashed"}
	rekey := claim
	rekey.Rekey = true
	pseudonymous := Claim{Stream: Stream{Name: "support", SourceKey: "mac", FormerKey: "k"}, Privacy: "pseudonymous:1"}
	rekeyed := pseudonymous
	rekeyed.Rekey = true
	tests := []struct {
		name  string
		claim Claim
		found Checkpoint
		want  string
	}{
		{"its own", claim, Checkpoint{SourceKey: "k", Privacy: "hashed"}, ""},
		{"another list under its name", claim, Checkpoint{SourceKey: "other", Privacy: "hashed"}, "another name"},
		{"another privacy", claim, Checkpoint{SourceKey: "k", Privacy: "clear"}, "--rekey"},
		{"another privacy, by the operator's word", rekey, Checkpoint{SourceKey: "k", Privacy: "clear"}, ""},
		{"another list, whatever the word", rekey, Checkpoint{SourceKey: "other", Privacy: "clear"}, "another name"},
		{"pseudonymous, its own", pseudonymous, Checkpoint{SourceKey: "mac", Privacy: "pseudonymous:1"}, ""},
		{"pseudonymous, of an earlier version", pseudonymous, Checkpoint{SourceKey: "k", Privacy: "pseudonymous:1"}, ""},
		{"pseudonymous, another list", pseudonymous, Checkpoint{SourceKey: "other", Privacy: "pseudonymous:1"}, "another name"},
		{"pseudonymous, no key at all", pseudonymous, Checkpoint{Privacy: "pseudonymous:1"}, "another name"},
		{"pseudonymous after hashed", pseudonymous, Checkpoint{SourceKey: "k", Privacy: "hashed"}, "--rekey"},
		{"pseudonymous after hashed, by the operator's word", rekeyed, Checkpoint{SourceKey: "k", Privacy: "hashed"}, ""},
		{"pseudonymous after hashed, another list", rekeyed, Checkpoint{SourceKey: "other", Privacy: "hashed"}, "another name"},
		{"another key of pseudonyms", pseudonymous, Checkpoint{SourceKey: "mac 2", Privacy: "pseudonymous:2"}, "--rekey"},
		{"another key of pseudonyms, by the operator's word", rekeyed, Checkpoint{SourceKey: "mac 2", Privacy: "pseudonymous:2"}, ""},
		{"hashed after pseudonymous", claim, Checkpoint{SourceKey: "mac", Privacy: "pseudonymous:1"}, "--rekey"},
		{"hashed after pseudonymous, by the operator's word", rekey, Checkpoint{SourceKey: "mac", Privacy: "pseudonymous:1"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.claim.Admit(test.found)
			var refusal *Refusal
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (!errors.As(err, &refusal) || !strings.Contains(refusal.Hint, test.want) || refusal.Thing != "stream support"):
				t.Errorf("%v, want a refusal that says %q", err, test.want)
			}
		})
	}
}

func TestClaim_TakeOverIsOneEpochOnAndKeepsTheRest(t *testing.T) {
	claim := Claim{Stream: Stream{Name: "support", SourceKey: "k"}, Privacy: "hashed", Instance: "me"}
	found := exampleCheckpoint()
	next := claim.TakeOver(found, minute(5))
	if next.Epoch != found.Epoch+1 || next.Owner != "me" || !next.Written.Equal(minute(5)) || next.SourceKey != "k" || next.Privacy != "hashed" {
		t.Errorf("%+v", next)
	}
	if next.Sequence != found.Sequence || len(next.Tail) != len(found.Tail) || next.Counters != found.Counters || !next.Started {
		t.Errorf("it does not keep what was found: %+v", next)
	}
	first := claim.TakeOver(Checkpoint{}, minute(5))
	if first.Version != CheckpointVersion || first.Epoch != 1 || first.Stream != "support" || first.Started {
		t.Errorf("the first of a stream: %+v", first)
	}
}

func TestClaim_RefusalsSayTheMend(t *testing.T) {
	claim := Claim{Stream: Stream{Name: "support"}}
	for want, err := range map[string]error{"run --first-start": claim.RefuseOrphans(), "name: other": claim.RefuseAlias("other")} {
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "support") {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}
