package kafka

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

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

// eventRecord is the event as the encoding wants it. Both modes have the headers that reading back needs.
func eventRecord(e *connector.Event, enc connector.Encoding) *record {
	r := &record{key: []byte(e.Chat)}
	switch {
	case enc.Mode == connector.ModeBinary:
		r.value = e.Data
		r.headers = append(attributeHeaders(e), protocol.Header{Key: headerContentType, Value: []byte("application/json")})
	case enc.Headers:
		r.value = e.AppendJSON(make([]byte, 0, len(e.Data)+600))
		r.headers = append(attributeHeaders(e), protocol.Header{Key: headerContentType, Value: []byte(connector.StructuredType)})
	default:
		r.value = e.AppendJSON(make([]byte, 0, len(e.Data)+600))
		r.headers = make([]protocol.Header, 0, 5)
		r.headers = append(r.headers,
			protocol.Header{Key: headerID, Value: []byte(e.ID)},
			protocol.Header{Key: headerSource, Value: []byte(e.Source)},
			protocol.Header{Key: headerSequence, Value: []byte(connector.FormatSequence(e.Sequence))})
		if e.Late {
			r.headers = append(r.headers, protocol.Header{Key: headerLate, Value: []byte("true")})
		}
		r.headers = append(r.headers, protocol.Header{Key: headerContentType, Value: []byte(connector.StructuredType)})
	}
	return r
}

// attributeHeaders lists all attributes but datacontenttype, which the binding maps to content-type.
func attributeHeaders(e *connector.Event) []protocol.Header {
	attributes := e.Attributes()
	headers := make([]protocol.Header, 0, len(attributes)+1)
	for _, a := range attributes {
		if a.Name != "datacontenttype" {
			headers = append(headers, protocol.Header{Key: headerPrefix + a.Name, Value: []byte(a.Value)})
		}
	}
	return headers
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

// structured is a record's event in structured mode, whatever the mode it is stored in.
func structured(headers []protocol.Header, value []byte) ([]byte, error) {
	kind := strings.ToLower(string(header(headers, headerContentType)))
	if strings.HasPrefix(kind, "application/cloudevents") {
		return value, nil
	}
	if header(headers, headerID) == nil {
		return nil, fmt.Errorf("decode event: the record is no CloudEvent")
	}
	return appendBinary(nil, headers, value), nil
}

// appendBinary appends an event in binary mode as JSON.
func appendBinary(dst []byte, headers []protocol.Header, data []byte) []byte {
	dst = append(dst, '{')
	for i := range headers {
		name, ok := strings.CutPrefix(headers[i].Key, headerPrefix)
		switch {
		case ok:
		case headers[i].Key == headerContentType:
			name = "datacontenttype"
		default:
			continue
		}
		dst = append(appendQuoted(dst, name), ':')
		if name == "late" && string(headers[i].Value) == "true" {
			dst = append(dst, "true,"...)
			continue
		}
		dst = append(appendQuoted(dst, string(headers[i].Value)), ',')
	}
	dst = append(dst, `"data":`...)
	return append(append(dst, data...), '}')
}

// appendQuoted appends text as a JSON string.
func appendQuoted(dst []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		return append(dst, `""`...) // json.Marshal of a string has no error
	}
	return append(dst, quoted...)
}
