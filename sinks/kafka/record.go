package kafka

import (
	"strconv"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Headers of the CloudEvents binding for Kafka.
const (
	headerContentType = "content-type"
	headerPrefix      = "ce_"
	headerID          = "ce_id"
	headerSource      = "ce_source"
	headerSequence    = "ce_sequence"
	headerLate        = "ce_late"
)

// record is what is written, and what is read back.
type record struct {
	key     []byte
	value   []byte
	headers []protocol.Header
}

// draft is a record under way. The next one takes its memory.
type draft struct {
	record
	text []byte // what the record's slices lie in, but for an event's data
}

// of makes the draft the event's record as the encoding wants it. Both modes have the headers that reading back needs.
func (d *draft) of(e *connector.Event, enc connector.Encoding) *record {
	d.text, d.headers = d.text[:0], d.headers[:0]
	d.key = d.put(e.Chat)
	switch {
	case enc.Mode == connector.ModeBinary || enc.Headers:
		d.attributes(e)
	default:
		d.header(headerID, e.ID)
		d.header(headerSource, e.Source)
		d.header(headerSequence, connector.FormatSequence(e.Sequence))
		if e.Late {
			d.header(headerLate, "true")
		}
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
			d.header(headerPrefix+a.Name, a.Value)
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
	id := header(headers, headerID)
	sequence, err := strconv.ParseUint(string(header(headers, headerSequence)), 10, 64)
	if len(id) == 0 || err != nil || sequence == 0 {
		return connector.Seen{}, false
	}
	return connector.Seen{Key: connector.MessageKey(string(id)), Sequence: sequence, Late: string(header(headers, headerLate)) == "true"}, true
}

// binding is the one of CloudEvents for Kafka.
var binding = connector.Binding{Prefix: headerPrefix}

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
