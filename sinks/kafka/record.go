package kafka

import (
	"strconv"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Headers of the CloudEvents binding for Kafka.
const (
	headerContentType = "content-type"
	// HeaderPrefix begins the header of an attribute in binary mode.
	HeaderPrefix = "ce_"
)

// attribute is an attribute that reading back needs, and finds in a header without parsing the body.
type attribute struct {
	own   string // its header in structured mode: some receivers take a record with any ce_ header for one in binary mode
	bound string // its header in binary mode, and in what earlier versions wrote in structured mode
}

var (
	attributeID       = attribute{"twochat_id", "ce_id"}
	attributeSource   = attribute{"twochat_source", "ce_source"}
	attributeSequence = attribute{"twochat_sequence", "ce_sequence"}
	attributeLate     = attribute{"twochat_late", "ce_late"}
)

// StructuredHeaders lists the headers of an event in structured mode except for content-type, by their whole names.
func StructuredHeaders() []connector.AttributeForm {
	return []connector.AttributeForm{
		{Name: attributeID.own, Always: true, Doc: "the attribute id"},
		{Name: attributeSource.own, Always: true, Doc: "the attribute source"},
		{Name: attributeSequence.own, Always: true, Doc: "the attribute sequence"},
		{Name: attributeLate.own, Doc: "the attribute late, where it is true"},
	}
}

// of is what a record's headers say of the attribute; nil is nothing.
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
}

// draft is a record under way. The next one takes its memory.
type draft struct {
	record
	text []byte // what the record's slices lie in, except for an event's data
}

// of makes the draft the event's record as the encoding wants it. Both modes have headers that reading back needs.
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

// put copies text into the draft. Where its memory has to grow, what was put before stays where it is.
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

// seenOf reads what the seen window needs from a record's headers. ok is false for a record that is no event of ours.
func seenOf(headers []protocol.Header) (seen connector.Seen, ok bool) {
	id := attributeID.of(headers)
	sequence, err := strconv.ParseUint(string(attributeSequence.of(headers)), 10, 64)
	if len(id) == 0 || err != nil || sequence == 0 {
		return connector.Seen{}, false
	}
	late := string(attributeLate.of(headers)) == "true"
	return connector.Seen{Key: connector.MessageKey(string(id)), Sequence: sequence, Late: late}, true
}

// binding is the one of CloudEvents for Kafka.
var binding = connector.Binding{Prefix: HeaderPrefix}

// decodeEvent gives the event in a record in the JSON format, whatever mode it is stored in.
func decodeEvent(headers []protocol.Header, value []byte) ([]byte, error) {
	return binding.Decode(func(yield func(name, value string) bool) {
		for i := range headers {
			if !yield(headers[i].Key, string(headers[i].Value)) {
				return
			}
		}
	}, value)
}
