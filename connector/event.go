package connector

import (
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Event is the CloudEvent (version 1.0) of one message. It must not be changed after it was given to a sink.
type Event struct {
	ID         string // the message's uuid
	Source     string // Stream.Source
	Type       string // prefix.message.received, .sent or .new
	Chat       string // attributes subject and partitionkey
	Time       time.Time
	Recorded   time.Time
	SentBy     string
	DataSchema string
	// place in the stream's log, from 1, without gap or repeat; 0, and not written, if the sink has no log
	Sequence uint64
	// Late is set if the message is delivered after one that the list shows above it (reader/late.go says what makes a
	// message late).
	Late     bool
	Repaired bool // U+FFFD replaced escapes in the item that stand for no character
	// Traceparent is the span that committed the event (W3C Trace Context); empty unless traces are on. An event that is
	// committed again, after a crash, may have another one.
	Traceparent string
	Data        []byte // the API's item, JSON
	Key         Key    // not an attribute: the message's key
}

// EventSettings are the settings of events.
type EventSettings struct {
	TypePrefix string // co.2chat.whatsapp
	DataSchema string // URI, or ""
}

// Directions of a message, the last part of an event's type.
const (
	DirectionReceived = "received"
	DirectionSent     = "sent"
	DirectionNew      = "new"
)

// Direction derives a message's direction from its sender; an unknown sender means new.
func Direction(sentBy string) string {
	switch sentBy {
	case "user":
		return DirectionReceived
	case "api", "agent":
		return DirectionSent
	}
	return DirectionNew
}

// NewEvent returns the event of a message without a Fault.
func NewEvent(s Stream, m Message, settings EventSettings, recorded time.Time, sequence uint64, late bool) Event {
	return Event{
		ID: m.UUID, Source: s.Source(), Type: settings.TypePrefix + ".message." + Direction(m.SentBy), Chat: m.Chat,
		Time:     m.Time,
		Recorded: recorded, SentBy: m.SentBy, DataSchema: settings.DataSchema, Sequence: sequence, Late: late,
		Repaired: m.Repaired,
		Data:     m.Data, Key: m.Key,
	}
}

// Direction is the last part of the event's type.
func (e *Event) Direction() string { return e.Type[strings.LastIndexByte(e.Type, '.')+1:] }

// Attribute is a context attribute of a CloudEvent in its canonical string form (CloudEvents 1.0 §3.1).
type Attribute struct{ Name, Value string }

// FormatSequence returns the canonical form of a sequence: 20 digits, so that text order is number order.
func FormatSequence(n uint64) string {
	return string(appendSequence(make([]byte, 0, sequenceDigits), n))
}

const sequenceDigits = 20

func appendSequence(dst []byte, n uint64) []byte {
	const zeros = "00000000000000000000"
	var digits [sequenceDigits]byte
	text := strconv.AppendUint(digits[:0], n, 10)
	return append(append(dst, zeros[len(text):]...), text...)
}

// FormatTime returns the canonical form of a time: RFC 3339 in UTC.
func FormatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Attributes returns the context attributes that the event has, in a fixed order, including `datacontenttype`.
func (e *Event) Attributes() []Attribute {
	list := make([]Attribute, 0, 15)
	list = append(list, Attribute{"specversion", "1.0"}, Attribute{"id", e.ID}, Attribute{"source", e.Source},
		Attribute{"type", e.Type},
		Attribute{"subject", e.Chat})
	if !e.Time.IsZero() {
		list = append(list, Attribute{"time", FormatTime(e.Time)})
	}
	list = append(list, Attribute{"datacontenttype", "application/json"})
	if e.DataSchema != "" {
		list = append(list, Attribute{"dataschema", e.DataSchema})
	}
	list = append(list, Attribute{"partitionkey", e.Chat})
	if e.SentBy != "" {
		list = append(list, Attribute{"sentby", e.SentBy})
	}
	list = append(list, Attribute{"recordedtime", FormatTime(e.Recorded)})
	if e.Sequence != 0 {
		list = append(list, Attribute{"sequence", FormatSequence(e.Sequence)})
	}
	if e.Late {
		list = append(list, Attribute{"late", "true"})
	}
	if e.Repaired {
		list = append(list, Attribute{"repaired", "true"})
	}
	if e.Traceparent != "" {
		list = append(list, Attribute{"traceparent", e.Traceparent})
	}
	return list
}

// StructuredType is the media type of an event in structured mode, for Kafka and NATS alike. The CloudEvents SDK for
// JavaScript recognises it only in lower case.
const StructuredType = "application/cloudevents+json; charset=utf-8"

// AppendJSON appends the event in the JSON format (structured mode) to dst, with its data unchanged.
func (e *Event) AppendJSON(dst []byte) []byte {
	about := envelope{e.ID, e.Source, e.Type, e.Chat, e.Time, e.DataSchema}
	dst = about.appendTo(dst)
	dst = append(dst, `,"partitionkey":`...)
	dst = appendString(dst, e.Chat)
	if e.SentBy != "" {
		dst = append(dst, `,"sentby":`...)
		dst = appendString(dst, e.SentBy)
	}
	dst = append(dst, `,"recordedtime":"`...)
	dst = append(appendTime(dst, e.Recorded), '"')
	if e.Sequence != 0 {
		dst = append(dst, `,"sequence":"`...)
		dst = append(appendSequence(dst, e.Sequence), '"')
	}
	if e.Late {
		dst = append(dst, `,"late":true`...)
	}
	if e.Repaired {
		dst = append(dst, `,"repaired":true`...)
	}
	if e.Traceparent != "" {
		dst = append(dst, `,"traceparent":`...)
		dst = appendString(dst, e.Traceparent)
	}
	return appendData(dst, e.Data)
}

// appendString appends s as a JSON string. Most attributes are plain and need no escaping.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(dst, `""`...) // json.Marshal of a string never fails
			}
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

var tokenEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// HashToken writes 128 bits as 26 characters that are safe in keys and subjects: lower-case base32 (RFC 4648 §6).
func HashToken(sum [16]byte) string { return tokenEncoding.EncodeToString(sum[:]) }

// SubjectToken encodes a name as one token of a NATS subject: letters, digits, `_` and `-` stay; any other byte, and an
// `=`, becomes `=` and two upper-case hex digits; an empty name becomes a lone `=`. Different names have different
// tokens.
func SubjectToken(name string) string {
	if name == "" {
		return "="
	}
	plain := 0
	for plain < len(name) && plainInSubject(name[plain]) {
		plain++
	}
	if plain == len(name) {
		return name // streams, directions and hashed chats need no encoding
	}
	var out strings.Builder
	out.WriteString(name[:plain])
	for i := plain; i < len(name); i++ {
		if c := name[i]; plainInSubject(c) {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "=%02X", c)
		}
	}
	return out.String()
}

func plainInSubject(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
