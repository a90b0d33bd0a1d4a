package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// key is long enough for every use of a key.
const key = "0123456789abcdef0123456789abcdef"

var update = flag.Bool("update", false, "write testdata anew: that is what consumers rely on")

var (
	stream   = connector.Stream{Name: "shop", Number: twochattest.DefaultNumber, SourceKey: key}
	readAt   = time.Date(2026, 2, 18, 18, 2, 0, 123456789, time.UTC)
	settings = connector.EventSettings{TypePrefix: "co.2chat.whatsapp", DataSchema: EventID}
)

// compile compiles a schema with a third-party library that checks every format.
func compile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	compiler.AssertContent()
	if err := compiler.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func text(t *testing.T, schema map[string]any) []byte {
	t.Helper()
	out, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

// published are the schemas as published. Whatever is written today still has to be valid by them.
func published(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	all := map[string]*jsonschema.Schema{}
	for name, schema := range map[string]map[string]any{"event": Event(), "row": Row()} {
		path := "testdata/" + name + ".v1.json"
		if *update {
			if err := os.WriteFile(path, text(t, schema), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(content, text(t, schema)) {
			t.Errorf("%s is not the schema of the code; if it only has more members or other words: "+
				"go test ./connector/schema -update", path)
		}
		all[name] = compile(t, content)
	}
	return all
}

// messages are those that the fake lists of a stream, read by the real client.
func messages(t *testing.T, history int, rows bool, privacy twochat.Privacy) []connector.Message {
	t.Helper()
	fake := twochattest.New(twochattest.Options{Seed: 5, History: history, Now: func() time.Time { return readAt }})
	client, err := twochat.New(twochat.Config{
		BaseURL: "https://api.p.2chat.io", Key: func() (string, error) { return "UAK0", nil }, Rows: rows,
		Transport: fake.Transport(), Now: func() time.Time { return readAt }, Privacy: privacy,
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []connector.Message
	for number := 0; ; number++ {
		page, err := client.Page(t.Context(), stream, number, "")
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Messages) == 0 {
			slices.Reverse(all)
			return all
		}
		all = append(all, page.Messages...)
	}
}

// stored is an event as a broker stores it, with the headers of one of the two modes.
type stored struct {
	Headers map[string]string `json:"headers"`
	Value   string            `json:"value"`
}

var binding = connector.Binding{Prefix: "ce_"}

func store(e *connector.Event, mode connector.Mode) stored {
	if mode == connector.ModeStructured {
		return stored{map[string]string{"content-type": connector.StructuredType}, string(e.AppendJSON(nil))}
	}
	s := stored{map[string]string{"content-type": "application/json"}, string(e.Data)}
	for _, a := range e.Attributes() {
		if a.Name != "datacontenttype" {
			s.Headers[binding.Prefix+a.Name] = a.Value
		}
	}
	return s
}

func (s stored) event(t *testing.T) []byte {
	t.Helper()
	event, err := binding.Decode(func(yield func(name, value string) bool) {
		for name, value := range s.Headers {
			if !yield(name, value) {
				return
			}
		}
	}, []byte(s.Value))
	if err != nil {
		t.Fatal(err)
	}
	return event
}

func validate(t *testing.T, by *jsonschema.Schema, event []byte) {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(event))
	if err != nil {
		t.Fatal(err)
	}
	if err := by.Validate(document); err != nil {
		t.Fatalf("%v\n%s", err, event)
	}
}

// Every event of every shape of message, in both modes, with either kind of data, under every privacy setting, is
// valid by the published schemas, and so is every row.
func TestEvent_OfTheFake(t *testing.T) {
	if testing.Short() {
		t.Skip("many cases in one goroutine: not in short mode")
	}
	by := published(t)
	for name, privacy := range map[string]twochat.Privacy{
		"hashed":       {},
		"clear":        {Identifiers: twochat.IdentifiersClear},
		"pseudonymous": {Identifiers: twochat.IdentifiersPseudonymous, Secret: []byte(key)},
		"drop":         {Drop: []string{twochat.DropText, twochat.DropMedia, twochat.DropQuoted, twochat.DropNames}},
	} {
		for _, rows := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				for i, m := range messages(t, 700, rows, privacy) {
					settings := settings
					if i%2 == 0 {
						settings.DataSchema = ""
					}
					e := connector.NewEvent(stream, m, settings, readAt, uint64(i%9), i%3 == 0)
					for _, mode := range []connector.Mode{connector.ModeStructured, connector.ModeBinary} {
						validate(t, by["event"], store(&e, mode).event(t))
					}
					if rows {
						validate(t, by["row"], e.Data)
					}
				}
			})
		}
	}
}

