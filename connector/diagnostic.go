package connector

import "errors"

// Diagnostic is the form in which an error is shown to people. It is not an error itself: *Refusal and *Unavailable
// are, and they also say whether another attempt may succeed.
type Diagnostic struct {
	Thing string // what is concerned; empty if the error names nothing
	Cause string // what is wrong with it
	Hint  string // what to do
}

// Text is what is wrong, and with what.
func (d Diagnostic) Text() string {
	if d.Thing == "" {
		return d.Cause
	}
	return d.Thing + ": " + d.Cause
}

// DiagnosticOf extracts the thing, the cause and the hint from an error that has them: a *Refusal, an *Unavailable, or
// an error with a method Hint() string. found is false for any other error; then its text is the cause.
func DiagnosticOf(err error) (d Diagnostic, found bool) {
	var refusal *Refusal
	var unavailable *Unavailable
	var hinted interface{ Hint() string }
	switch {
	case err == nil:
		return Diagnostic{}, false
	case errors.As(err, &refusal):
		return Diagnostic{refusal.Thing, refusal.Cause, refusal.Hint}, true
	case errors.As(err, &unavailable):
		return Diagnostic{unavailable.Thing, unavailable.Cause, unavailable.Hint}, true
	case errors.As(err, &hinted):
		return Diagnostic{Cause: err.Error(), Hint: hinted.Hint()}, true
	}
	return Diagnostic{Cause: err.Error()}, false
}
