package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Commit appends the events in order, puts the rejects into the quarantine, and records next, all or nothing.
func (l *log) Commit(
	ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint,
) error {
	err := l.sink.watch.refusal()
	if err == nil {
		err = l.commit(ctx, events, rejects, next, nil)
	}
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// commitTime limits a commit, whatever the brokers do.
const commitTime = 30 * time.Second

// commit implements Commit. proven, if not nil, is called when all is written but not committed; if it fails, all is
// discarded.
func (l *log) commit(ctx context.Context, events []connector.Event, rejects []connector.Reject,
	next connector.Checkpoint,
	proven func(context.Context) error,
) error {
	s := l.session
	switch {
	case s == nil && l.fenced:
		return connector.ErrFenced
	case s == nil:
		return errNotAcquired
	}
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	now := time.Now()
	if len(events) > 0 {
		s.positions.begin(events[0].Sequence, l.claim.Window, now)
	}
	t := &transaction{sink: l.sink, session: s, offsets: slices.Clone(s.positions.Next), at: now}
	if err := t.sort(l.claim, events, rejects, next); err != nil {
		return err // nothing was started, and the session is unchanged
	}
	if err := t.encode(); err != nil {
		return err
	}
	who, err := s.nextEpoch(ctx)
	if err != nil {
		return l.refused(ctx, err)
	}
	if err := l.sink.client.addPartitions(ctx, l.id, who, t.partitions()); isNotSent(err) {
		return fmt.Errorf("%w: %w", connector.ErrNotNow, err) // there is no transaction yet
	} else if err != nil {
		return l.broken(ctx, s, who, err)
	}
	if err := t.produce(ctx, who); err != nil {
		return l.broken(ctx, s, who, err)
	}
	if proven != nil {
		if err := proven(ctx); err != nil {
			return l.broken(ctx, s, who, &unprovenError{err})
		}
	}
	if err := l.sink.client.commitTransaction(ctx, l.id, who); err != nil {
		if isFenced(err) {
			return l.standDown(err)
		}
		l.drop()
		return err // unclear, whatever the error
	}
	s.positions.Next = t.offsets
	l.standing.Raise(next)
	s.prepareEpoch(who)
	return nil
}

// unprovenError means that all was written, but must not be committed.
type unprovenError struct{ err error }

func (e *unprovenError) Error() string { return e.err.Error() }
func (e *unprovenError) Unwrap() error { return e.err }

// refused is the outcome of a commit that ended before its transaction began. Nothing was sent, and the epoch can be
// raised again.
func (l *log) refused(ctx context.Context, err error) error {
	switch {
	case isFenced(err):
		return l.standDown(err)
	case errors.Is(err, kafkago.InvalidProducerIDMapping): // the broker forgot an id that was not used for days
		l.drop()
		return err
	}
	return l.nothing(ctx, err)
}

// nothing is the outcome of a commit that wrote nothing, and will write nothing: a person has to act, or it can be
// tried again.
func (l *log) nothing(ctx context.Context, cause error) error {
	l.sink.watch.wake() // settings may have changed
	err := l.sink.hints.asRefusal(cause)
	if isMissing(cause) {
		err = l.sink.missing.asRefusal(ctx, cause)
	}
	var refusal *connector.Refusal
	if errors.As(err, &refusal) {
		l.drop()
		return err
	}
	return fmt.Errorf("%w: %w", connector.ErrNotNow, cause)
}

// broken is the outcome of a commit whose transaction cannot continue. It is certain that nothing was or will be
// written only if the broker refused it or nothing was sent, and if the abort succeeded. Everything else is unclear.
func (l *log) broken(ctx context.Context, s *session, who producer, cause error) error {
	var rejected *connector.Rejected
	var refusal *connector.Refusal
	var unproven *unprovenError
	isRefusal := errors.As(cause, &refusal)
	certain := errors.As(cause, &rejected) || isRefusal || errors.As(cause, &unproven)
	switch {
	case isFenced(cause):
		return l.standDown(cause)
	case !certain && !isAnswered(cause) && !isNotSent(cause):
		l.drop()
		return cause
	}
	// The abort has its own time, even if that of the commit is over.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	err := l.sink.client.abortTransaction(ctx, l.id, who)
	switch {
	case err == nil:
		s.prepareEpoch(who)
	case isFenced(err):
		return l.standDown(err)
	case errors.Is(err, kafkago.InvalidTransactionState): // no partition was added, so there is nothing to abort
		s.prepareEpoch(who)
	default:
		l.drop()
		return fmt.Errorf("%w; abort: %w", cause, err)
	}
	switch {
	case isRefusal:
		l.drop()
		return cause
	case certain:
		return cause
	}
	return l.nothing(ctx, cause)
}

// standDown ends the session of a log that was fenced.
func (l *log) standDown(err error) error {
	l.drop()
	l.fenced = true
	return fmt.Errorf("%w: %w", connector.ErrFenced, err)
}
