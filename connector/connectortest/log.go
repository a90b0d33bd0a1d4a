package connectortest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Log is a log in memory. It fails the test on any use that violates the contract of connector.Log.
type Log struct {
	T *testing.T

	Mu         sync.Mutex
	Events     []connector.Event
	Rejects    []connector.Reject
	Checkpoint connector.Checkpoint
	MaxCommit  connector.Limits
	Erased     map[uint64]bool
	OnRequest  []connector.Seen // what was erased on request, as State.Erased
	Acquired   int
	Commits    []connector.Checkpoint // recorded by Commit
	owned      bool
	unclear    bool
	// Answer decides the outcome of a commit; nil writes it. With written true, the commit is written even if there is an
	// error.
	Answer func(ctx context.Context, events []connector.Event) (written bool, err error)
	// Refuse decides the outcome of an Acquire.
	Refuse func() error
	// Twin returns another owner's checkpoint, for Peek.
	Twin func() connector.Checkpoint
}

// Acquire implements connector.Log.
func (l *Log) Acquire(context.Context) (connector.State, error) {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	if l.Refuse != nil {
		if err := l.Refuse(); err != nil {
			return connector.State{}, err
		}
	}
	claim := connector.Claim{
		Stream:   connector.Stream{Name: "a", SourceKey: "k"},
		Instance: fmt.Sprint("instance ", l.Acquired),
	}
	l.Checkpoint = claim.TakeOver(l.Checkpoint, time.Now())
	l.Acquired, l.owned, l.unclear = l.Acquired+1, true, false
	state := connector.State{Checkpoint: l.Checkpoint, Erased: l.OnRequest}
	for _, e := range l.Events {
		if !l.Erased[e.Sequence] {
			state.Seen = append(state.Seen, connector.Seen{Key: e.Key, Sequence: e.Sequence, Late: e.Late})
		}
	}
	return state, nil
}

// Commit implements connector.Log.
func (l *Log) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject,
	next connector.Checkpoint,
) error {
	events, rejects = slices.Clone(events), slices.Clone(rejects)
	l.Mu.Lock()
	answer := l.Answer
	if l.unclear || !l.owned {
		l.T.Error("a commit without a successful Acquire before it")
	}
	l.Mu.Unlock()
	written, err := true, error(nil)
	if answer != nil {
		written, err = answer(ctx, events)
	}
	l.Mu.Lock()
	defer l.Mu.Unlock()
	if !written {
		l.unclear = err != nil && !settled(err)
		return err
	}
	for i := range events {
		if want := uint64(len(l.Events)) + 1; events[i].Sequence != want {
			l.T.Errorf("event %s has sequence %d, want %d", events[i].ID, events[i].Sequence, want)
		}
		if slices.ContainsFunc(l.Events, func(e connector.Event) bool {
			return e.Key == events[i].Key && !l.Erased[e.Sequence]
		}) {
			l.T.Errorf("event %s stands twice", events[i].ID)
		}
		l.Events = append(l.Events, events[i])
	}
	if next.Sequence != uint64(len(l.Events)) || next.Certified < l.Checkpoint.Certified ||
		next.Certified > next.Sequence {
		l.T.Errorf("the checkpoint says sequence %d and certified %d (was %d) after %d events", next.Sequence, next.Certified,
			l.Checkpoint.Certified, len(l.Events))
	}
	l.Rejects, l.Checkpoint, l.Commits = append(l.Rejects, rejects...), next, append(l.Commits, next)
	l.unclear = err != nil
	return err
}

// settled reports whether an error means for certain that nothing was written.
func settled(err error) bool {
	var rejected *connector.Rejected
	return errors.As(err, &rejected) || errors.Is(err, connector.ErrFenced) || errors.Is(err, connector.ErrNotNow)
}

// Peek implements connector.Log.
func (l *Log) Peek(context.Context) (connector.Checkpoint, bool, error) {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	if l.Twin != nil {
		return l.Twin(), true, nil
	}
	return l.Checkpoint, l.Acquired > 0, nil
}

// Limits implements connector.Log.
func (l *Log) Limits() connector.Limits {
	if l.MaxCommit == (connector.Limits{}) {
		return connector.Limits{Messages: 1000, Bytes: 1 << 20}
	}
	return l.MaxCommit
}

// Close implements connector.Log.
func (l *Log) Close() error { return nil }

// Counts returns how many times the log was acquired and committed to, and its checkpoint.
func (l *Log) Counts() (acquired, commits int, checkpoint connector.Checkpoint) {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	return l.Acquired, len(l.Commits), l.Checkpoint
}

// Text is the log in one line: the events' ids, with a star after each late one.
func (l *Log) Text() string {
	l.Mu.Lock()
	defer l.Mu.Unlock()
	var ids []string
	for _, e := range l.Events {
		if e.Late {
			e.ID += "*"
		}
		ids = append(ids, e.ID)
	}
	return strings.Join(ids, " ")
}
