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
	stepSweep               // look for late messages, check the end of the list, or deliver held messages
)

// situation is everything that the next step depends on.
type situation struct {
	owns   bool // the session holds the stream
	rested bool // everything that was listed is in the log and certified
	// betweenPolls is true if held messages are to be delivered, or the end of the list is to be checked, between polls.
	betweenPolls bool
	now          time.Time
	nextPoll     time.Time
	lastSweep    time.Time
	every        time.Duration // from one sweep to the next; 0 = never
}

// next returns the next step. A sweep is made only at rest, between polls.
func (s situation) next() step {
	switch {
	case !s.owns:
		return stepAcquire
	case !s.rested || !s.now.Before(s.nextPoll):
		return stepPoll
	case s.betweenPolls, s.every > 0 && s.now.Sub(s.lastSweep) >= s.every:
		return stepSweep
	}
	return stepPoll
}

// failure classifies an error of a step by what to do about it.
type failure int

const (
	failureUnclear failure = iota // it is unknown what the sink holds: read it back
	failureRefused                // the sink refuses, and a person has to fix something
	failureSource                 // a page cannot be read
	failureFenced                 // another instance has taken over: stand down
	failureSuspect                // the list seems to have lost delivered messages: look again
	failureStalled                // a search failed: search again later
	failureMoved                  // the list moved while it was walked: walk again
	failureEmpty                  // page 0 is empty, which counts only after several polls in a row
	// nothing of the pages was committed, and they are lost: reading them again costs calls
	failureReread
	failureSink // the sink takes nothing now
)

// failureOf classifies an error.
func failureOf(err error) failure {
	var refusal *connector.Refusal
	var fault *connector.PageError
	var open *reader.UnresolvedError
	var suspicion *reader.Suspicion
	var rejected *connector.Rejected
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
	case errors.As(err, &open), errors.As(err, &rejected): // a message that nothing can be left out of
		return failureReread
	case errors.Is(err, connector.ErrNotNow):
		return failureSink
	}
	return failureUnclear
}
