package reader

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// A row without an id is identified by its bytes. If these vary from one answer to the next, each poll would see a new
// row and flood the quarantine. So the row is also identified by its position: the nearest row with an id below it (or
// above it, at a page's end), how many nameless rows lie between, and its other attributes. In case even these vary,
// only a few are quarantined per hour.

const (
	// namelessAnHour is how many nameless rows polls at rest quarantine per hour.
	namelessAnHour = 24
	// namelessSpan is the hour of namelessAnHour.
	namelessSpan = time.Hour
)

// nameless reports whether a row has no id.
func nameless(m *connector.Message) bool { return m.UUID == "" && m.Fault != "" }

// positionKey is a key made of a nameless row's position on its page.
func positionKey(page []connector.Message, i int) connector.Key {
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
	if side == '-' { // all rows are nameless: they are counted from the oldest
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

// recognise gives nameless rows that were quarantined before with other bytes the key of that reject, and counts them
// as suppressed. It sets the PositionKey of all others.
func (k *known) recognise(page []connector.Message) {
	for i := range page {
		m := &page[i]
		if !nameless(m) || k.rejects.has(m.Key) {
			continue
		}
		if m.PositionKey = positionKey(page, i); k.rejects.has(m.PositionKey) {
			m.Key = m.PositionKey
			k.recorded.Counters.Suppressed++
		}
	}
}

// limitNameless drops the nameless rejects of a poll at rest that exceed the hourly limit, and counts them as
// suppressed. Its clock is the time at which pages were received.
func (k *known) limitNameless(rejects []connector.Reject) []connector.Reject {
	kept := rejects[:0:0]
	for i := range rejects {
		if rejects[i].PositionKey == (connector.Key{}) {
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
