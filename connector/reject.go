package connector

import "time"

// Reject is a message that cannot become an event, on its way to the quarantine.
type Reject struct {
	Key      Key
	Reason   string // without names and quotations
	Raw      []byte // the item, cut to QuarantineBytes; empty if the privacy settings forbid keeping it
	Length   int    // of the whole item
	Hash     string // SHA-256 of the whole item, in hex
	Recorded time.Time

	PositionKey Key // Message.PositionKey: it identifies a message without a UUID as well
}

// QuarantineBytes is how much of a rejected item is kept.
const QuarantineBytes = 64 << 10
