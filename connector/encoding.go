package connector

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Mode is the content mode of CloudEvents in a broker's messages.
type Mode string

// The two content modes of CloudEvents.
const (
	ModeStructured Mode = "structured" // the whole event is the message's value
	ModeBinary     Mode = "binary"     // data is the value, attributes are headers
)

// Encoding configures how a sink writes events.
type Encoding struct {
	Mode Mode
	// Headers writes all attributes as headers also in structured mode (Kafka).
	Headers bool
	// TypePrefix is the prefix of every event type.
	TypePrefix string
}

// RejectType is the suffix of the `type` attribute of a quarantine record as a CloudEvent.
const RejectType = ".connector.reject"

// RejectKey reads the stream and the key of a quarantine record; ours is false if this connector did not write it.
func RejectKey(record []byte) (stream string, key Key, ours bool) {
	var attributes struct{ ID, Source string }
	head, _, found := bytes.Cut(record, []byte(`,"data":`))
	if found { // most of it need not be parsed; inside a JSON string the quotes of this text would be escaped
		head = append(bytes.Clone(head), '}')
	}
	if json.Unmarshal(head, &attributes) != nil {
		return "", key, false
	}
	stream, named := strings.CutPrefix(attributes.Source, Stream{}.Source())
	token, reject := strings.CutPrefix(attributes.ID, "reject-")
	raw, err := tokenEncoding.DecodeString(token)
	if !named || !reject || err != nil || len(raw) != len(key) {
		return "", key, false
	}
	return stream, Key(raw), true
}

// AppendJSON appends the reject as a CloudEvent in the JSON format, for the quarantine. The raw bytes are written as
// base64, as they are often not valid text.
func (r *Reject) AppendJSON(dst []byte, s Stream, typePrefix string) ([]byte, error) {
	data, err := json.Marshal(struct {
		Reason string `json:"reason"`
		Length int    `json:"length"`
		SHA256 string `json:"sha256"`
		Cut    bool   `json:"cut"`
		Raw    []byte `json:"raw"`
	}{r.Reason, r.Length, r.Hash, r.Length > len(r.Raw), r.Raw})
	if err != nil {
		return dst, fmt.Errorf("encode reject: %w", err)
	}
	about := envelope{
		id: "reject-" + HashToken(r.Key), source: s.Source(), kind: typePrefix + RejectType, time: r.Recorded,
	}
	return appendData(about.appendTo(dst), data), nil
}

// NewReject returns the reject of a message that was read at the given time. It has no raw bytes if the message
// withholds them.
func NewReject(m *Message, reason string, recorded time.Time) Reject {
	item := m.Item()
	sum := sha256.Sum256(item)
	kept := item[:min(len(item), QuarantineBytes)]
	if m.Withheld {
		kept = kept[:0:0]
	}
	return Reject{
		Key: m.Key, Reason: reason, Raw: kept, Length: len(item), Hash: hex.EncodeToString(sum[:]), Recorded: recorded,
		PositionKey: m.PositionKey,
	}
}
