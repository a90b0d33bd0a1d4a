package connector

import (
	"errors"
	"fmt"
	"testing"
)

type hintedError struct{}

func (hintedError) Error() string { return "too few brokers" }
func (hintedError) Hint() string  { return "start the others" }

func TestDiagnosticOf(t *testing.T) {
	refusal := &Refusal{"stream a", "its name is in use", "rename it"}
	unavailable := &Unavailable{"the key", "it is empty", "write one into it"}
	for name, test := range map[string]struct {
		err   error
		want  Diagnostic
		found bool
		text  string
	}{
		"a refusal": {fmt.Errorf("acquire: %w", refusal), Diagnostic(*refusal), true, "stream a: its name is in use"},
		"an outage": {fmt.Errorf("commit: %w", unavailable), Diagnostic(*unavailable), true, "the key: it is empty"},
		"a refusal behind an outage": {
			errors.Join(unavailable, refusal), Diagnostic(*refusal), true, "stream a: its name is in use",
		},
		"an error that knows better": {
			fmt.Errorf("create: %w", hintedError{}),
			Diagnostic{Cause: "create: too few brokers", Hint: "start the others"},
			true, "create: too few brokers",
		},
		"none":      {nil, Diagnostic{}, false, ""},
		"any other": {ErrNotNow, Diagnostic{Cause: ErrNotNow.Error()}, false, ErrNotNow.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			got, found := DiagnosticOf(test.err)
			if got != test.want || found != test.found || got.Text() != test.text {
				t.Errorf("got %+v, %t, %q", got, found, got.Text())
			}
		})
	}
}
