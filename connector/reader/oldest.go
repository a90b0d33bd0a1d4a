package reader

import (
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// While the end of the list is still to be checked, the checkpoint names the log's oldest events (UncheckedEnd.Keys,
// or Acceptance.Top while what is below them is delivered), and whatever the list shows below the lowest of them that
// it still shows counts as not delivered. The window may have forgotten what is there, so they have to be all of the
// log's events from the first of them down. A late message that may be listed among or below them is therefore added to
// them in the same commit.

// lowness tells whether a late message may be listed below some of the log's oldest events.
type lowness struct {
	end bool // below some of UncheckedEnd.Keys
	top bool // below some of Acceptance.Top
}

// lownessOf judges a late message by a known one that is listed below it, or nil if there is none or that is not known:
// all known messages but the oldest events themselves are above them.
func lownessOf(c *connector.Checkpoint, anchor *connector.Key) lowness {
	end, top := c.UncheckedEnd, c.Accepting
	low := lowness{
		end: end != nil && len(end.Keys) > 0 && (anchor == nil || slices.Contains(end.Keys, *anchor)),
	}
	if top != nil && top.Below {
		low.top = anchor == nil && (end == nil || len(end.Keys) == 0) ||
			anchor != nil && slices.Contains(top.Top, *anchor)
	}
	return low
}

// addOldest adds the events of a commit that may be low to the log's oldest events. If these become too many, most of
// what the first start met is gone, and the end of the list is not checked any more.
func addOldest(next *connector.Checkpoint, events []pending, rules Rules) {
	var end, top connector.Keys
	for i := range events {
		if events[i].low.end {
			end = append(end, events[i].Key)
		}
		if events[i].low.top {
			top = append(top, events[i].Key)
		}
	}
	if len(end) > 0 && next.UncheckedEnd != nil {
		settled := *next.UncheckedEnd
		settled.Keys = slices.Concat(settled.Keys, end)
		if next.UncheckedEnd = &settled; len(settled.Keys) > 2*rules.Floor {
			next.UncheckedEnd = nil
		}
	}
	if len(top) > 0 && next.Accepting != nil {
		accepting := *next.Accepting
		accepting.Top = slices.Concat(accepting.Top, top)
		next.Accepting = &accepting
	}
}
