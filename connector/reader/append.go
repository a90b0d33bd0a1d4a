package reader

import (
	"context"
	"errors"
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// UnresolvedError ends a step after which it is unknown what the log holds. The reader must not be used any more,
// whatever the cause is.
type UnresolvedError struct{ Cause error }

func (u *UnresolvedError) Error() string { return u.Cause.Error() }
func (u *UnresolvedError) Unwrap() error { return u.Cause }

// append commits to the log, and tries again for as long as the retry policy allows. After an unclear answer or a
// refusal it first acquires the log again. If the log is unchanged, it commits the same again, so that a failing sink
// costs no extra page; if the log holds the commit, it is done. In both cases next gets the new epoch of the log.
// Otherwise the error is an *UnresolvedError.
func (w *writer) append(ctx context.Context, events []connector.Event, rejects []connector.Reject,
	next *connector.Checkpoint,
) error {
	for {
		err := w.log.Commit(ctx, events, rejects, *next)
		var rejected *connector.Rejected
		switch {
		case err == nil, errors.Is(err, connector.ErrFenced), errors.As(err, &rejected):
			return err
		case errors.Is(err, connector.ErrNotNow):
			if err := w.source.retry.Commit(ctx, err); err != nil {
				return err
			}
			continue
		}
		state, err := w.takeOverAgain(ctx, err)
		if err != nil {
			return err
		}
		found := state.Checkpoint
		switch {
		case found.SameState(next) && slices.Equal(found.Tail, next.Tail) && slices.Equal(found.TailLate, next.TailLate) &&
			slices.Equal(found.Rejects, next.Rejects):
			next.AdoptOwnership(&found)
			return nil
		case found.SameState(&w.known.recorded) && w.endsAs(&found):
			next.AdoptOwnership(&found)
			w.known.recorded.AdoptOwnership(&found)
		default:
			return &UnresolvedError{Cause: errors.New("the log is not as this instance left it; it is read back")}
		}
	}
}

// takeOverAgain acquires the log after a commit that failed for this cause, and tries again for as long as the retry
// policy allows.
func (w *writer) takeOverAgain(ctx context.Context, cause error) (connector.State, error) {
	for {
		if err := w.source.retry.Commit(ctx, cause); err != nil {
			return connector.State{}, &UnresolvedError{err}
		}
		state, err := w.log.Acquire(ctx)
		if err == nil {
			return state, nil
		}
		if errors.Is(err, connector.ErrFenced) {
			return connector.State{}, err
		}
		cause = err
	}
}

// endsAs reports whether the newest event of a checkpoint is that of the window.
func (w *writer) endsAs(found *connector.Checkpoint) bool {
	if len(found.Tail) == 0 || len(w.known.window.entries) == 0 {
		return len(found.Tail) == 0
	}
	at, ok := w.known.window.position(found.Tail[len(found.Tail)-1])
	return ok && at.sequence() == found.Sequence
}
