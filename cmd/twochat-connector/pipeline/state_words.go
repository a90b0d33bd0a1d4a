package pipeline

import (
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

// needsPerson reports whether what a stream waits for does not pass by itself.
func needsPerson(s poller.Status) bool {
	switch s.State {
	case poller.StateRefused, poller.StateStopped:
		return true
	case poller.StateNoSource, poller.StateSpent:
		return s.Fault.NeedsPerson() || s.State == poller.StateSpent
	}
	return false
}

// Happening is what a stream does or waits for, in a few words.
func Happening(s poller.Status) string {
	switch s.State {
	case poller.StateNoSink:
		return "the sink takes nothing"
	case poller.StateRefused:
		return "the sink refuses it"
	case poller.StateCommitting:
		return "a commit to the sink takes long"
	case poller.StateStalled:
		return "the list contradicts itself"
	case poller.StateSuspect:
		return "the list shows nothing of what was delivered"
	case poller.StateAcquiring:
		if s.Owned {
			return "2Chat's list is not read yet"
		}
		return "its place in the sink is not taken over yet"
	case poller.StateStandby:
		return "another instance took it over"
	}
	return StateText(s)
}

// Advice is what to do about a stream: its hint, or what the state itself calls for. It is empty where there is nothing.
func (s StreamReport) Advice() string {
	if s.Hint != "" {
		return s.Hint
	}
	switch s.State {
	case poller.StateNoSource:
		if s.Fault == connector.FaultRateLimited {
			return "nothing: it passes. Where it comes back, see what else uses the key, or lower poll.requests_per_minute"
		}
		return "nothing here: 2Chat, or the network on the way, does not answer. It is asked again by itself, and what is listed meanwhile is read then"
	case poller.StateNoSink:
		return "see whether the sink runs and has room; nothing is lost, and it goes on by itself"
	case poller.StateCommitting:
		return "see why the sink is slow; nothing is lost, and nothing is polled meanwhile"
	case poller.StateStalled:
		return "see what answers for 2Chat on the way; `twochat-connector check --learn` prints what the API answers. Nothing is lost"
	case poller.StateAcquiring:
		if s.Owned {
			return "wait a moment: it is read as soon as the rate limit has room for it"
		}
		return "wait a moment; if it lasts, `twochat-connector check` says what is wrong with the sink"
	case poller.StateSpent:
		return budgetHint
	case poller.StateStopped:
		return "the log says why; restart it"
	case poller.StateStandby:
		return "nothing, if a second instance is meant to run; else stop one of them"
	}
	return ""
}

// runbookOf is the section of deploy/README.md about a stream's state.
func runbookOf(s poller.Status) string {
	switch s.State {
	case poller.StateNoSink, poller.StateAcquiring:
		if s.Owned && s.State == poller.StateAcquiring {
			return "TwochatConnectorNothingArrives"
		}
		return "TwochatConnectorSinkDown"
	case poller.StateRefused, poller.StateStopped:
		return "TwochatConnectorStopped"
	case poller.StateCommitting:
		return "TwochatConnectorCommitsSlow"
	case poller.StateStalled, poller.StateSuspect:
		return "TwochatConnectorListDoubtful"
	case poller.StateSpent:
		return "TwochatConnectorSpent"
	case poller.StateStandby:
		return "TwochatConnectorTwoCopies"
	case poller.StateNoSource:
		switch {
		case s.Fault.NeedsPerson():
			return "TwochatConnectorPersonNeeded"
		case s.Fault == connector.FaultInvalid:
			return "TwochatConnectorApiChanged"
		}
		return "TwochatConnectorSourceDown"
	}
	return "TwochatConnectorNothingArrives"
}
