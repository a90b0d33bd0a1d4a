package nats

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Headers of an event's message. NATS clients keep the case that a header was written in, so it is fixed here.
const (
	// HeaderContentType distinguishes structured from binary mode; it is always set.
	HeaderContentType = "Content-Type"
	// HeaderMessageID is source|id. JetStream drops a second message with the same id for a while.
	HeaderMessageID = "Nats-Msg-Id"
	// HeaderPrefix is the prefix of an attribute's header in binary mode. Some receivers take a message with any such
	// header for binary mode, whatever its content type.
	HeaderPrefix = "ce-"
)

// These headers of a message in structured mode allow to read its sequence without its body. They are absent if the
// attribute is. Messages in binary mode, and those that earlier versions wrote, have the attributes' own headers
// instead.
const (
	headerSequence = "Twochat-Sequence"
	headerLate     = "Twochat-Late"
)

// MessageIDForm describes HeaderMessageID, which messages have in both modes.
func MessageIDForm() connector.AttributeForm {
	return connector.AttributeForm{
		Name: HeaderMessageID, Always: true,
		Doc: "source|id, percent-encoded: JetStream drops a second message with the same one for a while",
	}
}

// StructuredHeaders lists the headers of an event in structured mode except for the content type, by their full names.
func StructuredHeaders() []connector.AttributeForm {
	return []connector.AttributeForm{
		MessageIDForm(),
		{Name: headerSequence, Doc: "the attribute sequence, if the event has it"},
		{Name: headerLate, Doc: "the attribute late, if it is true"},
	}
}

// LogSequence is an event's sequence in its stream's log, and whether it is late, according to its headers; sequence is
// "" if they do not contain it.
func LogSequence(header natsgo.Header) (sequence string, late bool) {
	if sequence = header.Get(headerSequence); sequence != "" {
		return sequence, header.Get(headerLate) == "true"
	}
	return header.Get(HeaderPrefix + "sequence"), header.Get(HeaderPrefix+"late") == "true"
}

// Message encodes an event as a NATS message (the CloudEvents NATS binding). It shares no memory with the event, except
// for the data in binary mode.
func Message(subjectPrefix string, e *connector.Event, enc connector.Encoding) *natsgo.Msg {
	return new(Encoder).Message(subjectPrefix, e, enc)
}

// Encoder encodes events as NATS messages, one after the other in the same memory. It must not be copied.
type Encoder struct {
	message natsgo.Msg
	body    []byte
	// the values of the headers in structured mode
	id, kind, sequence [1]string
}

// structuredOverhead is roughly how many bytes a message's body in structured mode has in addition to its data.
const structuredOverhead = 768

// Message is like the function of that name, but the next call overwrites its result.
func (n *Encoder) Message(subjectPrefix string, e *connector.Event, enc connector.Encoding) *natsgo.Msg {
	if n.message.Header == nil {
		n.message.Header = make(natsgo.Header, 8) // those of a batch follow
	}
	clear(n.message.Header)
	n.message = natsgo.Msg{Subject: EventSubject(subjectPrefix, e), Header: n.message.Header}
	m := &n.message
	n.id[0] = MessageID(e.Source, e.ID)
	m.Header[HeaderMessageID] = n.id[:]
	if enc.Mode == connector.ModeBinary {
		m.Header[HeaderContentType] = []string{"application/json"}
		for _, attribute := range e.Attributes() {
			m.Header[HeaderPrefix+attribute.Name] = []string{EncodeHeader(attribute.Value)}
		}
		m.Data = e.Data
		return m
	}
	n.kind[0] = connector.StructuredType
	m.Header[HeaderContentType] = n.kind[:]
	if e.Sequence != 0 {
		n.sequence[0] = connector.FormatSequence(e.Sequence)
		m.Header[headerSequence] = n.sequence[:]
	}
	if e.Late {
		m.Header[headerLate] = []string{"true"}
	}
	n.body = e.AppendJSON(slices.Grow(n.body[:0], len(e.Data)+structuredOverhead))
	m.Data = n.body
	return m
}

// EventSubject is the subject of an event.
func EventSubject(prefix string, e *connector.Event) string {
	return prefix + "." + connector.SubjectToken(streamName(e.Source)) + "." + connector.SubjectToken(e.Direction()) +
		"." + connector.SubjectToken(e.Chat)
}

// SizeBound is a bound of the Size of an event's message in either mode that costs no encoding.
func SizeBound(e *connector.Event) int {
	// A byte of an attribute takes at most six as an escape of JSON and three in a header, and the chat is written twice.
	const perByte, fixed = 12, 1024
	attributes := len(e.ID) + len(e.Source) + len(e.Type) + len(e.Chat) + len(e.SentBy) + len(e.DataSchema) +
		len(e.Traceparent)
	return len(e.Data) + attributes*perByte + fixed
}

