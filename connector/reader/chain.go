package reader

import "github.com/twochat-connector/twochat-connector/connector"

// chain holds events that are not certified although nothing is missing below them.
type chain struct {
	known *known
	keys  map[connector.Key]uint64
}

// has reports whether nothing is missing at or below an uncertified event: walks of a deep backlog went past it, coming
// from ground, but events that precede it in the log are further up in the list. It counts like ground in a walk's run.
// It is not in the checkpoint: another reader begins at ground again, and finds the events in the log.
func (c *chain) has(key connector.Key) bool {
	_, ok := c.keys[key]
	return ok
}

// link adds the uncertified messages of a walk below page 0. keys are those of the walk, and floors is the result of
// floorsOf for it.
func (c *chain) link(keys []connector.Key, floors map[connector.Key]uint64) {
	if c.known.window.certified == c.known.window.last {
		c.keys = nil
		return
	}
	for _, key := range keys {
		if at, ok := c.known.window.position(key); ok && at.sequence() > c.known.window.certified {
			if c.keys == nil {
				c.keys = make(map[connector.Key]uint64)
			}
			c.keys[key] = max(c.keys[key], floors[key])
		}
	}
}

// floorsOf returns, for each row of a walk, the sequence up to which no event of the log can be listed above it:
// everything above an event that was delivered in order came later than that event.
func (c *chain) floorsOf(order []found) map[connector.Key]uint64 {
	anchors := c.known.anchors(len(order), func(i int) connector.Key { return order[i].Key })
	floors := make(map[connector.Key]uint64, len(order))
	floor := uint64(0)
	for i := len(order) - 1; i >= 0; i-- {
		key := order[i].Key
		if at, ok := c.known.window.position(key); anchors[i] && ok && !at.late() {
			floor = max(floor, at.sequence())
		} else if anchors[i] {
			floor = max(floor, c.known.exempt[key])
		}
		floor = max(floor, c.keys[key])
		floors[key] = floor
	}
	return floors
}

// holds reports whether an event is in the chain and nothing was forgotten that could be listed above it.
func (c *chain) holds(key connector.Key) bool {
	floor, ok := c.keys[key]
	return ok && c.known.window.wholeAbove(floor)
}

// open counts the events that are not certified, not in the chain and not among the rows.
func (c *chain) open(order []found) uint64 {
	open := c.known.window.last - c.known.window.certified
	for i := range order {
		if at, ok := c.known.window.position(order[i].Key); ok && at.sequence() > c.known.window.certified &&
			!c.has(order[i].Key) {
			open--
		}
	}
	for key := range c.keys {
		if at, ok := c.known.window.position(key); ok && at.sequence() > c.known.window.certified {
			open--
		}
	}
	return open
}

// provenUpTo is the sequence that a proven walk from below page 0 certifies: the newest event delivered in order that
// the walk met or is about to deliver. Events of an earlier walk may be above that in the list. What it is about to
// deliver comes after them in the log, and counts only if the walk met them all: otherwise a run of late messages below
// them may look new.
func (c *chain) provenUpTo(order []found, b delivery) uint64 {
	if c.open(order) == 0 {
		for i := len(b.events) - 1; i >= 0; i-- {
			if !b.events[i].late {
				return c.known.recorded.Sequence + uint64(i) + 1
			}
		}
		if len(c.keys) > 0 {
			return c.known.recorded.Sequence
		}
	}
	for i := range order {
		if at, ok := c.known.window.position(order[i].Key); ok && !at.late() {
			return at.sequence()
		}
	}
	return 0
}
