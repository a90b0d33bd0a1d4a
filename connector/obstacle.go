package connector

// Obstacle is why a sink takes nothing now, where that is known by name. Unlike a Refusal it is tried again: a file may
// be fixed, a server set up, a time pass, and nobody has to start anything again. It counts as ErrNotNow.
type Obstacle struct {
	Thing string // what is concerned
	Cause string // what is wrong with it
	Hint  string // what to do
}

func (o *Obstacle) Error() string { return o.Thing + ": " + o.Cause }

// Unwrap says that nothing was written, and that the same may be taken later.
func (o *Obstacle) Unwrap() error { return ErrNotNow }
