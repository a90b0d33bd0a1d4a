package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// usageError is a wrong command line or configuration.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// mendedError is an error that knows what to do about it.
type mendedError struct {
	err  error
	mend string
}

func (e *mendedError) Error() string { return e.err.Error() }
func (e *mendedError) Unwrap() error { return e.err }

// mended adds to an error what to do about it.
func mended(err error, mend string) error { return &mendedError{err, mend} }

// refusedError is what a check refused.
type refusedError []connector.Finding

func (e refusedError) Error() string {
	texts := make([]string, len(e))
	for i, finding := range e {
		texts[i] = finding.Thing + ": " + finding.Text
	}
	return "refused: " + strings.Join(texts, "; ")
}

// printError tells a person what went wrong and what to do: a line for each thing, indented below it the mend.
func printError(to io.Writer, name string, err error) {
	if err == nil || errors.Is(err, errFoundWrong) || errors.Is(err, errHelped) {
		return
	}
	line := func(text, mend string) {
		fmt.Fprintf(to, "twochat-connector %s: %s\n", name, text)
		if mend != "" {
			fmt.Fprintf(to, "    %s\n", mend)
		}
	}
	var refused refusedError
	var refusals refusals
	var with *mendedError
	var refusal *connector.Refusal
	switch {
	case errors.As(err, &refused):
		for _, finding := range refused {
			line(finding.Thing+": "+finding.Text, finding.Mend)
		}
	case errors.As(err, &refusals):
		for _, r := range refusals {
			line(r.Thing+": "+r.Cause, r.Mend)
		}
	case errors.As(err, &with):
		line(err.Error(), with.mend)
	case errors.As(err, &refusal):
		line(refusal.Thing+": "+refusal.Cause, refusal.Mend)
	default:
		for text := range strings.SplitSeq(err.Error(), "\n") {
			line(text, "")
		}
	}
}
