package sinktest

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Stored is an event as another client found it.
type Stored struct {
	ID, Source string
	Sequence   uint64
	Late       bool
	Data       []byte
	// Attributes holds every context attribute, including those above, in canonical string form.
	Attributes map[string]string
}

// Structured reads an event in the JSON format.
func Structured(t *testing.T, event []byte) Stored {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(event, &members); err != nil {
		t.Fatalf("an event is not JSON: %v", err)
	}
	attributes := make(map[string]string, len(members))
	for name, raw := range members {
		switch {
		case name == "data":
		case raw[0] == '"':
			var value string
			if err := json.Unmarshal(raw, &value); err != nil {
				t.Fatalf("attribute %s: %v", name, err)
			}
			attributes[name] = value
		default:
			attributes[name] = string(raw) // true, or a number
		}
	}
	return Binary(t, attributes, members["data"])
}

// Binary makes a stored event of its attributes, decoded from headers or the like.
func Binary(t *testing.T, attributes map[string]string, data []byte) Stored {
	t.Helper()
	s := Stored{
		ID: attributes["id"], Source: attributes["source"], Late: attributes["late"] == "true",
		Data: slices.Clone(data), Attributes: attributes,
	}
	if text, ok := attributes["sequence"]; ok {
		sequence, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("sequence %q: %v", text, err)
		}
		s.Sequence = sequence
	}
	return s
}

// Quarantined is a reject as another client found it.
type Quarantined struct {
	Source, Type string
	Reason       string
	Length       int
	Hash         string
	Cut          bool
	Raw          []byte
}

// Quarantine reads a quarantine record, a CloudEvent in the JSON format.
func Quarantine(t *testing.T, event []byte) Quarantined {
	t.Helper()
	var record struct {
		Source, Type string
		Data         struct {
			Reason string
			Length int
			SHA256 string
			Cut    bool
			Raw    []byte
		}
	}
	if err := json.Unmarshal(event, &record); err != nil {
		t.Fatalf("a quarantine record is not JSON: %v", err)
	}
	return Quarantined{
		record.Source, record.Type, record.Data.Reason, record.Data.Length, record.Data.SHA256,
		record.Data.Cut, record.Data.Raw,
	}
}

// want is how an event has to look when it is read back.
func want(e *connector.Event) Stored {
	s := Stored{
		ID: e.ID, Source: e.Source, Sequence: e.Sequence, Late: e.Late, Data: e.Data,
		Attributes: map[string]string{},
	}
	for _, attribute := range e.Attributes() {
		s.Attributes[attribute.Name] = attribute.Value
	}
	return s
}

// sameStored describes how two events differ; empty if they do not.
func sameStored(got, want Stored) string {
	switch {
	case got.ID != want.ID:
		return "id: got " + got.ID + ", want " + want.ID
	case got.Source != want.Source:
		return "source: got " + got.Source + ", want " + want.Source
	case got.Sequence != want.Sequence || got.Late != want.Late:
		return "sequence or late of " + want.ID
	case string(got.Data) != string(want.Data):
		return "data: got " + string(got.Data) + "\nwant " + string(want.Data)
	}
	if !maps.Equal(got.Attributes, want.Attributes) {
		for name, value := range want.Attributes {
			if got.Attributes[name] != value {
				return "attribute " + name + ": got " + strconv.Quote(got.Attributes[name]) + ", want " + strconv.Quote(value)
			}
		}
		for name, value := range got.Attributes {
			if _, ok := want.Attributes[name]; !ok {
				return "attribute " + name + " is too many: " + strconv.Quote(value)
			}
		}
	}
	return ""
}
