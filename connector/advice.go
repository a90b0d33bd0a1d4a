package connector

import "errors"

// Advice is an error as a person is told it.
type Advice struct {
	Thing string // what is concerned; empty where the error names nothing
	Cause string // what is wrong with it
	Hint  string // what to do
}

// Text is what is wrong, and with what.
func (a Advice) Text() string {
	if a.Thing == "" {
		return a.Cause
	}
	return a.Thing + ": " + a.Cause
}

// AdviceOf is what an error says of what to do: that of a *Refusal, of an *Obstacle, or of an error with a method
// Hint() string. found is false where it says nothing of it; then its text is the cause.
func AdviceOf(err error) (a Advice, found bool) {
	var refusal *Refusal
	var obstacle *Obstacle
	var hinted interface{ Hint() string }
	switch {
	case err == nil:
		return Advice{}, false
	case errors.As(err, &refusal):
		return Advice{refusal.Thing, refusal.Cause, refusal.Hint}, true
	case errors.As(err, &obstacle):
		return Advice{obstacle.Thing, obstacle.Cause, obstacle.Hint}, true
	case errors.As(err, &hinted):
		return Advice{Cause: err.Error(), Hint: hinted.Hint()}, true
	}
	return Advice{Cause: err.Error()}, false
}
