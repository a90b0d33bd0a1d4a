package reader

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// A row without an id is known by its bytes. Where these vary from one answer to the next, it would be another one at
// each poll, and the quarantine would be flooded with it. So it is known by its place as well: by the named row below
// it (or above it, at a page's end), how many nameless rows lie between, and what else it says of itself. And where
// even that varies, few are kept an hour.

const (
	// namelessAnHour is how many nameless rows that polls at rest meet are quarantined in an hour.
	namelessAnHour = 24
	// namelessSpan is that hour.
	namelessSpan = time.Hour
)

// nameless says whether a row has no id by which it would be known.
func nameless(m *connector.Message) bool { return m.UUID == "" && m.Fault != "" }

// placeOf is the key of a nameless row's place on its page.
func placeOf(page []connector.Message, i int) connector.Key {
	anchor, between, side := connector.Key{}, 0, byte('-')
	for at := i + 1; at < len(page); at++ {
		if !nameless(&page[at]) {
			anchor, side = page[at].Key, 'v'
			break
		}
		between++
	}
	if side == '-' {
		between = 0
		for at := i - 1; at >= 0; at-- {
			if !nameless(&page[at]) {
				anchor, side = page[at].Key, '^'
				break
			}
			between++
		}
	}
	if side == '-' { // nothing but such rows: they are counted from the oldest
		between = len(page) - i
	}
	m := &page[i]
	said := append([]byte("place\x00"), side)
	said = append(said, anchor[:]...)
	said = binary.BigEndian.AppendUint32(said, uint32(between))
	if !m.Time.IsZero() {
		said = binary.BigEndian.AppendUint64(said, uint64(m.Time.UnixNano()))
	}
	said = append(append(append(said, 0), m.SentBy...), 0)
	sum := sha256.Sum256(append(said, m.Chat...))
	return connector.Key(sum[:16])
}

// recognise gives the nameless rows of a page that are quarantined already, with other bytes, the key by which that is
// known, and counts them. The others get to know their place.
func (k *known) recognise(page []connector.Message) {
	for i := range page {
		m := &page[i]
		if !nameless(m) || k.rejects.has(m.Key) {
			continue
		}
		if m.Place = placeOf(page, i); k.rejects.has(m.Place) {
			m.Key = m.Place
			k.recorded.Counters.Suppressed++
		}
	}
}

// bounded leaves out of the rejects of a poll at rest the nameless ones that are too many for an hour, and counts them.
// No clock is asked for that, but when the pages were read.
func (k *known) bounded(rejects []connector.Reject) []connector.Reject {
	kept := rejects[:0:0]
	for i := range rejects {
		if rejects[i].Place == (connector.Key{}) {
			kept = append(kept, rejects[i])
			continue
		}
		at := rejects[i].Recorded
		for len(k.quarantined) > 0 && at.Sub(k.quarantined[0]) >= namelessSpan {
			k.quarantined = k.quarantined[1:]
		}
		if len(k.quarantined) >= namelessAnHour {
			k.recorded.Counters.Suppressed++
			continue
		}
		k.quarantined = append(k.quarantined, at)
		kept = append(kept, rejects[i])
	}
	return kept
}
