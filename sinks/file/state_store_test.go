package file

import (
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// What was written and not recorded is adopted above the sequence after which the log begins: events of an earlier log
// are no part of the tail, which would have more keys than the checkpoint has events.
func TestRecord_AdoptsAboveTheBase(t *testing.T) {
	seen := func(from, to uint64) (events []connector.Seen) {
		for n := from; n <= to; n++ {
			events = append(events, connector.Seen{Key: connector.Key{15: byte(n)}, Sequence: n})
		}
		return events
	}
	r := record{checkpoint: connector.Checkpoint{Sequence: 20, Certified: 20, Base: 20}, seen: seen(1, 20)}
	r.adopt(seen(21, 23))
	c := r.checkpoint
	if c.Sequence != 23 || len(c.Tail) != 3 || c.Tail[0] != (connector.Key{15: 21}) {
		t.Errorf("sequence %d with a tail of %d keys, want 23 with those of 21 to 23", c.Sequence, len(c.Tail))
	}
}
