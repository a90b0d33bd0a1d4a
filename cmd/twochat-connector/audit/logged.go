package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Logged is a stream's log as read back from the sink. It holds about 120 bytes for each message, whatever its content.
type Logged struct {
	events     []record
	first      map[connector.Key]uint32              // index in events of a message's first event
	again      []uint32                              // indexes in events of the further ones
	rejects    map[connector.Key]string              // the reasons why they are in the quarantine
	unreadable map[connector.RecordPosition]struct{} // records, which may be read under several names
	places     []string                              // of the first of them
	unclaimed  []connector.RecordPosition            // records that may be of any stream; not among the unreadable ones
	decoder    *decoder
	name       int32 // how many names were read before the one that is being read

	onRequest map[connector.Key]struct{} // erased on request
	restored  int                        // how many of events, the last ones, stand for such
	filled    []uint64                   // the sequences of all such
	// unfinished counts the events that are still there although they are recorded as erased on request.
	unfinished int
}

// NewLogged makes an empty log.
func NewLogged() *Logged {
	return &Logged{
		first: make(map[connector.Key]uint32), rejects: make(map[connector.Key]string), decoder: newDecoder(),
		unreadable: make(map[connector.RecordPosition]struct{}),
	}
}

// mostPlaces limits how many places of unreadable records are kept, as a log may be full of them.
const mostPlaces = 100

// maxParts is more than a sink has.
const maxParts = 1 << 20

// NextName says that what is added from now on was written under another name of the stream: its order says nothing
// about the order of what was added before.
func (l *Logged) NextName() { l.name++ }

// Add adds the next record of the log.
func (l *Logged) Add(stored connector.StoredRecord) error {
	var r record
	err := stored.Fault
	if err == nil {
		r, err = l.decoder.decode(stored.Event)
	}
	if stored.Unclaimed {
		l.unclaimed = append(l.unclaimed, stored.Position)
		return nil
	}
	if err != nil {
		l.cannotRead(stored.Position)
		return nil
	}
	r.part = int32(stored.Part) + l.name*maxParts
	at := uint32(len(l.events))
	if _, twice := l.first[r.key]; twice {
		l.again = append(l.again, at)
	} else {
		l.first[r.key] = at
	}
	l.events = append(l.events, r)
	return nil
}

// cannotRead records an entry that is reported, while its sequence is missing.
func (l *Logged) cannotRead(at connector.RecordPosition) {
	_, known := l.unreadable[at]
	l.unreadable[at] = struct{}{}
	if !known && len(l.places) < mostPlaces {
		l.places = append(l.places, at.String())
	}
}

// claim counts the records that name no stream as this one's, where there is no other.
func (l *Logged) claim() {
	for _, at := range l.unclaimed {
		l.cannotRead(at)
	}
	l.unclaimed = nil
}

// AddReject adds a record of the quarantine.
func (l *Logged) AddReject(reject []byte) error {
	if key, reason, err := decodeReject(reject); err == nil {
		l.rejects[key] = reason
	}
	return nil
}

// AddErased takes what was erased on request from a log that has all been added, up to its last sequence. Each erased
// event gets its place back; those below the first that is there only as far as they follow on it, as below that
// retention may have removed others.
func (l *Logged) AddErased(erased []connector.Seen, last uint64) {
	l.onRequest = make(map[connector.Key]struct{}, len(erased))
	there := newSequenceSet(nil)
	for i := range l.events {
		if sequence := l.events[i].sequence; sequence <= last {
			there.add(sequence)
		}
	}
	first := last + 1
	if lowest, _ := l.extent(); lowest > 0 {
		first = min(first, lowest)
	}
	for i := len(erased) - 1; i >= 0; i-- {
		e := erased[i]
		l.onRequest[e.Key] = struct{}{}
		if there.has(e.Sequence) && l.holds(e) {
			l.unfinished++
		}
		if e.Sequence == 0 || e.Sequence > last || e.Sequence+1 < first || there.has(e.Sequence) {
			continue
		}
		first = min(first, e.Sequence)
		l.filled = append(l.filled, e.Sequence)
		if !l.Has(e.Key) {
			l.first[e.Key] = uint32(len(l.events))
			l.events = append(l.events, record{key: e.Key, sequence: e.Sequence, late: e.Late, erased: true})
			l.restored++
		}
	}
}

// holds reports whether the log still holds an event that was to be erased.
func (l *Logged) holds(erased connector.Seen) bool {
	r, ok := l.find(erased.Key)
	return ok && !r.erased && r.sequence == erased.Sequence
}

// held are the events that the log really holds.
func (l *Logged) held() []record { return l.events[:len(l.events)-l.restored] }

// Has reports whether a message is in the log.
func (l *Logged) Has(key connector.Key) bool {
	_, ok := l.first[key]
	return ok
}

// Since counts the events whose messages are not older than a time; all of them for the zero time.
func (l *Logged) Since(t time.Time) int {
	if t.IsZero() {
		return len(l.events)
	}
	count := 0
	for i := range l.events {
		if l.events[i].time >= t.Unix() {
			count++
		}
	}
	return count
}

// find returns the event of a message.
func (l *Logged) find(key connector.Key) (*record, bool) {
	at, ok := l.first[key]
	if !ok {
		return nil, false
	}
	return &l.events[at], true
}

// extent is the lowest and the highest sequence; 0 and 0 for an empty log.
func (l *Logged) extent() (lowest, highest uint64) { return extentOf(l.held()) }

func extentOf(events []record) (lowest, highest uint64) {
	for i := range events {
		sequence := events[i].sequence
		if lowest == 0 || sequence < lowest {
			lowest = sequence
		}
		highest = max(highest, sequence)
	}
	return lowest, highest
}

// digest is a SHA-256, in hex, over the key, sequence and digest of each event, in the order of the sink.
func (l *Logged) digest() string {
	sum := sha256.New()
	for i, events := 0, l.held(); i < len(events); i++ {
		r := &events[i]
		sum.Write(r.key[:])
		sum.Write(binary.BigEndian.AppendUint64(nil, r.sequence))
		sum.Write(r.digest[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// oldest is the time of the oldest message that was delivered in order; zero if none has a time.
func (l *Logged) oldest() time.Time {
	var oldest *record
	for i := range l.events {
		if r := &l.events[i]; r.time != 0 && !r.late && (oldest == nil || r.time < oldest.time) {
			oldest = r
		}
	}
	if oldest == nil {
		return time.Time{}
	}
	return timeOf(oldest)
}
