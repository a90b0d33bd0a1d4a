package connector

import "fmt"

// Refusal is an error that only a person can fix: nothing is tried again automatically, and the stream ends with it.
// The counterpart for what may pass is Unavailable.
type Refusal struct {
	Thing string // what is concerned
	Cause string // what is wrong with it
	Hint  string // what to do
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s; %s", r.Thing, r.Cause, r.Hint) }
