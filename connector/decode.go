package connector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Binding describes how the messages of a broker contain a CloudEvent in binary mode.
type Binding struct {
	// Prefix is the prefix of attribute headers, in lower case.
	Prefix string
	// Value decodes the value of an attribute's header; nil if the header contains it unchanged.
	Value func(header string) (string, error)
}

// structuredPrefix is the beginning of the media type of every message in structured mode, whatever its format.
const structuredPrefix = "application/cloudevents"

// The errors of Decode quote nothing from the message, as anybody may have written it.
var (
	errNoEvent    = errors.New("decode event: the message is not a CloudEvent in structured or binary mode")
	errFormat     = errors.New("decode event: its format is not JSON")
	errTwice      = errors.New("decode event: an attribute is in two headers")
	errName       = errors.New("decode event: a header does not name a valid attribute")
	errValue      = errors.New("decode event: an attribute has an invalid value")
	errVersion    = errors.New("decode event: its version of CloudEvents is not 1.0")
	errIncomplete = errors.New("decode event: a required attribute is missing")
	errBoolean    = errors.New("decode event: a Boolean attribute is neither true nor false")
	errNotJSON    = errors.New("decode event: its data is not JSON")
)

// Decode returns the event of a broker's message in the JSON format, in whatever mode it is stored. For an event of the
// connector that is what Event.AppendJSON writes. It compares the names of headers case-insensitively, and copies data
// in binary mode unchanged. An error means that the message is not a CloudEvent that can be decoded.
func (b Binding) Decode(headers iter.Seq2[string, string], data []byte) ([]byte, error) {
	attributes := make(map[string]string)
	contentType, typed := "", false
	for name, value := range headers {
		name = strings.ToLower(name)
		attribute, ok := strings.CutPrefix(name, b.Prefix)
		switch {
		case name == "content-type" && typed:
			return nil, errTwice
		case name == "content-type":
			contentType, typed = value, true
			continue
		case !ok:
			continue
		case !attributeName(attribute):
			return nil, errName
		}
		if _, twice := attributes[attribute]; twice {
			return nil, errTwice
		}
		attributes[attribute] = value
	}
	if strings.HasPrefix(strings.ToLower(contentType), structuredPrefix) {
		return fromStructured(contentType, data)
	}
	if len(attributes) == 0 {
		return nil, errNoEvent
	}
	for name, value := range attributes {
		if b.Value != nil {
			var err error
			if value, err = b.Value(value); err != nil {
				return nil, fmt.Errorf("decode event: %w", err)
			}
		}
		if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			return nil, errValue
		}
		attributes[name] = value
	}
	if _, ok := attributes["datacontenttype"]; !ok && typed {
		attributes["datacontenttype"] = contentType
	}
	return fromBinary(attributes, data)
}

// fromStructured checks the data of a message in structured mode, which is the event itself.
func fromStructured(contentType string, data []byte) ([]byte, error) {
	if mediaType(contentType) != structuredPrefix+"+json" {
		return nil, errFormat
	}
	if !bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) || !json.Valid(data) {
		return nil, errNoEvent
	}
	return data, nil
}

// fromBinary writes an event from its attributes and data.
func fromBinary(attributes map[string]string, data []byte) ([]byte, error) {
	switch version := attributes["specversion"]; {
	case version == "" || attributes["id"] == "" || attributes["source"] == "" || attributes["type"] == "":
		return nil, errIncomplete
	case version != "1.0":
		return nil, errVersion
	case len(data) > 0 && (!isJSON(attributes["datacontenttype"]) || !json.Valid(data)):
		return nil, errNotJSON
	}
	names := make([]string, 0, len(attributes))
	for i := range attributeForms {
		name := attributeForms[i].Name
		if _, ok := attributes[name]; ok {
			names = append(names, name)
		}
	}
	known := len(names)
	for name := range attributes {
		if !slices.Contains(names[:known], name) {
			names = append(names, name)
		}
	}
	slices.Sort(names[known:])
	event := append(make([]byte, 0, len(data)+768), '{')
	for _, name := range names {
		event = append(append(append(event, '"'), name...), '"', ':')
		switch value := attributes[name]; {
		case !boolean(name):
			event = appendString(event, value)
		case value == "true" || value == "false":
			event = append(event, value...)
		default:
			return nil, errBoolean
		}
		event = append(event, ',')
	}
	if len(data) == 0 { // an event may have none
		event[len(event)-1] = '}'
		return event, nil
	}
	event = append(append(event, `"data":`...), data...)
	return append(event, '}'), nil
}

// boolean reports whether an attribute is a Boolean in the JSON format.
func boolean(name string) bool {
	return slices.ContainsFunc(attributeForms[:], func(form AttributeForm) bool {
		return form.Boolean && form.Name == name
	})
}

// attributeName reports whether name may be the name of an attribute (CloudEvents 1.0 §3.1): lower-case letters and
// digits, and not the member that holds the data.
func attributeName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && name != "data"
}

// isJSON reports whether data of this content type is JSON, which is the default if there is no type.
func isJSON(contentType string) bool {
	kind := mediaType(contentType)
	return kind == "" || strings.HasSuffix(kind, "/json") || strings.HasSuffix(kind, "+json")
}

// mediaType is a content type without its parameters.
func mediaType(contentType string) string {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(kind))
}
