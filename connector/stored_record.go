package connector

import "strconv"

// StoredRecord is an entry of a sink among the events: an event, or something that somebody else wrote there.
type StoredRecord struct {
	// Part is the partition, if the sink has partitions.
	Part int
	// Event is in structured mode; nil if the record is no event.
	Event []byte
	// Fault is why the record is no event. It quotes nothing of it.
	Fault error
	// Unclaimed means that the record is no event and lies where several streams have theirs, without saying whose it is.
	// Each of them is shown it.
	Unclaimed bool
	// Position is where the record is stored.
	Position RecordPosition
}

// RecordPosition is the place of a record in a sink.
type RecordPosition struct {
	// Container names the file, the stream or the partition, and the unit of At.
	Container string
	At        int64
}

// String is the position for people.
func (p RecordPosition) String() string { return p.Container + " " + strconv.FormatInt(p.At, 10) }
