package audit

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// far is a sequence after which a stream was told to go on. One bit for each sequence up to it would be 128 GiB, and one
// step for each would take hours.
const far = uint64(1) << 40

// A log that goes on far ahead of where it was costs as much to compare as its events.
func TestCompare_FarAhead(t *testing.T) {
	for name, c := range map[string]struct {
		below, missing int // messages below the gap, and the one that is missing
		checkpoint     connector.Checkpoint
	}{
		"from its beginning": {0, 15, connector.Checkpoint{Base: far}},
		"since a message":    {10, 15, connector.Checkpoint{Skipped: connector.SequenceRanges{{From: 11, To: far}}}},
		"lost below it":      {10, 5, connector.Checkpoint{Skipped: connector.SequenceRanges{{From: 11, To: far}}}},
		"moved": {10, 15, connector.Checkpoint{
			Skipped:   connector.SequenceRanges{{From: 11, To: far}},
			Elsewhere: connector.SequenceRanges{{From: 3, To: 4}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			log, list := NewLogged(), NewListed(nil, func(connector.Key) bool { return false })
			c.checkpoint.Sequence, c.checkpoint.Certified = far+10, far+10
			sequence := uint64(0)
			for n := 11 - c.below; n <= 20; n++ {
				if sequence++; n == 11 {
					sequence = far + 1
				}
				r, err := list.decoder.decode(eventOf(t, fmt.Sprint(n)))
				if err != nil {
					t.Fatal(err)
				}
				list.rows = append(list.rows, r)
				if n == c.missing || c.checkpoint.Elsewhere.Has(sequence) {
					continue
				}
				if err := log.Add(connector.StoredRecord{Event: eventOf(t, fmt.Sprintf("%d@%d", n, sequence))}); err != nil {
					t.Fatal(err)
				}
			}
			at := uint64(c.missing)
			if c.missing > 10 {
				at = far + at - 10
			}
			want := fmt.Sprintf("missing m%d@%d", c.missing, at)
			if n := c.checkpoint.Elsewhere.Count(1, far); n > 0 {
				want += fmt.Sprintf("; elsewhere %d", n)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			findings, _, _ := Compare(list, log, c.checkpoint, time.Time{})
			runtime.ReadMemStats(&after)
			if got := findings.text(); got != want {
				t.Errorf("found %q, want %q", got, want)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
				t.Errorf("it took %d bytes", took)
			}
		})
	}
}
