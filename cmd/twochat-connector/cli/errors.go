package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
)

// UsageError is a wrong command line or configuration.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }
func (e *UsageError) Unwrap() error { return e.err }

// UsageOf turns an error into a UsageError.
func UsageOf(err error) error { return &UsageError{err} }

// Usage returns a UsageError with a text.
func Usage(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// HintedError is an error with a hint.
type HintedError struct {
	err  error
	hint string
}

func (e *HintedError) Error() string { return e.err.Error() }
func (e *HintedError) Unwrap() error { return e.err }

// Hinted adds a hint to an error.
func Hinted(err error, hint string) error { return &HintedError{err, hint} }

// RefusedError holds the findings of a check that refused.
type RefusedError []connector.Finding

func (e RefusedError) Error() string {
	texts := make([]string, len(e))
	for i, finding := range e {
		texts[i] = finding.Thing + ": " + finding.Text
	}
	return "refused: " + strings.Join(texts, "; ")
}

// LoggedError is an error that is in the log already.
type LoggedError struct{ err error }

// Logged marks an error as logged.
func Logged(err error) error { return &LoggedError{err} }

func (e *LoggedError) Error() string { return e.err.Error() }
func (e *LoggedError) Unwrap() error { return e.err }

// Problem is one thing that went wrong, for a person.
type Problem struct{ Text, Hint string }

// Problems splits an error into one problem for each thing that is wrong.
func Problems(err error) []Problem {
	var refused RefusedError
	var all Refusals
	var with *HintedError
	var several severalErrors
	told, hinted := connector.DiagnosticOf(err)
	var list []Problem
	// A fault of the sink as a whole ends each stream in the same words.
	add := func(problems ...Problem) {
		for _, one := range problems {
			if !slices.Contains(list, one) {
				list = append(list, one)
			}
		}
	}
	switch {
	case errors.As(err, &several):
		for _, one := range several {
			add(Problems(one)...)
		}
	case errors.As(err, &refused):
		for _, finding := range refused {
			list = append(list, Problem{finding.Thing + ": " + finding.Text, finding.Hint})
		}
	case errors.As(err, &all):
		for _, r := range all {
			add(Problem{r.Thing + ": " + r.Cause, r.Hint})
		}
	case errors.As(err, &with):
		list = append(list, Problem{err.Error(), with.hint})
	case hinted:
		list = append(list, Problem{told.Text(), told.Hint})
	default:
		for line := range strings.SplitSeq(err.Error(), "\n") {
			list = append(list, Problem{Text: line})
		}
	}
	return list
}

// Tell prints what went wrong and what to do, for a person or as JSON.
func (p *Program) Tell(err error) {
	var logged *LoggedError
	if err == nil || errors.Is(err, ErrFoundWrong) || errors.Is(err, errHelped) || errors.As(err, &logged) {
		return
	}
	if p.JSON {
		p.tellJSON(err)
		return
	}
	for _, g := range Problems(err) {
		p.TellProblem(g)
	}
}

// TellProblem prints one problem for a person, with its hint on the next line.
func (p *Program) TellProblem(g Problem) {
	name := programName
	if p.Name != "" {
		name += " " + p.Name
	}
	columns := text.Columns(p.Err)
	// If the standard error cannot be written to, there is nowhere to report that.
	for line := range strings.SplitSeq(name+": "+g.Text, "\n") {
		fmt.Fprintln(p.Err, text.Hang(line, "    ", columns))
	}
	if g.Hint != "" {
		fmt.Fprintln(p.Err, text.Fold(p.Hint(g.Hint), "  → ", columns))
	}
}

// Failure is the JSON form of an error.
type Failure struct {
	Command  string        `json:"command,omitempty"`
	ExitCode int           `json:"exit_code"`
	Problems []failureText `json:"problems"`
}

type failureText struct {
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// Failure returns the JSON form of an error.
func (p *Program) Failure(err error) *Failure {
	f := &Failure{Command: p.Name, ExitCode: ExitCode(err)}
	for _, g := range Problems(err) {
		f.Problems = append(f.Problems, failureText{g.Text, p.Hint(g.Hint)})
	}
	return f
}

// tellJSON prints an error on one line, in place of the result. The command tail prints events there, so its errors go
// to the standard error.
func (p *Program) tellJSON(err error) {
	to := p.Out
	if p.Name == "tail" {
		to = p.Err
	}
	// If the standard output cannot be written to, there is nowhere to report that.
	_ = json.NewEncoder(to).Encode(map[string]*Failure{"error": p.Failure(err)})
}

// Refusals say why streams ended early.
type Refusals []*connector.Refusal

func (r Refusals) Error() string {
	errs := make([]error, len(r))
	for i := range r {
		errs[i] = r[i]
	}
	return errors.Join(errs...).Error()
}

// severalErrors are errors that are shown to a person one by one.
type severalErrors []error

func (e severalErrors) Error() string { return errors.Join(e...).Error() }

func (e severalErrors) Unwrap() []error { return e }

// Together joins errors. It returns nil for none, and a single error unchanged.
func Together(errs []error) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return severalErrors(errs)
}

// Stopped returns an error, unless the end of the context is its cause: then it returns one that says what that means,
// and what to do next.
func Stopped(ctx context.Context, err error, said, hint string) error {
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return Hinted(errors.New(said), hint)
	}
	return err
}
