package jetstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	natsgo "github.com/nats-io/nats.go"

	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// attributeOrder is how the JSON format of an event lists its attributes (see connector.Event.AppendJSON); any other comes after
// them.
var attributeOrder = [...]string{"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "partitionkey", "sentby", "recordedtime", "sequence", "late"}

// binaryEvent writes an event that is stored in binary mode in the JSON format. Its errors quote nothing of it.
func binaryEvent(header natsgo.Header, data []byte) ([]byte, error) {
	attributes := make(map[string]string, len(header))
	for name, values := range header {
		attribute, ok := strings.CutPrefix(name, natssink.HeaderPrefix)
		if !ok || len(values) == 0 {
			continue
		}
		if !attributeName(attribute) {
			return nil, errors.New("read event: a header is no attribute's")
		}
		value, err := natssink.DecodeHeader(values[0])
		if err != nil {
			return nil, fmt.Errorf("read event: %w", err)
		}
		attributes[attribute] = value
	}
	if attributes["specversion"] == "" || attributes["id"] == "" || attributes["source"] == "" || attributes["type"] == "" {
		return nil, errors.New("read event: an attribute that every CloudEvent has is missing")
	}
	if !json.Valid(data) {
		return nil, errors.New("read event: its data is not JSON")
	}
	names := make([]string, 0, len(attributes))
	for _, name := range attributeOrder {
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
	out := make([]byte, 0, len(data)+768)
	for _, name := range names {
		value, err := json.Marshal(attributes[name])
		if err != nil {
			return nil, fmt.Errorf("read event: %w", err)
		}
		if name == "late" && (attributes[name] == "true" || attributes[name] == "false") {
			value = []byte(attributes[name])
		}
		out = append(out, `,"`+name+`":`...)
		out = append(out, value...)
	}
	out[0] = '{'
	out = append(out, `,"data":`...)
	out = append(out, data...)
	return append(out, '}'), nil
}

// attributeName follows CloudEvents 1.0 §3.1: lower-case letters and digits, and never the member that holds the data.
func attributeName(name string) bool {
	if name == "" || name == "data" {
		return false
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
