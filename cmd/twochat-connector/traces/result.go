package traces

import (
	"context"
	"errors"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// stepResult is the result of a step, as a word.
func stepResult(err error) string {
	var suspicion *reader.Suspicion
	var fault *connector.PageError
	switch {
	case errors.As(err, &fault):
		return string(fault.Fault)
	case errors.Is(err, reader.ErrMoved):
		return "moved"
	case errors.Is(err, reader.ErrStalled):
		return "stalled"
	case errors.Is(err, reader.ErrEmpty):
		return "empty"
	case errors.Is(err, reader.ErrPollDue):
		return "poll_due"
	case errors.Is(err, reader.ErrMemoryLimit):
		return "memory_limit"
	case errors.As(err, &suspicion):
		return "suspect"
	}
	return commitResult(err)
}

// commitResult is the result of a commit or a take-over, as a word.
func commitResult(err error) string {
	var rejected *connector.Rejected
	var refusal *connector.Refusal
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, context.Canceled):
		return "stopped"
	case errors.Is(err, connector.ErrFenced):
		return "fenced"
	case errors.Is(err, connector.ErrNotNow):
		return "not_now"
	case errors.As(err, &rejected):
		return "rejected"
	case errors.As(err, &refusal):
		return "refused"
	}
	return "unclear"
}
