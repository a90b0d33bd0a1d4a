package checkpoint

import (
	"slices"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// An import records what was delivered to other sinks, and does not take what this one has lost for it.
func TestElsewhere(t *testing.T) {
	runs := func(ends ...uint64) (runs connector.SequenceRanges) {
		for i := 0; i < len(ends); i += 2 {
			runs = append(runs, connector.SequenceRange{From: ends[i], To: ends[i+1]})
		}
		return runs
	}
	for name, c := range map[string]struct {
		file, former connector.SequenceRanges
		base         uint64
		recorded     uint64 // the sequence of this sink's own checkpoint
		highest      uint64 // of the events that it holds
		want         connector.SequenceRanges
	}{
		"into an empty sink":                {want: runs(1, 50)},
		"into an empty sink, from a base":   {base: 20, want: runs(21, 50)},
		"into an empty sink, from a second": {file: runs(1, 20), want: runs(1, 50)},
		"again":                             {former: runs(1, 50), recorded: 50, want: runs(1, 50)},
		"again, after retention":            {file: runs(1, 20), former: runs(1, 20), recorded: 50, want: runs(1, 20)},
		"into its own sink":                 {recorded: 50, highest: 50},
		"into its own sink, restored":       {recorded: 40, highest: 40},
		"into its own second sink, restored": {
			file: runs(1, 20), former: runs(1, 20), recorded: 40, highest: 40, want: runs(1, 20),
		},
		"back into the first sink":                     {file: runs(1, 20), recorded: 20, highest: 20, want: runs(21, 50)},
		"back into the first sink, which lost its own": {file: runs(1, 20), highest: 20, want: runs(21, 50)},
		"back into the second sink": {
			file: runs(11, 20), former: runs(1, 10), recorded: 20, highest: 20, want: runs(1, 10, 21, 50),
		},
	} {
		file := connector.Checkpoint{Sequence: 50, Base: c.base, Elsewhere: c.file}
		former := connector.Checkpoint{Sequence: c.recorded, Elsewhere: c.former}
		got := elsewhere(&file, &former, max(c.highest, c.recorded))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
