package connector

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

func exampleEvent() Event {
	zone := time.FixedZone("", -4*60*60)
	m := Message{
		UUID: "MSG0b0c1d2e-3f40-4152-8637-48596a7b8c9d", Key: MessageKey("MSG0b0c1d2e-3f40-4152-8637-48596a7b8c9d"),
		Time: time.Date(2026, 1, 31, 8, 30, 5, 120_000_000, zone), SentBy: "user", Chat: HashToken([16]byte{1, 2, 3}),
		Data: []byte(`{"uuid":"MSG0b0c1d2e-3f40-4152-8637-48596a7b8c9d", "message":{"text":"¿Qué tal? <b>&amp;</b>"}}`),
	}
	recorded := time.Date(2026, 1, 31, 12, 30, 9, 0, time.UTC)
	settings := EventSettings{TypePrefix: "co.2chat.whatsapp", DataSchema: "https://example.com/message.json"}
	return NewEvent(Stream{Name: "595981048477"}, m, settings, recorded, 41, true)
}

func TestEvent_Golden(t *testing.T) {
	e := exampleEvent()
	got := append(e.AppendJSON(nil), '\n')
	const file = "testdata/event.json"
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the event reads\n%swant\n%s", got, want)
	}
}

// oracle reads an event with the CloudEvents SDK, and lets the SDK validate it.
func oracle(t *testing.T, event []byte) cloudevents.Event {
	t.Helper()
	var got cloudevents.Event
	if err := json.Unmarshal(event, &got); err != nil {
		t.Fatalf("the SDK cannot read %s: %v", event, err)
	}
	if err := got.Validate(); err != nil {
		t.Fatalf("the SDK refuses %s: %v", event, err)
	}
	return got
}

func TestEvent_TheSDKReadsEveryAttribute(t *testing.T) {
	e := exampleEvent()
	got := oracle(t, e.AppendJSON(nil))
	for _, c := range []struct{ name, got, want string }{
		{"specversion", got.SpecVersion(), "1.0"},
		{"id", got.ID(), "MSG0b0c1d2e-3f40-4152-8637-48596a7b8c9d"},
		{"source", got.Source(), "//2chat.co/whatsapp/595981048477"},
		{"type", got.Type(), "co.2chat.whatsapp.message.received"},
		{"subject", got.Subject(), e.Chat},
		{"time", got.Time().UTC().Format(time.RFC3339Nano), "2026-01-31T12:30:05.12Z"},
		{"datacontenttype", got.DataContentType(), "application/json"},
		{"dataschema", got.DataSchema(), "https://example.com/message.json"},
		{"partitionkey", fmt.Sprint(got.Extensions()["partitionkey"]), e.Chat},
		{"sentby", fmt.Sprint(got.Extensions()["sentby"]), "user"},
		{"recordedtime", fmt.Sprint(got.Extensions()["recordedtime"]), "2026-01-31T12:30:09Z"},
		{"sequence", fmt.Sprint(got.Extensions()["sequence"]), "00000000000000000041"},
		{"late", fmt.Sprint(got.Extensions()["late"]), "true"},
		{"number of extensions", strconv.Itoa(len(got.Extensions())), "5"},
		{"data", string(got.Data()), string(e.Data)},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, want %q", c.name, c.got, c.want)
		}
	}
}

func TestEvent_WhatIsAbsentIsNotWritten(t *testing.T) {
	tests := []struct {
		attribute string
		take      func(*Event)
	}{
		{"time", func(e *Event) { e.Time = time.Time{} }},
		{"dataschema", func(e *Event) { e.DataSchema = "" }},
		{"sentby", func(e *Event) { e.SentBy = "" }},
		{"sequence", func(e *Event) { e.Sequence = 0 }},
		{"late", func(e *Event) { e.Late = false }},
	}
	for _, test := range tests {
		t.Run(test.attribute, func(t *testing.T) {
			e := exampleEvent()
			if names := attributeNames(e.Attributes()); !strings.Contains(names, " "+test.attribute+" ") {
				t.Fatalf("the whole event has only%s", names)
			}
			test.take(&e)
			event := e.AppendJSON(nil)
			oracle(t, event)
			if bytes.Contains(event, []byte(`"`+test.attribute+`"`)) {
				t.Errorf("%s stands in %s", test.attribute, event)
			}
			if names := attributeNames(e.Attributes()); strings.Contains(names, " "+test.attribute+" ") {
				t.Errorf("it stands in the attributes%s", names)
			}
		})
	}
}

func attributeNames(attributes []Attribute) string {
	names := " "
	for _, a := range attributes {
		names += a.Name + " "
	}
	return names
}

