package reader

import "github.com/twochat-connector/twochat-connector/connector"

// chain is what is not certified, and yet known to have nothing missing below it.
type chain struct {
	known *known
	keys  map[connector.Key]uint64
}

// has says whether an event is known to have nothing missing among and below it, though it is not certified:
// walks of a deep backlog have come past it from ground, but events that stand before it in the log lie further up.
// It counts in a walk's run like ground. Only this reader knows it: another one begins at ground again, and finds
// delivered what this one delivered.
func (c *chain) has(key connector.Key) bool {
	_, ok := c.keys[key]
	return ok
}

// link chains what a walk below page 0 has met and is not certified. keys are those of the walk, floors what floorsOf
// says of them.
func (c *chain) link(keys []connector.Key, floors map[connector.Key]uint64) {
	if c.known.window.certified == c.known.window.last {
		c.keys = nil
		return
	}
	for _, key := range keys {
		if at, ok := c.known.window.place(key); ok && at.sequence() > c.known.window.certified {
			if c.keys == nil {
				c.keys = make(map[connector.Key]uint64)
			}
			c.keys[key] = max(c.keys[key], floors[key])
		}
	}
}

// floorsOf says for each row of a walk up to which sequence the log has no event that could be listed above it: all
// above an event that was delivered in order came after it.
func (c *chain) floorsOf(order []found) map[connector.Key]uint64 {
	anchors := c.known.anchors(len(order), func(i int) connector.Key { return order[i].Key })
	floors := make(map[connector.Key]uint64, len(order))
	floor := uint64(0)
	for i := len(order) - 1; i >= 0; i-- {
		key := order[i].Key
		if at, ok := c.known.window.place(key); anchors[i] && ok && !at.late() {
			floor = max(floor, at.sequence())
		} else if anchors[i] {
			floor = max(floor, c.known.exempt[key])
		}
		floor = max(floor, c.keys[key])
		floors[key] = floor
	}
	return floors
}

// holds says whether nothing was forgotten that could be listed above an event that is chained.
func (c *chain) holds(key connector.Key) bool {
	floor, ok := c.keys[key]
	return ok && c.known.window.wholeAbove(floor)
}

// open counts the events that are neither certified nor chained, nor among some rows.
func (c *chain) open(order []found) uint64 {
	open := c.known.window.last - c.known.window.certified
	for i := range order {
		if at, ok := c.known.window.place(order[i].Key); ok && at.sequence() > c.known.window.certified &&
			!c.has(order[i].Key) {
			open--
		}
	}
	for key := range c.keys {
		if at, ok := c.known.window.place(key); ok && at.sequence() > c.known.window.certified {
			open--
		}
	}
	return open
}

// provenUpTo is what a proven walk that began below page 0 certifies: the log up to the newest event delivered in order
// that it met or is about to deliver. Above that, events of an earlier walk may lie. What it is about to deliver comes
// after them in the log, and counts only where it met them all: else a run of late messages may stand below them and
// look new.
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
		if at, ok := c.known.window.place(order[i].Key); ok && !at.late() {
			return at.sequence()
		}
	}
	return 0
}
