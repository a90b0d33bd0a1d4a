package connector

import "strconv"

// StoredRecord is what a sink holds among its events: an event, or something that somebody else wrote there.
type StoredRecord struct {
	// Part is the partition, where the sink has such.
	Part int
	// Event is in structured mode; nil where the record is no event.
	Event []byte
	// Fault says why it is none. It quotes nothing of the record.
	Fault error
	// Position is where the record stands.
	Position RecordPosition
}

// RecordPosition is where a record stands in a sink.
type RecordPosition struct {
	// Container names the file, the stream or the partition, and what At counts in it.
	Container string
	At        int64
}

// String is the position for people.
func (p RecordPosition) String() string { return p.Container + " " + strconv.FormatInt(p.At, 10) }
