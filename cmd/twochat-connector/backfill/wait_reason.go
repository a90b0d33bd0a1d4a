package backfill

import (
	"cmp"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/poller"
)

// waitReason is why a backfill waits, after which it goes on by itself; zero if it does not wait.
type waitReason struct {
	word  string // for a bar: the thing alone
	cause string // free of personal data
	hint  string // what a person can do; "" where there is nothing
}

// What is waited for, in a word for the bar.
const (
	heldByCredits = "waits for credits"
	heldByLimit   = "waits for the rate limit"
	heldByAPI     = "waits for 2Chat"
	heldBySink    = "waits for the sink"
	heldByBursts  = "stalled until a quieter hour"
)

// waitReasonOf is the hold that a fault is which waiting fixes.
func waitReasonOf(fault connector.PageFault, cause string) waitReason {
	switch fault {
	case connector.FaultCredits:
		return waitReason{heldByCredits, cause, "top up the account, or wait for the month's reset"}
	case connector.FaultRateLimited:
		return waitReason{heldByLimit, cause, ""}
	}
	return waitReason{heldByAPI, cause, ""}
}

// heldIn is what holds it, as the pages or else the status of its stream say.
func heldIn(status poller.Status, held waitReason, now time.Time) waitReason {
	switch {
	case held.word != "":
	case status.State == poller.StateNoSource && now.Sub(status.LastRequest) > throttledPause:
		// Of pages that are read in parallel some still wait, though another one could be read.
		fault, _, _ := strings.Cut(status.Cause, " ")
		return waitReasonOf(cmp.Or(status.Fault, connector.PageFault(fault)), status.Cause)
	case status.State == poller.StateStalled:
		return waitReason{
			heldByBursts, "about a page of messages comes in per call",
			"wait for a quieter hour, or get a higher rate limit",
		}
	case status.State == poller.StateRefused:
		return waitReason{heldBySink, status.Cause, status.Hint}
	case status.State == poller.StateNoSink, status.State == poller.StateAcquiring && status.Cause != "":
		return waitReason{heldBySink, status.Cause, cmp.Or(status.Hint,
			"`twochat-connector check` says what is wrong with the sink")}
	}
	return held
}
