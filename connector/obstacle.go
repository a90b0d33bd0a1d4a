package connector

// Obstacle is a known reason why a sink takes nothing now. Unlike after a Refusal, the connector tries again by itself:
// a file may be repaired, a server set up, or a waiting time pass. It unwraps to ErrNotNow.
type Obstacle struct {
	Thing string // what is concerned
	Cause string // what is wrong with it
	Hint  string // what to do
}

func (o *Obstacle) Error() string { return o.Thing + ": " + o.Cause }

// Unwrap returns ErrNotNow: nothing was written, and the same may be taken later.
func (o *Obstacle) Unwrap() error { return ErrNotNow }
