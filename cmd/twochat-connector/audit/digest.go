package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// digest is the first half of a SHA-256 over what an event holds of its message. It leaves out what differs from one
// delivery to another: the sequence, late, and the time of recording.
type digest [16]byte

// record is one event of a log, or the event that a listed message would become, without its content.
type record struct {
	key      connector.Key
	digest   digest
	unkeyed  digest // over the same without the chat's token, which a rekey changes
	sequence uint64
	time     int64 // the message's, in seconds; 0 if it has none
	part     int32
	valued   int32 // index in decoder.values, if settings have changed
	late     bool
	row      bool // its data is a row
	erased   bool // it stands for an event that was erased on request
	removed  bool // it is listed, and its part of the sink has lost its oldest events
}

// decoder makes records from events. It is reused, as it keeps its memory.
type decoder struct {
	hash   hash.Hash
	plain  bytes.Buffer
	names  map[connector.Key]string // uuids that cannot be derived from their keys
	values []values                 // of the records, if settings have changed; else nil
}

func newDecoder() *decoder {
	return &decoder{hash: sha256.New(), names: make(map[connector.Key]string)}
}

// keepValues makes it keep the values of each record.
func (d *decoder) keepValues() { d.values = []values{} }

// noValues is what the decoder of the other side has before it has read anything.
func (d *decoder) noValues() []values {
	if d.values == nil {
		return nil
	}
	return []values{}
}

// decode reads an event in structured mode.
func (d *decoder) decode(event []byte) (record, error) {
	var e struct {
		ID, Type, Subject, Time, SentBy, Sequence string
		Late, Repaired                            bool
		Data                                      json.RawMessage
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return record{}, fmt.Errorf("decode an event: %w", err)
	}
	sequence, err := strconv.ParseUint(e.Sequence, 10, 64)
	if err != nil || sequence == 0 || e.ID == "" {
		return record{}, fmt.Errorf("decode an event: it has no id or no sequence")
	}
	r := record{key: connector.MessageKey(e.ID), sequence: sequence, late: e.Late}
	if uuidOf(r.key) != e.ID {
		d.names[r.key] = e.ID
	}
	if at, err := time.Parse(time.RFC3339Nano, e.Time); err == nil {
		r.time = at.Unix()
	}
	d.hash.Reset()
	direction := e.Type[strings.LastIndexByte(e.Type, '.')+1:] // the type prefix may have been a different one
	for _, attribute := range []string{direction, e.Time, e.SentBy, strconv.FormatBool(e.Repaired)} {
		d.hash.Write(append([]byte(attribute), 0))
	}
	r.row, err = d.hashData(e.Data)
	if err != nil {
		return record{}, fmt.Errorf("decode an event: its data: %w", err)
	}
	copy(r.unkeyed[:], d.hash.Sum(nil))
	d.hash.Write(append([]byte{0}, e.Subject...))
	copy(r.digest[:], d.hash.Sum(nil))
	if d.values != nil {
		r.valued = int32(len(d.values))
		d.values = append(d.values, valuesOf(direction, e.Time, e.SentBy, e.Subject, e.Data, r.row))
	}
	return r, nil
}

// hashData hashes data without the white space between its tokens, which a sink of lines may change. For a row it
// leaves out the time of recording.
func (d *decoder) hashData(data []byte) (row bool, err error) {
	if bytes.Contains(data, []byte(`"recorded_at"`)) {
		var columns map[string]json.RawMessage
		if err := json.Unmarshal(data, &columns); err != nil {
			return false, err
		}
		if columns["recorded_at"] != nil && columns["item"] != nil {
			delete(columns, "recorded_at")
			for _, name := range slices.Sorted(maps.Keys(columns)) {
				d.hash.Write(append([]byte(name), 0))
				d.hash.Write(append(columns[name], 0))
			}
			return true, nil
		}
	}
	d.plain.Reset()
	if len(data) > 0 {
		if err := json.Compact(&d.plain, data); err != nil {
			return false, err
		}
	}
	d.hash.Write(d.plain.Bytes())
	return false, nil
}

var tokens = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// decodeReject reads a record of the quarantine: its message, and the reason why it is there.
func decodeReject(reject []byte) (connector.Key, string, error) {
	var r struct {
		ID   string
		Data struct{ Reason string }
	}
	if err := json.Unmarshal(reject, &r); err != nil {
		return connector.Key{}, "", fmt.Errorf("decode a reject: %w", err)
	}
	token, ok := strings.CutPrefix(r.ID, "reject-")
	raw, err := tokens.DecodeString(token) // the inverse of connector.HashToken
	if !ok || err != nil || len(raw) != len(connector.Key{}) {
		return connector.Key{}, "", fmt.Errorf("decode a reject: its id names no message")
	}
	return connector.Key(raw), r.Data.Reason, nil
}

// uuidOf returns the uuid that a key was made from, if it has 2Chat's usual form (see connector.MessageKey).
func uuidOf(key connector.Key) string {
	h := hex.EncodeToString(key[:])
	return "MSG" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
