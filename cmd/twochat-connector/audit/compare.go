package audit

import (
	"slices"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// comparison compares a list with a log.
type comparison struct {
	list       *Listed
	log        *Logged
	checkpoint connector.Checkpoint
	since      time.Time

	findings Findings
	missing  []connector.Key // in the order of Findings.Missing
	aside    []connector.Key // messages in the quarantine that are listed as valid items

	ordered []bool // for each row of the list, whether the log has it in order
	low     int    // the first such row; -1 if there is none
	lowest  uint64 // its sequence
	first   uint64 // the log's lowest sequence; 0 if it is empty
	have    sequenceSet
	removed removedRange
	parts   partSequences

	named, floor, horizon, rejected map[connector.Key]uint64 // what the checkpoint names, with sequences in named
}

// Compare compares a list with a log that was read before the list. The checkpoint was read before both: what came
// since then counts neither as missing nor as left over. since is zero if all of the list was read. Compare also
// returns the keys of the missing messages, oldest first, and of those in the quarantine that are listed as valid items.
func Compare(list *Listed, log *Logged, checkpoint connector.Checkpoint, since time.Time) (
	f Findings, missing, aside []connector.Key,
) {
	c := &comparison{list: list, log: log, checkpoint: checkpoint, since: since, low: -1}
	c.name()
	c.order()
	c.account()
	c.removed.record(&c.findings)
	c.contents()
	c.leftOver()
	c.unfit()
	c.findings.fill()
	return c.findings, c.missing, c.aside
}

// name collects the messages that the checkpoint names.
func (c *comparison) name() {
	c.named = make(map[connector.Key]uint64, len(c.checkpoint.Tail))
	for i, key := range c.checkpoint.Tail {
		c.named[key] = c.checkpoint.Sequence - uint64(len(c.checkpoint.Tail)) + uint64(i) + 1
	}
	set := func(keys connector.Keys) map[connector.Key]uint64 {
		of := make(map[connector.Key]uint64, len(keys))
		for _, key := range keys {
			of[key] = 0
		}
		return of
	}
	c.floor, c.horizon, c.rejected = set(c.checkpoint.Floor), set(c.checkpoint.Horizon), set(c.checkpoint.Rejects)
	c.first, _ = extentOf(c.log.events)
	c.have = newSequenceSet(c.checkpoint.Skipped) // nothing is missing there
	c.parts = make(partSequences)
	for i := range c.log.events {
		r := &c.log.events[i]
		c.have.add(r.sequence)
		if lowest, known := c.parts[r.part%maxParts]; !r.erased && (!known || r.sequence < lowest) {
			c.parts[r.part%maxParts] = r.sequence
		}
	}
	for _, sequence := range c.log.filled {
		c.have.add(sequence)
	}
	c.findings.Unfinished = c.log.unfinished
	c.findings.Noted.ErasedOnRequest = len(c.log.onRequest) - c.log.unfinished
}

// order finds what is out of order, within each part of the sink and compared with the list.
func (c *comparison) order() {
	disordered := make(map[connector.Key]struct{})
	places := map[int32][]int{}
	for i, events := 0, c.log.held(); i < len(events); i++ {
		r := &events[i]
		if first := c.log.first[r.key]; int(first) == i {
			places[r.part] = append(places[r.part], i)
		}
	}
	for _, of := range places {
		sequences := make([]uint64, len(of))
		for n, i := range of {
			sequences[n] = c.log.events[i].sequence
		}
		for n, in := range inOrder(sequences) {
			if !in {
				disordered[c.log.events[of[n]].key] = struct{}{}
			}
		}
	}
	var rows []int
	var sequences []uint64
	for i := range c.list.rows {
		if r, ok := c.log.find(c.list.rows[i].key); ok && !r.late {
			rows, sequences = append(rows, i), append(sequences, r.sequence)
		}
	}
	c.ordered = make([]bool, len(c.list.rows))
	for n, in := range inOrder(sequences) {
		c.ordered[rows[n]] = in
		switch {
		case !in:
			disordered[c.list.rows[rows[n]].key] = struct{}{}
		case c.low < 0:
			c.low, c.lowest = rows[n], sequences[n]
		}
	}
	for key := range disordered {
		if r, _ := c.log.find(key); c.within(r) && !r.erased {
			c.findings.OutOfOrder = append(c.findings.OutOfOrder, c.message(r))
		}
	}
	bySequence(c.findings.OutOfOrder)
}

// within reports whether an event is in the part of the log that is compared with the list.
func (c *comparison) within(r *record) bool {
	switch {
	case c.since.IsZero():
		return true
	case r.late || c.low < 0:
		return r.time >= c.since.Unix()
	}
	return r.sequence >= c.lowest
}

// contents compares the messages that are in both the list and the log, and finds what is in the log twice.
func (c *comparison) contents() {
	shown := make(map[connector.Key]*record, len(c.log.again))
	changed := make(map[connector.Key]struct{})
	for _, i := range c.log.again {
		shown[c.log.events[i].key] = nil
	}
	compare := func(rows []record) {
		for i := range rows {
			row := &rows[i]
			r, ok := c.log.find(row.key)
			if _, twice := shown[row.key]; twice {
				shown[row.key] = row
			}
			if ok && !r.erased && c.differs(r, row, &c.findings.Noted) {
				changed[row.key] = struct{}{}
			}
		}
	}
	compare(c.list.rows)
	compare(c.list.late)
	doubled := make(map[connector.Key]int)
	for _, i := range c.log.again {
		again := &c.log.events[i]
		first, _ := c.log.find(again.key)
		row := shown[again.key]
		if row == nil && !c.within(first) {
			continue
		}
		if row != nil && c.differs(again, row, new(Noted)) {
			changed[again.key] = struct{}{}
		}
		at, ok := doubled[again.key]
		if !ok {
			at = len(c.findings.Doubled)
			doubled[again.key] = at
			c.findings.Doubled = append(c.findings.Doubled,
				Doubled{UUID: c.uuid(again.key), Sequences: []uint64{first.sequence}})
		}
		c.findings.Doubled[at].Sequences = append(c.findings.Doubled[at].Sequences, again.sequence)
	}
	for key := range changed {
		r, _ := c.log.find(key)
		c.findings.Changed = append(c.findings.Changed, c.message(r))
	}
	bySequence(c.findings.Changed)
	c.findings.Unreadable, c.findings.UnreadableAt = len(c.log.unreadable), c.log.places
}

// differs reports whether an event is not what its message is now, and counts the events for which that means nothing.
func (c *comparison) differs(r, row *record, noted *Noted) bool {
	former, rekeyed := c.checkpoint.FormerKeys.At(r.sequence)
	switch {
	case r.digest == row.digest:
		return false
	case r.row != row.row:
		noted.Incomparable++
	case rekeyed && r.unkeyed == row.unkeyed:
		noted.OtherToken++
	case rekeyed && former.Rewritten(c.checkpoint.Privacy):
		noted.OtherPrivacy++
	case resettled(&c.checkpoint, r.sequence, c.list.settings) &&
		agree(c.log.decoder.values[r.valued], c.list.decoder.values[row.valued], rekeyed):
		noted.OtherSettings++
	default:
		return true
	}
	return false
}

// leftOver finds what is in the log and not listed. What was delivered since the audit began may not be in the list
// that was read.
func (c *comparison) leftOver() {
	listed := make(map[connector.Key]struct{}, len(c.list.rows)+len(c.list.late))
	for _, rows := range [][]record{c.list.rows, c.list.late} {
		for i := range rows {
			listed[rows[i].key] = struct{}{}
		}
	}
	for i, events := 0, c.log.held(); i < len(events); i++ {
		r := &events[i]
		if first := c.log.first[r.key]; int(first) != i || !c.within(r) {
			continue
		}
		if r.late {
			c.findings.Noted.Late++
		}
		if _, ok := listed[r.key]; !ok && r.sequence <= c.checkpoint.Sequence {
			c.findings.Noted.OnlyInLog = append(c.findings.Noted.OnlyInLog, c.message(r))
		}
	}
}

// unfit counts what cannot become an event.
func (c *comparison) unfit() {
	for _, u := range c.list.unfit {
		if !c.setAside(u.key) {
			c.findings.Noted.Unfit = append(c.findings.Noted.Unfit, Unfit{c.uuid(u.key), u.reason})
		}
	}
}

// setAside reports whether a message is not in the log by right: it was erased on request, or is in the quarantine.
func (c *comparison) setAside(key connector.Key) bool {
	_, erased := c.log.onRequest[key]
	return erased || c.quarantined(key)
}

// putAside is setAside of a message that is listed as a valid item. It collects those in the quarantine.
func (c *comparison) putAside(key connector.Key) bool {
	aside := c.setAside(key)
	if _, erased := c.log.onRequest[key]; aside && !erased {
		c.aside = append(c.aside, key)
	}
	return aside
}

// quarantined reports whether a message is in the quarantine, and counts it.
func (c *comparison) quarantined(key connector.Key) bool {
	reason, ok := c.log.rejects[key]
	if _, known := c.rejected[key]; known && !ok {
		if reason, ok = "not in the quarantine any more", true; c.checkpoint.Counters.Elsewhere > 0 {
			reason = "in that of another sink"
		}
	}
	if !ok {
		return false
	}
	if c.findings.Noted.Quarantined == nil {
		c.findings.Noted.Quarantined = make(map[string]int)
	}
	c.findings.Noted.Quarantined[reason]++
	return true
}

// message is a record's message, for a report.
func (c *comparison) message(r *record) Message {
	return Message{UUID: c.uuid(r.key), Time: timeOf(r), Sequence: r.sequence}
}

func (c *comparison) uuid(key connector.Key) string {
	for _, names := range []map[connector.Key]string{c.log.decoder.names, c.list.decoder.names} {
		if name, ok := names[key]; ok {
			return name
		}
	}
	return uuidOf(key)
}

func bySequence(messages []Message) {
	slices.SortFunc(messages, func(a, b Message) int {
		if a.Sequence != b.Sequence {
			return int(min(1, max(-1, int64(a.Sequence)-int64(b.Sequence))))
		}
		return strings.Compare(a.UUID, b.UUID)
	})
}
