package connector

import (
	"errors"
	"fmt"
	"testing"
)

type hintedError struct{}

func (hintedError) Error() string { return "too few brokers" }
func (hintedError) Hint() string  { return "start the others" }

func TestAdviceOf(t *testing.T) {
	refusal := &Refusal{"stream a", "its name is in use", "rename it"}
	obstacle := &Obstacle{"the key", "it is empty", "write one into it"}
	for name, test := range map[string]struct {
		err   error
		want  Advice
		found bool
		text  string
	}{
		"a refusal":   {fmt.Errorf("acquire: %w", refusal), Advice(*refusal), true, "stream a: its name is in use"},
		"an obstacle": {fmt.Errorf("commit: %w", obstacle), Advice(*obstacle), true, "the key: it is empty"},
		"a refusal behind an obstacle": {
			errors.Join(obstacle, refusal), Advice(*refusal), true, "stream a: its name is in use",
		},
		"an error that knows better": {
			fmt.Errorf("create: %w", hintedError{}),
			Advice{Cause: "create: too few brokers", Hint: "start the others"},
			true, "create: too few brokers",
		},
		"none":      {nil, Advice{}, false, ""},
		"any other": {ErrNotNow, Advice{Cause: ErrNotNow.Error()}, false, ErrNotNow.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			got, found := AdviceOf(test.err)
			if got != test.want || found != test.found || got.Text() != test.text {
				t.Errorf("got %+v, %t, %q", got, found, got.Text())
			}
		})
	}
}
