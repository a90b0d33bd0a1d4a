package kafka

import (
	"strconv"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Headers of the CloudEvents binding for Kafka.
const (
	headerContentType = "content-type"
	// HeaderPrefix is the prefix of the header of an attribute in binary mode.
	HeaderPrefix = "ce_"
)

// attribute is an attribute that reading back needs, and that it finds in a header without parsing the body.
type attribute struct {
	own   string // its header in structured mode: some receivers take a record with any ce_ header for binary mode
	bound string // its header in binary mode, and in records that earlier versions wrote in structured mode
}

var (
	attributeID       = attribute{"twochat_id", "ce_id"}
	attributeSource   = attribute{"twochat_source", "ce_source"}
	attributeSequence = attribute{"twochat_sequence", "ce_sequence"}
	attributeLate     = attribute{"twochat_late", "ce_late"}
)

// StructuredHeaders lists the headers of an event in structured mode except for content-type, by their full names.
func StructuredHeaders() []connector.AttributeForm {
	return []connector.AttributeForm{
		{Name: attributeID.own, Always: true, Doc: "the attribute id"},
		{Name: attributeSource.own, Always: true, Doc: "the attribute source"},
		{Name: attributeSequence.own, Always: true, Doc: "the attribute sequence"},
		{Name: attributeLate.own, Doc: "the attribute late, if it is true"},
	}
}

// of is the attribute's value in a record's headers; nil if there is none.
func (a attribute) of(headers []protocol.Header) []byte {
	if value := header(headers, a.own); value != nil {
		return value
	}
	return header(headers, a.bound)
}

// record is what is written, and what is read back.
type record struct {
	key     []byte
	value   []byte
	headers []protocol.Header
	reject  *connector.Reject // that it holds, if it is one of the quarantine
}

// draft is a record being built. The next one reuses its memory.
type draft struct {
	record
	text []byte // memory of the record's slices, except for an event's data
}

// of builds the event's record in the configured encoding. Both modes have the headers that reading back needs.
func (d *draft) of(e *connector.Event, enc connector.Encoding) *record {
	d.text, d.headers = d.text[:0], d.headers[:0]
	d.key = d.put(e.Chat)
	if enc.Mode != connector.ModeBinary {
		d.header(attributeID.own, e.ID)
		d.header(attributeSource.own, e.Source)
		d.header(attributeSequence.own, connector.FormatSequence(e.Sequence))
		if e.Late {
			d.header(attributeLate.own, "true")
		}
	}
	if enc.Mode == connector.ModeBinary || enc.Headers {
		d.attributes(e)
	}
	if enc.Mode == connector.ModeBinary {
		d.header(headerContentType, "application/json")
		d.value = e.Data
	} else {
		d.header(headerContentType, connector.StructuredType)
		from := len(d.text)
		d.text = e.AppendJSON(d.text)
		d.value = d.text[from:]
	}
	return &d.record
}

// attributes adds all attributes but datacontenttype, which the binding maps to content-type.
func (d *draft) attributes(e *connector.Event) {
	for _, a := range e.Attributes() {
		if a.Name != "datacontenttype" {
			d.header(HeaderPrefix+a.Name, a.Value)
		}
	}
}

func (d *draft) header(name, value string) {
	d.headers = append(d.headers, protocol.Header{Key: name, Value: d.put(value)})
}

// put copies text into the draft. If its memory has to grow, earlier text stays where it is.
func (d *draft) put(text string) []byte {
	from := len(d.text)
	d.text = append(d.text, text...)
	return d.text[from:]
}

func structuredHeaders() []protocol.Header {
	return []protocol.Header{{Key: headerContentType, Value: []byte(connector.StructuredType)}}
}

func header(headers []protocol.Header, name string) []byte {
	for i := range headers {
		if headers[i].Key == name {
			return headers[i].Value
		}
	}
	return nil
}

// seenOf reads what the seen window needs from a record's headers. ok is false for a record that is not an event of
// ours.
func seenOf(headers []protocol.Header) (seen connector.Seen, ok bool) {
	id := attributeID.of(headers)
	sequence, err := strconv.ParseUint(string(attributeSequence.of(headers)), 10, 64)
	if len(id) == 0 || err != nil || sequence == 0 {
		return connector.Seen{}, false
	}
	late := string(attributeLate.of(headers)) == "true"
	return connector.Seen{Key: connector.MessageKey(string(id)), Sequence: sequence, Late: late}, true
}

// binding is the CloudEvents binding for Kafka.
var binding = connector.Binding{Prefix: HeaderPrefix}

// decodeEvent returns the event of a record in the JSON format, in whatever mode it is stored.
func decodeEvent(headers []protocol.Header, value []byte) ([]byte, error) {
	return binding.Decode(func(yield func(name, value string) bool) {
		for i := range headers {
			if !yield(headers[i].Key, string(headers[i].Value)) {
				return
			}
		}
	}, value)
}