// TestEvent_AttributesSayWhatTheJSONSays compares binary mode with structured mode.
func TestEvent_AttributesSayWhatTheJSONSays(t *testing.T) {
	whole := exampleEvent()
	bare := Event{
		ID: "1", Source: "//2chat.co/whatsapp/a", Type: "p.message.new", Chat: "c", Recorded: whole.Recorded,
		Data: []byte("{}"),
	}
	for _, e := range []Event{whole, bare} {
		var fields map[string]any
		if err := json.Unmarshal(e.AppendJSON(nil), &fields); err != nil {
			t.Fatal(err)
		}
		delete(fields, "data")
		for _, a := range e.Attributes() {
			if got := fmt.Sprint(fields[a.Name]); got != a.Value {
				t.Errorf("%s is %q as an attribute, %q in JSON", a.Name, a.Value, got)
			}
			delete(fields, a.Name)
		}
		if len(fields) > 0 {
			t.Errorf("JSON alone has %v", fields)
		}
	}
}

func TestEvent_DataStaysByteForByte(t *testing.T) {
	for _, data := range []string{
		`{"id":12345678901234567890123456789,"price":1.10,"e":1E+2}`,
		`{"text":"\ud83d alone, \udc00 too, \u00e9 and é, \/ and /"}`,
		"{ \"a\" :\t[ 1 ,\n 2 ] , \"a\" : 2 }",
		`{"html":"<script>&</script>","line":"` + "\u2028" + `"}`,
		`{}`,
	} {
		e := exampleEvent()
		e.Data = []byte(data)
		event := e.AppendJSON([]byte("before"))
		if !bytes.HasPrefix(event, []byte("before{")) || !bytes.HasSuffix(event, []byte(`,"data":`+data+`}`)) {
			t.Errorf("data %s became %s", data, event)
		}
		if got := oracle(t, event[len("before"):]).Data(); string(got) != data {
			t.Errorf("the SDK reads data %s, want %s", got, data)
		}
	}
}

func FuzzEvent_AttributesAreEscaped(f *testing.F) {
	for _, s := range []string{
		"plain", `quote "`, `back\slash`, "line\nbreak\x00\x1f\x7f", "é ü 漢字 😀", "</script>\u2028",
		"\xff\xfe",
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, id, sentBy string) {
		e := exampleEvent()
		e.ID, e.SentBy = id, sentBy
		var got struct{ ID, SentBy, Subject string }
		if err := json.Unmarshal(e.AppendJSON(nil), &got); err != nil {
			t.Fatalf("id %q, sentby %q: %v", id, sentBy, err)
		}
		if utf8.ValidString(id) && got.ID != id || utf8.ValidString(sentBy) && got.SentBy != sentBy || got.Subject != e.Chat {
			t.Errorf("id %q, sentby %q come back as %+v", id, sentBy, got)
		}
	})
}

func TestDirection(t *testing.T) {
	for sentBy, want := range map[string]string{
		"user": "received", "api": "sent", "agent": "sent", "": "new",
		"bot": "new", "User": "new",
	} {
		e := NewEvent(Stream{}, Message{SentBy: sentBy}, EventSettings{TypePrefix: "a.b"}, time.Now(), 1, false)
		if e.Type != "a.b.message."+want || e.Direction() != want {
			t.Errorf("sent by %q gives type %q, direction %q; want %s", sentBy, e.Type, e.Direction(), want)
		}
	}
}

func TestFormatSequence_TextOrderIsNumberOrder(t *testing.T) {
	before := ""
	for _, n := range []uint64{0, 1, 9, 10, 99, 100, 1 << 40, 1<<64 - 1} {
		s := FormatSequence(n)
		if len(s) != 20 || s <= before {
			t.Errorf("%d is written %q, after %q", n, s, before)
		}
		before = s
	}
}

func TestFormatTime_IsUTC(t *testing.T) {
	at := time.Date(2026, 3, 1, 1, 0, 0, 5_000_000, time.FixedZone("", 2*60*60))
	if got := FormatTime(at); got != "2026-02-28T23:00:00.005Z" {
		t.Error(got)
	}
}

func TestHashToken(t *testing.T) {
	low, high := HashToken([16]byte{}), HashToken([16]byte{0: 0xff, 15: 0xff})
	if low != strings.Repeat("a", 26) || high != "74aaaaaaaaaaaaaaaaaaaaaa74" {
		t.Errorf("tokens are %q and %q", low, high)
	}
}

func TestSubjectToken(t *testing.T) {
	for name, want := range map[string]string{
		"595981048477": "595981048477", "sup_port-2": "sup_port-2", "": "=", "=": "=3D", "a.b": "a=2Eb", "> *": "=3E=20=2A",
		"é": "=C3=A9", "+1": "=2B1",
	} {
		if got := SubjectToken(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

// FuzzSubjectToken reads tokens back: if a token can be read back, different names have different tokens.
func FuzzSubjectToken(f *testing.F) {
	for _, s := range []string{"", "=", "a.b.c", "*>", "=3D", "é\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		token := SubjectToken(name)
		if token == "" || strings.ContainsAny(token, ".*> \t\r\n") {
			t.Fatalf("%q becomes %q, which is no token of a subject", name, token)
		}
		var back []byte
		for i := 0; i < len(token) && token != "="; i++ {
			if token[i] != '=' {
				back = append(back, token[i])
				continue
			}
			b, err := strconv.ParseUint(token[i+1:i+3], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			back, i = append(back, byte(b)), i+2
		}
		if string(back) != name {
			t.Errorf("%q becomes %q, which reads %q", name, token, back)
		}
	})
}
