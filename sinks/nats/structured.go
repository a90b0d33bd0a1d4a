package nats

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	natsgo "github.com/nats-io/nats.go"
)

// structuredPrefix begins the content type of an event in structured mode; it is compared without regard to case.
const structuredPrefix = "application/cloudevents"

// StructuredEvent gives the event in a message in the JSON format, whatever mode it was written in. Data of an event in binary
// mode goes in as it is.
func StructuredEvent(m *natsgo.Msg) ([]byte, error) {
	contentType := m.Header[HeaderContentType]
	if len(contentType) == 1 && strings.HasPrefix(strings.ToLower(contentType[0]), structuredPrefix) {
		return m.Data, nil
	}
	attributes, err := Attributes(m.Header)
	if err != nil {
		return nil, err
	}
	if attributes["specversion"] == "" {
		return nil, errors.New("read event: neither structured nor binary mode")
	}
	names := make([]string, 0, len(attributes))
	for name := range attributes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if rank(a) != rank(b) {
			return rank(a) - rank(b)
		}
		return strings.Compare(a, b)
	})
	event := append(make([]byte, 0, len(m.Data)+768), '{')
	for _, name := range names {
		value, err := quote(attributes[name])
		if err != nil {
			return nil, fmt.Errorf("read event: %w", err)
		}
		if name == "late" && attributes[name] == "true" {
			value = []byte("true") // the one attribute that is a Boolean
		}
		event = fmt.Appendf(event, "%q:%s,", name, value)
	}
	event = append(event, `"data":`...)
	event = append(event, m.Data...)
	return append(event, '}'), nil
}

// quote writes a JSON string, without the escapes that HTML would need.
func quote(value string) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// order is the one in which Event.AppendJSON writes attributes.
var order = []string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "partitionkey", "sentby", "recordedtime", "sequence", "late"}

func rank(name string) int {
	if at := slices.Index(order, name); at >= 0 {
		return at
	}
	return len(order)
}

// Attributes reads the attributes in a message's headers: all of them in binary mode.
func Attributes(header natsgo.Header) (map[string]string, error) {
	attributes := make(map[string]string, len(header))
	for name, values := range header {
		attribute, ok := strings.CutPrefix(strings.ToLower(name), HeaderPrefix)
		if !ok || len(values) == 0 {
			continue
		}
		if !plainName(attribute) {
			return nil, errors.New("read event: the name of an attribute is not of lower-case letters and digits")
		}
		value, err := DecodeHeader(values[0])
		if err != nil {
			return nil, err
		}
		attributes[attribute] = value
	}
	return attributes, nil
}

func plainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && name != "data"
}
