package audit

import (
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// filler is a message that may account for a missing sequence: it is missing itself, or it was delivered late and may
// have been restored.
type filler struct {
	row     *record
	missing bool
}

// account finds, for each listed message that the log lacks, the reason, and for each sequence that is gone, its
// message. Between two events that are in the order of the list, the missing sequences belong to the messages that the
// list shows between the two.
func (c *comparison) account() {
	rows := c.list.rows
	passed := c.checkpoint.Skipped.Count(c.checkpoint.Base+1, c.checkpoint.Sequence)
	if gone := c.checkpoint.Sequence - c.checkpoint.Base - passed; gone > 0 && len(c.log.events) == 0 {
		c.emptied(gone)
		return
	}
	held := c.highest(c.horizon)
	if c.checkpoint.Accepted {
		held = -1
	}
	below, fillers := c.lowest, []filler(nil)
	if c.low >= 0 {
		c.below(held)
	} else { // nothing that is listed is in the log; only the sequences in the checkpoint's tail are known
		below = c.checkpoint.Sequence - uint64(len(c.checkpoint.Tail))
	}
	for i := max(0, c.low); i < len(rows); i++ {
		row := &rows[i]
		switch r, in := c.log.find(row.key); {
		case c.ordered[i]:
			c.settle(below, r.sequence, fillers)
			below, fillers = r.sequence, fillers[:0]
		case in:
			if r.late {
				fillers = append(fillers, filler{row: row})
			}
		case c.putAside(row.key):
		case i <= held:
			c.findings.Noted.Held++
		default:
			fillers = append(fillers, filler{row: row, missing: true})
		}
	}
	c.settle(below, max(c.checkpoint.Sequence, below)+1, fillers)
	for i := range c.list.late {
		if row := &c.list.late[i]; !c.log.Has(row.key) && !c.setAside(row.key) {
			c.findings.Noted.NotYet++ // it came in while the list was being read
		}
	}
}

// emptied handles a log of which nothing is left, or to which nothing was delivered yet.
func (c *comparison) emptied(gone uint64) {
	from, to := c.checkpoint.Base+1, c.checkpoint.Sequence
	elsewhere := c.checkpoint.Elsewhere.Count(from, to)
	c.beginning(from, to)
	listed := uint64(len(c.list.rows) + len(c.list.late))
	c.findings.Noted.Elsewhere = int(min(elsewhere, listed))
	listed -= uint64(c.findings.Noted.Elsewhere)
	c.findings.Noted.Expired = int(min(gone-elsewhere, listed))
	c.findings.Noted.NotYet = int(listed) - c.findings.Noted.Expired
}

// beginning records that a log begins only after some sequences, as far as they were not delivered elsewhere or passed
// over.
func (c *comparison) beginning(from, to uint64) {
	away := c.checkpoint.Elsewhere.With(c.checkpoint.Skipped...)
	count := to + 1 - from - away.Count(from, to)
	if count == 0 {
		return
	}
	from, to = away.Above(from), away.Below(to)
	c.findings.Erased = append(c.findings.Erased, Range{From: from, To: to, Count: count, Beginning: true})
}

// highest is the last row that a set of keys contains; -1 if it contains none.
func (c *comparison) highest(of map[connector.Key]uint64) int {
	for i := len(c.list.rows) - 1; i >= 0; i-- {
		if _, ok := of[c.list.rows[i].key]; ok {
			return i
		}
	}
	return -1
}

// below classifies the rows below the first one that the log has in order. They were delivered before the log's first
// event or, if the log goes further down than that row, they are missing.
func (c *comparison) below(held int) {
	gone := uint64(0) // sequences before the log's first
	if base := c.checkpoint.Base + 1; c.first > base {
		gone = c.first - base
	}
	was := c.first - 1 // the sequence that the next listed message can have had
	// Above the log's first event, and below the first that is listed too, so many sequences are missing.
	between := 0
	for range c.have.missing(c.first, c.lowest, c.checkpoint.Elsewhere) {
		between++
	}
	start := c.highest(c.floor)
	var missing []filler
	for i := c.low - 1; i >= 0; i-- {
		row := &c.list.rows[i]
		switch {
		case c.log.Has(row.key), c.putAside(row.key):
		case i <= start:
			c.findings.Noted.BeforeStart++
		case i <= held:
			c.findings.Noted.Held++
		case c.lowest > c.first && (gone == 0 || len(missing) < between):
			missing = append(missing, filler{row: row, missing: true})
		case delivered(&c.checkpoint, &was):
			if c.checkpoint.Elsewhere.Has(was) {
				c.findings.Noted.Elsewhere++
			} else {
				c.findings.Noted.Expired++
			}
			was--
		case len(c.floor) > 0:
			c.findings.Noted.BeforeStart++
		default:
			missing = append(missing, filler{row: row, missing: true})
		}
	}
	slices.Reverse(missing)
	for _, f := range missing {
		c.miss(f.row, 0)
	}
	if gone > 0 && (c.since.IsZero() || c.findings.Noted.Expired > 0) {
		c.beginning(c.first-gone, c.first-1)
	}
}

// delivered reports whether a sequence is one that the log delivered. It goes down over those that the log passed over.
func delivered(c *connector.Checkpoint, sequence *uint64) bool {
	*sequence = c.Skipped.Below(*sequence)
	return *sequence > c.Base
}

// settle accounts for the sequences that are gone between two others.
func (c *comparison) settle(below, above uint64, fillers []filler) {
	gone := slices.Collect(c.have.missing(max(below, c.checkpoint.Base), min(above, c.checkpoint.Sequence+1),
		c.checkpoint.Elsewhere))
	fillers = c.setElsewhere(below, above, len(gone), fillers)
	gone, fillers = setRemoved(c, gone, fillers)
	known := make(map[connector.Key]uint64)
	rest := 0
	for _, f := range fillers {
		sequence, named := c.named[f.row.key]
		if at := slices.Index(gone, sequence); named && at >= 0 {
			known[f.row.key] = sequence
			gone = slices.Delete(gone, at, at+1)
		} else {
			rest++
		}
	}
	exact, left := rest == len(gone), uint64(len(gone))
	next := 0
	for _, f := range fillers {
		sequence, accounted := known[f.row.key]
		if !accounted && left > 0 {
			accounted = true
			left--
			if exact {
				sequence = gone[next]
				next++
			}
		}
		switch {
		case !f.missing:
			if accounted {
				c.findings.Noted.Restored++
			}
		case above > c.checkpoint.Certified && !accounted:
			c.findings.Noted.NotYet++ // nothing certified is listed above it
		default:
			c.miss(f.row, sequence)
		}
	}
	if left > 0 {
		c.findings.Erased = append(c.findings.Erased, Range{From: gone[0], To: gone[len(gone)-1], Count: left})
	}
}

// setElsewhere counts the messages that were delivered elsewhere, and returns the others. gone is how many further
// sequences are missing between the two.
func (c *comparison) setElsewhere(below, above uint64, gone int, fillers []filler) []filler {
	away := c.checkpoint.Elsewhere.Count(below+1, above-1)
	if away == 0 {
		return fillers
	}
	sequence, exact := below, len(fillers) == gone+int(away)
	return slices.DeleteFunc(fillers, func(f filler) bool {
		named, known := c.named[f.row.key]
		if exact { // each has its place
			for sequence++; c.have.has(sequence); sequence = c.checkpoint.Skipped.Above(sequence + 1) {
			}
			named, known = sequence, true
		}
		if !f.missing || away == 0 || known && !c.checkpoint.Elsewhere.Has(named) {
			return false
		}
		c.findings.Noted.Elsewhere++
		away--
		return true
	})
}

// miss records a missing message.
func (c *comparison) miss(row *record, sequence uint64) {
	c.missing = append(c.missing, row.key)
	c.findings.Missing = append(c.findings.Missing, Message{UUID: c.uuid(row.key), Time: timeOf(row), Sequence: sequence})
}
