package connector

import "fmt"

// Refusal is an error that only a person can fix: nothing is tried again by itself, and the stream ends with it. The same
// of something that may pass is an Unavailable.
type Refusal struct {
	Thing string // what is concerned
	Cause string // what is wrong with it
	Hint  string // what to do
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s; %s", r.Thing, r.Cause, r.Hint) }
