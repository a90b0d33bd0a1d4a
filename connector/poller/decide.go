package poller

import (
	"errors"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// step is what a Poller does next.
type step int

const (
	stepAcquire step = iota // take the stream over
	stepPoll                // read what is new
	stepSweep               // look for late messages, at the end of the list, or deliver what is held
)

// situation is all that decides about the next step.
type situation struct {
	owns   bool // the session holds the stream
	rested bool // all that was listed is in the log and certified
	// between is for what is done between polls: held messages are to be delivered, or the end of the list is to be looked
	// at.
	between   bool
	now       time.Time
	nextPoll  time.Time
	lastSweep time.Time
	every     time.Duration // from one sweep to the next; 0: never
}

// next decides about the next step: a sweep only at rest, between polls.
func (s situation) next() step {
	switch {
	case !s.owns:
		return stepAcquire
	case !s.rested || !s.now.Before(s.nextPoll):
		return stepPoll
	case s.between, s.every > 0 && s.now.Sub(s.lastSweep) >= s.every:
		return stepSweep
	}
	return stepPoll
}

// failure is what an error of a step asks for.
type failure int

const (
	failureUnclear failure = iota // nobody knows what the sink holds: ask it again
	failureRefused                // the sink refuses by name: a person is needed
	failureSource                 // a page cannot be read
	failureFenced                 // another instance has taken over: stand down
	failureSuspect                // the list seems to have lost what was delivered: look again
	failureStalled                // a search came to nothing: search afresh later
	failureMoved                  // the list moved while it was walked: walk again
	failureEmpty                  // page 0 is empty, which counts only several times in a row
	// it is open what the sink holds, and what was read is gone: reading it again is paid for
	failureReread
	failureSink // the sink takes nothing now
)

// failureOf tells errors apart by what is to be done about them.
func failureOf(err error) failure {
	var refusal *connector.Refusal
	var fault *connector.PageError
	var open *reader.UnresolvedError
	var suspicion *reader.Suspicion
	switch {
	case errors.As(err, &refusal):
		return failureRefused
	case errors.As(err, &fault):
		return failureSource
	case errors.Is(err, connector.ErrFenced):
		return failureFenced
	case errors.As(err, &suspicion):
		return failureSuspect
	case errors.Is(err, reader.ErrStalled):
		return failureStalled
	case errors.Is(err, reader.ErrMoved):
		return failureMoved
	case errors.Is(err, reader.ErrEmpty):
		return failureEmpty
	case errors.As(err, &open):
		return failureReread
	case errors.Is(err, connector.ErrNotNow):
		return failureSink
	}
	return failureUnclear
}