// RejectMessage encodes a reject for the quarantine, in structured mode. It shortens the raw bytes until the message
// has at most `most` bytes; 0 means no limit.
func RejectMessage(
	subjectPrefix string, s connector.Stream, r *connector.Reject, enc connector.Encoding, most int64,
) (*natsgo.Msg, error) {
	m := &natsgo.Msg{
		Subject: QuarantineSubject(subjectPrefix, s.Name),
		Header: natsgo.Header{
			HeaderContentType: {connector.StructuredType},
			HeaderMessageID:   {MessageID(s.Source(), "reject-"+connector.HashToken(r.Key))},
		},
	}
	cut := *r
	for {
		var err error
		if m.Data, err = cut.AppendJSON(nil, s, enc.TypePrefix); err != nil {
			return nil, err
		}
		over := int64(Size(m)) - most
		if most <= 0 || over <= 0 || len(cut.Raw) == 0 {
			return m, nil
		}
		cut.Raw = cut.Raw[:max(0, len(cut.Raw)-int(over+3)/4*3)] // base64 makes four bytes of three
	}
}

// Size is a message's size for the server's max_payload: headers and data, without the subject.
func Size(m *natsgo.Msg) int {
	size := len(m.Data)
	if len(m.Header) > 0 {
		size += len("NATS/1.0\r\n") + len("\r\n")
	}
	for name, values := range m.Header {
		for _, value := range values {
			size += len(name) + len(": ") + len(value) + len("\r\n")
		}
	}
	return size
}

// MessageID is the value of HeaderMessageID for an event.
func MessageID(source, id string) string { return EncodeHeader(source + "|" + id) }

// streamName is the inverse of Stream.Source.
func streamName(source string) string { return strings.TrimPrefix(source, connector.Stream{}.Source()) }

// EventsSubject is the filter for a stream's events; an empty name stands for all streams.
func EventsSubject(prefix, stream string) string {
	if stream == "" {
		return prefix + ".>"
	}
	return prefix + "." + connector.SubjectToken(stream) + ".>"
}

// CheckpointSubject is the subject of a stream's checkpoints.
func CheckpointSubject(prefix, stream string) string {
	return prefix + "-checkpoint." + connector.SubjectToken(stream)
}

// ErasureSubject is the subject of what was erased of a stream: beside the checkpoints, where the stream of JetStream and
// the user's rights reach already. No name is encoded so (see connector.SubjectToken).
func ErasureSubject(prefix, stream string) string {
	return CheckpointSubject(prefix, stream) + "=erased"
}

// BegunSubject is the subject of the message that begins a stream of JetStream whose first message is no checkpoint. It
// lies where ErasureSubject does, for the same reason.
func BegunSubject(prefix string) string { return prefix + "-checkpoint.=members" }

// MemberSubject is the subject on which a replica announces itself.
func MemberSubject(prefix, id string) string {
	return prefix + "-members." + connector.SubjectToken(id)
}

// QuarantineSubject is the subject of a stream's rejects.
func QuarantineSubject(prefix, stream string) string {
	return prefix + "-quarantine." + connector.SubjectToken(stream)
}

// CheckSubject returns what is wrong with a subject prefix, or "". It must be one or more tokens of letters, digits,
// `_` and `-`, with dots between them, at most 128 characters.
func CheckSubject(prefix string) string {
	if len(prefix) > 128 {
		return "longer than 128 characters"
	}
	for token := range strings.SplitSeq(prefix, ".") {
		if token == "" || connector.SubjectToken(token) != token {
			return "not tokens of letters, digits, _ and - with dots between them"
		}
	}
	return ""
}

// binding is the CloudEvents binding for NATS.
var binding = connector.Binding{Prefix: HeaderPrefix, Value: DecodeHeader}

// DecodeEvent returns the event of a message in the JSON format, in whatever mode it is stored.
func DecodeEvent(header natsgo.Header, data []byte) ([]byte, error) {
	return binding.Decode(each(header), data)
}

// each iterates over all headers.
func each(header natsgo.Header) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for name, values := range header {
			for _, value := range values {
				if !yield(name, value) {
					return
				}
			}
		}
	}
}

// EncodeHeader encodes an attribute's value for a header: space, `"`, `%` and every byte outside U+0021-U+007E become a
// percent sign and two upper-case hex digits.
func EncodeHeader(value string) string {
	for i := range len(value) {
		if !plainInHeader(value[i]) {
			return encodeHeader(value)
		}
	}
	return value
}

func encodeHeader(value string) string {
	var out strings.Builder
	for i := range len(value) {
		if plainInHeader(value[i]) {
			out.WriteByte(value[i])
		} else {
			fmt.Fprintf(&out, "%%%02X", value[i])
		}
	}
	return out.String()
}

func plainInHeader(c byte) bool { return c > 0x20 && c < 0x7F && c != '"' && c != '%' }

// DecodeHeader is the inverse of EncodeHeader.
func DecodeHeader(value string) (string, error) {
	if !strings.Contains(value, "%") {
		return value, nil
	}
	out := make([]byte, 0, len(value))
	for i := 0; i < len(value); i++ {
		if value[i] != '%' {
			out = append(out, value[i])
			continue
		}
		if i+2 >= len(value) {
			return "", fmt.Errorf("decode header: a percent sign without two digits after it")
		}
		high, ok1 := hexDigit(value[i+1])
		low, ok2 := hexDigit(value[i+2])
		if !ok1 || !ok2 {
			return "", fmt.Errorf("decode header: a percent sign without two digits after it")
		}
		out = append(out, high<<4|low)
		i += 2
	}
	return string(out), nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
