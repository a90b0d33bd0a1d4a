package backfill

import (
	"cmp"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

// waitReason is why a backfill waits, after which it continues by itself; zero if it does not wait.
type waitReason struct {
	word  string // short, for a bar
	cause string // free of personal data
	hint  string // what a person can do; "" if there is nothing
}

// These are short descriptions of waits, for the bar.
const (
	heldByCredits = "waits for credits"
	heldByLimit   = "waits for the rate limit"
	heldByAPI     = "waits for 2Chat"
	heldBySink    = "waits for the sink"
	heldByBursts  = "stalled until a quieter hour"
)

// waitReasonOf is the wait for a fault that passes.
func waitReasonOf(fault connector.PageFault, cause string) waitReason {
	switch fault {
	case connector.FaultCredits:
		return waitReason{heldByCredits, cause, "top up the account, or wait for its next month"}
	case connector.FaultRateLimited:
		return waitReason{heldByLimit, cause, ""}
	}
	return waitReason{heldByAPI, cause, ""}
}

// heldIn is what the backfill waits for, by its pages or else by its stream's status.
func heldIn(status poller.Status, held waitReason, now time.Time) waitReason {
	switch {
	case held.word != "":
	case status.State == poller.StateNoSource && now.Sub(status.LastRequest) > throttledPause:
		// Some pages that are read in parallel still wait, although another one could be read.
		fault, _, _ := strings.Cut(status.Cause, " ")
		return waitReasonOf(cmp.Or(status.Fault, connector.PageFault(fault)), status.Cause)
	case status.State == poller.StateStalled:
		return waitReason{
			heldByBursts, "about a page of messages comes in with each call",
			"wait for a quieter hour, or get a higher rate limit",
		}
	case status.State == poller.StateRefused:
		return waitReason{heldBySink, status.Cause, status.Hint}
	case status.State == poller.StateNoSink, status.State == poller.StateAcquiring && status.Cause != "":
		return waitReason{heldBySink, status.Cause, cmp.Or(status.Hint,
			"`twochat-connector check` shows what is wrong with the sink")}
	}
	return held
}