// The schema names every attribute that an event can have, in the order in which they are written, and no other.
func TestEvent_Attributes(t *testing.T) {
	var names []string
	for _, form := range connector.AttributeForms() {
		names = append(names, form.Name)
	}
	m := connector.Message{UUID: "a", SentBy: "user", Chat: "c", Time: readAt, Data: []byte("{}"), Repaired: true}
	e := connector.NewEvent(stream, m, settings, readAt, 1, true)
	e.Traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	var written []string
	for _, a := range e.Attributes() {
		written = append(written, a.Name)
	}
	if !slices.Equal(names, written) {
		t.Errorf("an event has %v, the table %v", written, names)
	}
	decoder := json.NewDecoder(bytes.NewReader(e.AppendJSON(nil)))
	var members []string
	for depth := 0; decoder.More() || depth > 0; {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		switch name, isText := token.(string); {
		case token == json.Delim('{'):
			depth++
		case token == json.Delim('}'):
			depth--
		case isText && depth == 1 && len(members) <= len(names) && (slices.Contains(names, name) || name == "data"):
			members = append(members, name)
			if name != "data" {
				if _, err := decoder.Token(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if !slices.Equal(members, append(names, "data")) {
		t.Errorf("the JSON format has %v, the table %v", members, names)
	}
}

// What was erased on request is recorded as the published schema says.
func TestEvent_Erasure(t *testing.T) {
	e := connector.Erasure{Stream: "support", Time: readAt, Erased: []connector.Seen{
		{Key: connector.MessageKey("a"), Sequence: 4, Late: true}, {Key: connector.MessageKey("b")},
	}}
	written, err := e.AppendJSON(nil, "co.2chat.whatsapp")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(written))
	if err != nil {
		t.Fatal(err)
	}
	if err := published(t)["event"].Validate(document); err != nil {
		t.Errorf("%v: %s", err, written)
	}
}

// Whatever a consumer must never get is invalid by the schema.
func TestEvent_Refuses(t *testing.T) {
	by := compile(t, text(t, Event()))
	rowsBy := compile(t, text(t, Row()))
	e := connector.NewEvent(stream, messages(t, 1, true, twochat.Privacy{})[0], settings, readAt, 1, false)
	good := string(e.AppendJSON(nil))
	for _, change := range [][2]string{
		{`"specversion":"1.0"`, `"specversion":"0.3"`},
		{`"id":`, `"ident":`},
		{`"sequence":"0000`, `"sequence":"`},
		{`"data":{`, `"data":[],"x":{`},
		{`"time":"2`, `"time":"soon 2`},
		{`"recordedtime"`, `"recorded"`},
		{`.message.`, `.messages.`},
		{`"sequence"`, `"late":"true","sequence"`},
	} {
		event := strings.Replace(good, change[0], change[1], 1)
		if event == good {
			t.Fatalf("%q is not in %s", change[0], good)
		}
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(event))
		if err != nil {
			t.Fatal(err)
		}
		if by.Validate(document) == nil {
			t.Errorf("the schema takes %s", event)
		}
	}
	row := string(e.Data)
	for _, change := range [][2]string{
		{`"kind":`, `"kin":`},
		{`"media_url":null,`, ``},
		{`"group":null`, `"group":1`},
		{`"item":"`, `"more":"","item":"`},
		{`"item":"{`, `"item":"`},
		{`"recorded_at":"2`, `"recorded_at":"`},
		{`"direction":"`, `"direction":"x`},
		{`"uuid":"`, `"uuid":null,"x":"`},
	} {
		changed := strings.Replace(row, change[0], change[1], 1)
		if changed == row {
			t.Fatalf("%q is not in %s", change[0], row)
		}
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(changed))
		if err != nil {
			t.Fatal(err)
		}
		if rowsBy.Validate(document) == nil {
			t.Errorf("the schema takes the row %s", changed)
		}
	}
}
