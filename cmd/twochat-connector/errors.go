package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// usageError is a wrong command line or configuration.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// mendedError is an error that knows what to do about it.
type hintedError struct {
	err  error
	hint string
}

func (e *hintedError) Error() string { return e.err.Error() }
func (e *hintedError) Unwrap() error { return e.err }

// mended adds to an error what to do about it.
func hinted(err error, hint string) error { return &hintedError{err, hint} }

// refusedError is what a check refused.
type refusedError []connector.Finding

func (e refusedError) Error() string {
	texts := make([]string, len(e))
	for i, finding := range e {
		texts[i] = finding.Thing + ": " + finding.Text
	}
	return "refused: " + strings.Join(texts, "; ")
}

// loggedError is an error that the log has told already.
type loggedError struct{ err error }

func (e *loggedError) Error() string { return e.err.Error() }
func (e *loggedError) Unwrap() error { return e.err }

// grievance is one thing that went wrong, for a person.
type grievance struct{ text, hint string }

// grievances takes an error apart: one for each thing that is wrong.
func grievances(err error) []grievance {
	var refused refusedError
	var all refusals
	var with *hintedError
	var refusal *connector.Refusal
	var obstacle *connector.Obstacle
	var several severalErrors
	var list []grievance
	switch {
	case errors.As(err, &several):
		for _, one := range several {
			list = append(list, grievances(one)...)
		}
	case errors.As(err, &refused):
		for _, finding := range refused {
			list = append(list, grievance{finding.Thing + ": " + finding.Text, finding.Hint})
		}
	case errors.As(err, &all):
		for _, r := range all {
			list = append(list, grievance{r.Thing + ": " + r.Cause, r.Hint})
		}
	case errors.As(err, &with):
		list = append(list, grievance{err.Error(), with.hint})
	case errors.As(err, &refusal):
		list = append(list, grievance{refusal.Thing + ": " + refusal.Cause, refusal.Hint})
	case errors.As(err, &obstacle):
		list = append(list, grievance{obstacle.Error(), obstacle.Hint})
	default:
		for text := range strings.SplitSeq(err.Error(), "\n") {
			list = append(list, grievance{text: text})
		}
	}
	return list
}

// tell says what went wrong and what to do, to a person or as JSON.
func (p *program) tell(err error) {
	var logged *loggedError
	if err == nil || errors.Is(err, errFoundWrong) || errors.Is(err, errHelped) || errors.As(err, &logged) {
		return
	}
	if p.json {
		p.tellJSON(err)
		return
	}
	name := "twochat-connector"
	if p.name != "" {
		name += " " + p.name
	}
	for _, g := range grievances(err) {
		fmt.Fprintf(p.err, "%s: %s\n", name, g.text)
		if g.hint != "" {
			fmt.Fprintf(p.err, "    %s\n", g.hint)
		}
	}
}

// failure is an error for a program.
type failure struct {
	Command  string        `json:"command,omitempty"`
	ExitCode int           `json:"exit_code"`
	Problems []failureText `json:"problems"`
}

type failureText struct {
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// failure is an error as a program is told it.
func (p *program) failure(err error) *failure {
	f := &failure{Command: p.name, ExitCode: exitCode(err)}
	for _, g := range grievances(err) {
		f.Problems = append(f.Problems, failureText{g.text, g.hint})
	}
	return f
}

// tellJSON prints an error on one line, where the facts would have stood. Lines of events are kept free of it.
func (p *program) tellJSON(err error) {
	to := p.out
	if p.name == "tail" {
		to = p.err
	}
	// A standard output that takes nothing cannot be told of it either.
	_ = json.NewEncoder(to).Encode(map[string]*failure{"error": p.failure(err)})
}
