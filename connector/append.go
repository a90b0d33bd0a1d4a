package connector

import (
	"context"
	"errors"
	"slices"
)

// unresolved is why a step was given up while it was open what the log holds: the reader is spent, whatever the cause.
type unresolved struct{ cause error }

func (u *unresolved) Error() string { return u.cause.Error() }
func (u *unresolved) Unwrap() error { return u.cause }

// append commits to the log, again as long as patience lasts. What is left unclear, or refused by name, is taken over anew first:
// where the log is as it was, the same is committed again, so that no page is read twice for a sink that fails; where it holds
// what was committed, that is done. In both cases next gets the place's new epoch. Anything else spends the reader.
func (r *Reader) append(ctx context.Context, events []Event, rejects []Reject, next *Checkpoint) error {
	for {
		err := r.log.Commit(ctx, events, rejects, *next)
		var rejected *Rejected
		switch {
		case err == nil, errors.Is(err, ErrFenced), errors.As(err, &rejected):
			return err
		case errors.Is(err, ErrNotNow):
			if err := r.patience.Commit(ctx, err); err != nil {
				return err
			}
			continue
		}
		state, err := r.takeOverAgain(ctx, err)
		if err != nil {
			return err
		}
		found := state.Checkpoint
		switch {
		case found.records(next) && slices.Equal(found.Tail, next.Tail) && slices.Equal(found.TailLate, next.TailLate) &&
			slices.Equal(found.Rejects, next.Rejects):
			next.movesTo(&found)
			return nil
		case found.records(&r.recorded) && r.endsAs(&found):
			next.movesTo(&found)
			r.recorded.movesTo(&found)
		default:
			return &unresolved{cause: errors.New("the log is not as this instance left it; it is read back")}
		}
	}
}

// takeOverAgain takes the log over after a commit that failed for this cause, as soon as patience thinks it worth while.
func (r *Reader) takeOverAgain(ctx context.Context, cause error) (State, error) {
	for {
		if err := r.patience.Commit(ctx, cause); err != nil {
			return State{}, &unresolved{err}
		}
		state, err := r.log.Acquire(ctx)
		if err == nil {
			return state, nil
		}
		if errors.Is(err, ErrFenced) {
			return State{}, err
		}
		cause = err
	}
}

// endsAs says whether the newest event of the window is the one of a checkpoint.
func (r *Reader) endsAs(found *Checkpoint) bool {
	if len(found.Tail) == 0 || len(r.window.entries) == 0 {
		return len(found.Tail) == 0
	}
	at, ok := r.window.place(found.Tail[len(found.Tail)-1])
	return ok && at.sequence() == found.Sequence
}
