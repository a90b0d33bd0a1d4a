package connector

// Unavailable is an error that may pass without a person's help, so the connector tries again: a file may be repaired,
// a server set up, or a waiting time end. The counterpart for what only a person can fix is Refusal. It unwraps to
// ErrNotNow.
type Unavailable struct {
	Thing string // what is concerned
	Cause string // what is wrong with it
	Hint  string // what to do
}

func (u *Unavailable) Error() string { return u.Thing + ": " + u.Cause }

// Unwrap returns ErrNotNow: nothing was written, and the same may be taken later.
func (u *Unavailable) Unwrap() error { return ErrNotNow }
