package sinks

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/schema"
	"github.com/twochat-connector/twochat-connector/sinks/embedded"
)

// specification names the file with AsyncAPI's own schema of its documents, which `.ci/run asyncapi` fetches.
const specification = "TWOCHAT_CONNECTOR_TEST_ASYNCAPI"

// asyncAPIs are documents of every sink that has channels, in both modes.
func asyncAPIs(t *testing.T) map[string]any {
	t.Helper()
	all := map[string]any{}
	for name, c := range map[string]Config{
		"nats": {NATS: Defaults().NATS}, "embedded": {Embedded: &embedded.Config{Listen: "127.0.0.1:4223"}},
		"jetstream and kafka": {JetStream: Defaults().JetStream, Kafka: Defaults().Kafka},
	} {
		for _, mode := range []connector.Mode{connector.ModeStructured, connector.ModeBinary} {
			text, err := json.Marshal(AsyncAPI(c, connector.Encoding{Mode: mode}, schema.Parts("#/components/schemas/")))
			if err != nil {
				t.Fatal(err)
			}
			document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			all[name+", "+string(mode)] = document
		}
	}
	return all
}

// at is the value at a JSON pointer, or nil if there is none.
func at(document any, pointer string) any {
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "#/"), "/") {
		members, _ := document.(map[string]any)
		document = members[name]
	}
	return document
}

// each calls found with every reference of a document.
func each(document any, found func(pointer string)) {
	switch document := document.(type) {
	case map[string]any:
		for name, value := range document {
			if pointer, ok := value.(string); ok && name == "$ref" {
				found(pointer)
			}
			each(value, found)
		}
	case []any:
		for _, value := range document {
			each(value, found)
		}
	}
}

// Every reference resolves, every channel has its operation, and a library accepts the schemas.
func TestAsyncAPI(t *testing.T) {
	for name, document := range asyncAPIs(t) {
		t.Run(name, func(t *testing.T) {
			count := 0
			each(document, func(pointer string) {
				if count++; at(document, pointer) == nil {
					t.Errorf("%s leads nowhere", pointer)
				}
			})
			channels, _ := at(document, "channels").(map[string]any)
			operations, _ := at(document, "operations").(map[string]any)
			if count < 10 || len(channels) < 2 || len(channels) != len(operations) {
				t.Errorf("%d references, %d channels, %d operations", count, len(channels), len(operations))
			}
			compiler := jsonschema.NewCompiler()
			if err := compiler.AddResource("asyncapi.json", document); err != nil {
				t.Fatal(err)
			}
			schemas, _ := at(document, "components/schemas").(map[string]any)
			for part := range schemas {
				if _, err := compiler.Compile("asyncapi.json#/components/schemas/" + part); err != nil {
					t.Errorf("%s: %v", part, err)
				}
			}
		})
	}
}

// The channels are those that the sinks write to.
func TestAsyncAPI_Channels(t *testing.T) {
	var addresses []string
	documents := asyncAPIs(t)
	for _, name := range []string{"nats, structured", "jetstream and kafka, structured"} {
		channels, _ := at(documents[name], "channels").(map[string]any)
		for id := range channels {
			address, _ := at(channels, id+"/address").(string)
			addresses = append(addresses, address)
		}
	}
	slices.Sort(addresses)
	want := []string{
		"whatsapp-checkpoint.{stream}", "whatsapp-checkpoint.{stream}=erased", "whatsapp-members.{member}",
		"whatsapp-quarantine.{stream}", "whatsapp-quarantine.{stream}",
		"whatsapp.messages", "whatsapp.messages.checkpoints", "whatsapp.messages.quarantine",
		"whatsapp.{stream}.{direction}.{chat}", "whatsapp.{stream}.{direction}.{chat}",
	}
	if !slices.Equal(addresses, want) {
		t.Errorf("got  %v\nwant %v", addresses, want)
	}
	binary := at(documents["jetstream and kafka, binary"], "channels/kafka-events/messages/event")
	headers, _ := at(binary, "headers/properties").(map[string]any)
	if headers["ce_sequence"] == nil || headers["ce_datacontenttype"] != nil {
		t.Errorf("the headers of binary mode are %v", headers)
	}
	for channel, want := range map[string]string{
		"kafka-events":         "twochat_id twochat_late twochat_sequence twochat_source",
		"jetstream-events":     "Nats-Msg-Id Twochat-Late Twochat-Sequence",
		"jetstream-quarantine": "Nats-Msg-Id",
	} {
		message := at(documents["jetstream and kafka, structured"], "channels/"+channel+"/messages/event")
		headers, _ := at(message, "headers/properties").(map[string]any)
		if got := strings.Join(slices.Sorted(maps.Keys(headers)), " "); got != want {
			t.Errorf("%s has in structured mode the headers %s, want %s", channel, got, want)
		}
	}
	if at(documents["nats, binary"], "channels/nats-events/messages/event/headers/properties/Nats-Msg-Id") == nil {
		t.Error("binary mode has no message id")
	}
	beside := AsyncAPI(Config{Kafka: Defaults().Kafka}, connector.Encoding{Headers: true}, nil)
	if text, err := json.Marshal(beside); err != nil || !strings.Contains(string(text), `"ce_subject"`) ||
		!strings.Contains(string(text), `"twochat_late"`) {
		t.Errorf("with events.headers: %v, %s", err, text)
	}
	c := Config{JetStream: Defaults().JetStream}
	c.JetStream.URL = "nats://user:secret@example.com:4222,nats://other:1"
	text, err := json.Marshal(AsyncAPI(c, connector.Encoding{}, nil))
	shown := string(text)
	if err != nil || strings.Contains(shown, "secret") || !strings.Contains(shown, `"host":"example.com:4222"`) {
		t.Errorf("%v: %s", err, text)
	}
}

// The documents are valid by the specification's own schema.
func TestAsyncAPI_Specification(t *testing.T) {
	path := os.Getenv(specification)
	if path == "" {
		t.Skip(specification + " names no schema of AsyncAPI 3.0.0")
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("asyncapi.json", document); err != nil {
		t.Fatal(err)
	}
	by, err := compiler.Compile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, document := range asyncAPIs(t) {
		if err := by.Validate(document); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := asyncAPIs(t)["nats, binary"].(map[string]any)
	broken["channels"].(map[string]any)["x"] = map[string]any{"adress": "y"}
	if by.Validate(broken) == nil {
		t.Error("a channel with a wrong member is taken")
	}
}
