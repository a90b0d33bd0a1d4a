package connector

import (
	"errors"
	"strings"
	"testing"
)

func TestHighWaterMark(t *testing.T) {
	at := func(sequence, epoch uint64) Checkpoint { return Checkpoint{Sequence: sequence, Epoch: epoch} }
	for _, c := range []struct {
		name   string
		kept   []Checkpoint
		found  Checkpoint
		exists bool
		cause  string // empty means admitted
	}{
		{"nothing known, nothing there", nil, at(0, 0), false, ""},
		{"nothing known", nil, at(7, 2), true, ""},
		{"as it was", []Checkpoint{at(30, 4)}, at(30, 4), true, ""},
		{"another went on", []Checkpoint{at(30, 4)}, at(35, 6), true, ""},
		{"gone", []Checkpoint{at(30, 4)}, at(0, 0), false, "from 30 to 0"},
		{"made anew", []Checkpoint{at(30, 4)}, at(0, 1), true, "from 30 to 0"},
		{"restored from before", []Checkpoint{at(10, 3), at(30, 4)}, at(12, 4), true, "from 30 to 12"},
		{"older by its epoch alone", []Checkpoint{at(30, 4)}, at(30, 3), true, "from epoch 4 to 3"},
		{"an older one kept later counts for nothing", []Checkpoint{at(30, 4), at(10, 3)}, at(29, 4), true, "from 30 to 29"},
		{"empty and held, then gone", []Checkpoint{at(0, 1)}, at(0, 0), false, "from 0 to 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s HighWaterMark
			for _, kept := range c.kept {
				s.Raise(kept)
			}
			err := s.Admit("shop", c.found, c.exists)
			var refusal *Refusal
			switch {
			case c.cause == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.cause != "" && (!errors.As(err, &refusal) || !strings.Contains(refusal.Cause, c.cause)):
				t.Errorf("error %v, want a refusal with %q", err, c.cause)
			}
		})
	}
}
