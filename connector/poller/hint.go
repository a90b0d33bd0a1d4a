package poller

import (
	"cmp"
	"errors"
	"log/slog"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/quota"
)

// levelOf is the log level of a state.
func levelOf(state StreamState) slog.Level {
	switch state {
	case StateNoSource, StateNoSink, StateRefused, StateStalled, StateSuspect, StateSpent, StateStandby:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// causeOf returns the text of a cause. The hint of a refusal is left out, as it is shown separately.
func causeOf(cause error) string {
	told, _ := connector.DiagnosticOf(cause)
	return told.Text()
}

// askedWait returns a note that the server asked for this wait, and until when; empty if it did not ask.
func askedWait(cause error, next time.Time) string {
	var fault *connector.PageError
	if !errors.As(cause, &fault) || fault.RetryAfter <= 0 || next.IsZero() {
		return ""
	}
	return "; 2Chat asked to wait " + fault.RetryAfter.Round(time.Second).String() + ", and is asked again at " +
		next.UTC().Format("15:04:05 UTC")
}

// faultOf returns the kind of page fault of a cause, or "" if it is none.
func faultOf(cause error) connector.PageFault {
	var fault *connector.PageError
	if errors.As(cause, &fault) {
		return fault.Fault
	}
	return ""
}

// hintOf returns what to do about a state; empty if there is nothing to do.
func hintOf(state StreamState, cause error) string {
	if told, found := connector.DiagnosticOf(cause); found { // the cause's own hint is more specific
		return told.Hint
	}
	switch state {
	case StateNoSink:
		return "check that the sink is running and has room; `twochat-connector check` shows what is wrong with it"
	case StateSuspect:
		return "if its messages were cleared or the number was replaced, wait some minutes; otherwise check what answers in place of 2Chat"
	case StateNoSource, StateSpent:
		var fault *connector.PageError
		if errors.As(cause, &fault) {
			return cmp.Or(fault.Hint, hintFor(fault.Fault))
		}
	}
	return ""
}

// hintFor returns what a person can do about a page fault.
func hintFor(fault connector.PageFault) string {
	switch fault {
	case connector.FaultCredits:
		return "top up the account at 2Chat, or wait until its next month begins; raising poll.monthly_credits does not help"
	case connector.FaultKey:
		return "put a key that may read this number into the file that twochat.api_key_file names, which is read again without a restart; a key in TWOCHAT_API_KEY takes precedence, and needs a restart"
	case connector.FaultBlocked:
		return quota.BlockedHint
	case connector.FaultNumber:
		return "connect the number in 2Chat again, or remove it from twochat.streams"
	case connector.FaultRequest:
		return "check twochat.base_url and the number; `twochat-connector check` shows more"
	case connector.FaultInvalid:
		return "`twochat-connector check --learn` shows what answers there"
	}
	return ""
}
