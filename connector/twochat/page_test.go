package twochat

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/twochat-connector/twochat-connector/connector"
)

var stream = connector.Stream{
	Name: "sales", Number: "+595981048477", SourceKey: connector.SourceKey("https://api.p.2chat.io", "+595981048477", ""),
}

// plainClient is a client for decoding only.
func plainClient(t testing.TB, privacy Privacy) *Client {
	t.Helper()
	c, err := New(Config{
		BaseURL: "https://api.p.2chat.io", Key: func() (string, error) { return "UAK", nil }, Privacy: privacy,
		ExactText: true, // so that the output equals the input
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// decode reads a body as the answer to a request for the page.
func decode(c *Client, body []byte, number int) (messages []connector.Message, problem string) {
	work := new(scratch)
	found, problem := scanPage(body, number, nil)
	work.items = found.items
	if problem != "" {
		return nil, problem
	}
	return c.messages(stream, body, work), ""
}

// decodeSlowly is decode with encoding/json, as simple as possible.
func decodeSlowly(c *Client, body []byte, number int) (messages []connector.Message, ok bool) {
	var page map[string]json.RawMessage
	if json.Unmarshal(body, &page) != nil || page == nil || string(page["success"]) == "false" ||
		string(page["error"]) == "true" {
		return nil, false
	}
	var elements []json.RawMessage
	var object map[string]json.RawMessage
	switch list, listed := page["messages"]; {
	case !listed && string(page["success"]) == "true", listed && string(list) == "null":
	case listed && json.Unmarshal(list, &object) == nil && len(object) == 0:
	case json.Unmarshal(list, &elements) != nil:
		return nil, false
	}
	if echo := page["page_number"]; len(echo) > 0 && string(echo) != "null" {
		var text string
		if json.Unmarshal(echo, &text) != nil {
			text = string(echo)
		}
		var shown float64
		if n, err := fmt.Sscanf(text, "%g", &shown); n != 1 || err != nil || shown != float64(number) {
			return nil, false
		}
	}
	for _, raw := range elements {
		m := connector.Message{Data: raw}
		var members map[string]json.RawMessage
		object := json.Unmarshal(raw, &members) == nil && members != nil
		text := func(name string) string {
			var text string
			if json.Unmarshal(members[name], &text) != nil {
				return ""
			}
			return text
		}
		for _, name := range []string{"uuid", "id"} {
			id := text(name)
			if m.UUID == "" && len(id) <= 128 && strings.IndexFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) < 0 {
				m.UUID = id
			}
		}
		m.Key = connector.ContentKey(raw)
		if m.UUID != "" {
			m.Key = connector.MessageKey(m.UUID)
		}
		switch {
		case !object:
			m.Fault = faultNoObject
		case len(raw) > MaxItem:
			m.Fault = faultTooLarge
		case !utf8.Valid(raw):
			m.Fault = faultUTF8
		case m.UUID == "":
			m.Fault = faultNoID
		}
		for _, name := range []string{"created_at", "timestamp"} {
			if at, ok := parseTime(members[name]); ok && m.Time.IsZero() {
				m.Time = at
			}
		}
		if by := text("sent_by"); len(by) <= 64 && strings.IndexFunc(by, func(r rune) bool {
			return r <= ' ' || r > '~'
		}) < 0 {
			m.SentBy = by
		}
		chat := "none"
		if remote := text("remote_phone_number"); remote != "" {
			chat = remote
		}
		if session := text("session_key"); session != "" {
			chat = session
		}
		m.Chat = c.privacy.chat(stream.SourceKey, []byte(chat))
		messages = append(messages, m)
	}
	return messages, true
}

// sameMessages compares everything that becomes of a message. The chat of one with invalid UTF-8 is ignored, as the
// message goes to the quarantine; encoding/json repairs such text, and would get another chat.
func sameMessages(t *testing.T, got, want []connector.Message) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		if string(g.Data) != string(w.Data) || !g.Time.Equal(w.Time) {
			t.Errorf("message %d: data or time differ:\n%q %v\n%q %v", i, g.Data, g.Time, w.Data, w.Time)
		}
		if g.Fault == faultUTF8 {
			g.Chat = w.Chat
		}
		if g.UUID != w.UUID || g.Key != w.Key || g.SentBy != w.SentBy || g.Chat != w.Chat || g.Fault != w.Fault {
			t.Errorf("message %d: got %+v\nwant %+v", i, g, w)
		}
	}
}

const documented = `{"success":true,"page_number":0,"messages":[
 {"uuid":"MSGaf1fa3a1-0d8d-4aa5-b117-f9425b651485","timestamp":1670454681.0,"session_key":"WW-WPN95841312-b54d-46e3-b0bc-6414f4a5296b-5215512345432@c.us",
  "message":{"media":{"url":"https://2chat-user-data-dev.s3.amazonaws.com/ACC/accm/x.svg","type":"image","mime_type":"image/svg+xml"}},
  "remote_phone_number":"+5215512345432","channel_phone_number":"+595981048477","sent_by":"api"},
 {"id":"MSGcf20bbdb-0a8a-4eef-bca1-aa2ea22c5294","created_at":"2026-02-18T18:01:35",
  "remote_phone_number":"+5215533334444",
  "sent_by":"user",
  "message":{"text":"hölà \ud83d\ude00 \ud800 <b>","n":12345678901234567890.10e+2}, "unknown" : [ 1 ,2]}
]}`

func TestPage_BothItemShapes(t *testing.T) {
	c := plainClient(t, Privacy{})
	messages, problem := decode(c, []byte(documented), 0)
	if problem != "" || len(messages) != 2 {
		t.Fatalf("%d messages, problem %q", len(messages), problem)
	}
	first, second := messages[0], messages[1]
	if first.UUID != "MSGaf1fa3a1-0d8d-4aa5-b117-f9425b651485" ||
		!first.Time.Equal(time.Date(2022, 12, 7, 23, 11, 21, 0, time.UTC)) || first.SentBy != "api" {
		t.Errorf("first message: %+v", first)
	}
	if second.UUID != "MSGcf20bbdb-0a8a-4eef-bca1-aa2ea22c5294" ||
		!second.Time.Equal(time.Date(2026, 2, 18, 18, 1, 35, 0, time.UTC)) || second.SentBy != "user" {
		t.Errorf("second message: %+v", second)
	}
	if first.Chat == second.Chat || len(first.Chat) != 26 {
		t.Errorf("chats %q and %q", first.Chat, second.Chat)
	}
	for _, m := range messages {
		if m.Fault != "" || !strings.Contains(documented, string(m.Data)) || cap(m.Data) != len(m.Data) ||
			m.Key != connector.MessageKey(m.UUID) {
			t.Errorf("message %q: fault %q, data %q", m.UUID, m.Fault, m.Data)
		}
	}
	want, ok := decodeSlowly(c, []byte(documented), 0)
	if !ok {
		t.Fatal("encoding/json does not accept the page")
	}
	sameMessages(t, messages, want)
}

func TestPage_Valid(t *testing.T) {
	c := plainClient(t, Privacy{})
	for _, test := range []struct {
		name, body string
		number     int
		problem    string
	}{
		{"empty list", `{"success":true,"page_number":0,"messages":[]}`, 0, ""},
		{"no success", `{"messages":[]}`, 0, ""},
		{"success null", `{"success":null,"messages":[]}`, 0, ""},
		{"echo", `{"page_number":7,"messages":[]}`, 7, ""},
		{"echo as text", `{"page_number":"7","messages":[]}`, 7, ""},
		{"echo null", `{"page_number":null,"messages":[]}`, 7, ""},
		{"the last of two counts", `{"messages":null,"messages":[]}`, 0, ""},
		{"names match to the letter", `{"Messages":null,"SUCCESS":false,"messages":[]}`, 0, ""},
		{"name in escapes", `{"me\u0073sages":[]}`, 0, ""},
		{"wrong echo", `{"page_number":0,"messages":[]}`, 1, "it shows another page number than the one asked for"},
		{"echo is no number", `{"page_number":{},"messages":[]}`, 0, "it shows another page number than the one asked for"},
		{"success false", `{"success":false,"messages":[]}`, 0, "it says that the request did not succeed"},
		{
			"error shape", `{"success":false,"error":true,"error_message":"no credits left for +595981048477"}`, 0,
			"it says that the request did not succeed",
		},
		{"error true", `{"error":true,"messages":[]}`, 0, "it says that the request did not succeed"},
		{"detail shape", `{"detail":"Not authenticated"}`, 0, "it has no messages member"},
		{"message shape", `{"message":"something"}`, 0, "it has no messages member"},
		{"no messages member, or cut at a lucky place", `{"success":true,"page_number":0}`, 0, ""},
		{"messages null", `{"messages":null}`, 0, ""},
		{"messages empty object", `{"success":true,"messages":{ }}`, 0, ""},
		{"the last of two is an empty object", `{"messages":[{"uuid":"a"}],"messages":{}}`, 0, ""},
		{"messages object", `{"success":true,"messages":{"a":[]}}`, 0, "its messages member is not an array"},
		{"messages text", `{"success":true,"messages":"[]"}`, 0, "its messages member is not an array"},
		{"null, but no success", `{"success":false,"messages":null}`, 0, "it says that the request did not succeed"},
		{
			"null of another page", `{"page_number":0,"messages":null}`, 1,
			"it shows another page number than the one asked for",
		},
		{"success as text", `{"success":"true"}`, 0, "it has no messages member"},
		{"empty object", `{}`, 0, "it has no messages member"},
		{"bare array", `[]`, 0, "it is not a JSON object"},
		{"null", `null`, 0, "it is not a JSON object"},
		{"html", `<!doctype html><html>`, 0, "it is HTML or XML"},
		{"empty", "\n", 0, "it is empty"},
		{"text", `Bad gateway`, 0, "it is cut off or not JSON"},
		{"cut", `{"success":true,"messages":[{"uuid":"a"}`, 0, "it is cut off or not JSON"},
		{"garbage after", `{"messages":[]}{}`, 0, "something follows its end"},
		{"zero byte after", "{\"messages\":[]}\x00", 0, "something follows its end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, problem := decode(c, []byte(test.body), test.number); problem != test.problem {
				t.Errorf("problem %q, want %q", problem, test.problem)
			}
			if _, ok := decodeSlowly(c, []byte(test.body), test.number); ok != (test.problem == "") {
				t.Errorf("encoding/json accepts it: %v", ok)
			}
		})
	}
}

func TestPage_Items(t *testing.T) {
	c := plainClient(t, Privacy{})
	none := c.privacy.chat(stream.SourceKey, []byte("none"))
	for _, test := range []struct {
		name, item, uuid, fault, chat string
	}{
		{"uuid before id", `{"id":"b","uuid":"a"}`, "a", "", "none"},
		{"id", `{"id":"b"}`, "b", "", "none"},
		{"uuid null", `{"uuid":null,"id":"b"}`, "b", "", "none"},
		{"uuid empty", `{"uuid":"","id":"b"}`, "b", "", "none"},
		{"uuid with a blank", `{"uuid":"a b","id":"b"}`, "b", "", "none"},
		{"uuid a number", `{"uuid":7}`, "", faultNoID, "none"},
		{"uuid beyond ASCII", `{"uuid":"ä"}`, "", faultNoID, "none"},
		{"uuid of 128", `{"uuid":"` + strings.Repeat("u", 128) + `"}`, strings.Repeat("u", 128), "", "none"},
		{"uuid of 129", `{"uuid":"` + strings.Repeat("u", 129) + `"}`, "", faultNoID, "none"},
		{"uuid in escapes", `{"\u0075uid":"\u0061\/"}`, "a/", "", "none"},
		{"last of two", `{"uuid":"a","uuid":"b"}`, "b", "", "none"},
		{"last of two is null", `{"uuid":"a","uuid":null}`, "", faultNoID, "none"},
		{"other case", `{"UUID":"a"}`, "", faultNoID, "none"},
		{"nested", `{"message":{"uuid":"a"}}`, "", faultNoID, "none"},
		{"no object", `"text"`, "", faultNoObject, "none"},
		{"null", `null`, "", faultNoObject, "none"},
		{"array", `["uuid","a"]`, "", faultNoObject, "none"},
		{"empty object", `{}`, "", faultNoID, "none"},
		{"invalid UTF-8", "{\"uuid\":\"a\",\"message\":{\"text\":\"\xc3(\"}}", "a", faultUTF8, "none"},
		{"invalid UTF-8 in a name", "{\"uuid\":\"a\",\"\xff\":1}", "a", faultUTF8, "none"},
		{"lone surrogate", `{"uuid":"a","message":{"text":"\ud800"}}`, "a", "", "none"},
		{"too large", `{"uuid":"a","message":"` + strings.Repeat("x", MaxItem) + `"}`, "a", faultTooLarge, "none"},
		{"session", `{"uuid":"a","session_key":"s","remote_phone_number":"+1"}`, "a", "", "s"},
		{"session null", `{"uuid":"a","session_key":null,"remote_phone_number":"123@g.us"}`, "a", "", "123@g.us"},
		{"remote not a string", `{"uuid":"a","session_key":"","remote_phone_number":1}`, "a", "", "none"},
		{"message null", `{"uuid":"a","message":null,"timestamp":null,"sent_by":null}`, "a", "", "none"},
	} {
		t.Run(test.name, func(t *testing.T) {
			body := []byte(`{"messages":[ ` + test.item + ` ,{"uuid":"next"}]}`)
			messages, problem := decode(c, body, 0)
			if problem != "" || len(messages) != 2 {
				t.Fatalf("%d messages, problem %q", len(messages), problem)
			}
			m := messages[0]
			if m.UUID != test.uuid || m.Fault != test.fault || string(m.Data) != test.item {
				t.Errorf("got uuid %q, fault %q, data %.100q", m.UUID, m.Fault, m.Data)
			}
			key := connector.ContentKey([]byte(test.item))
			if test.uuid != "" {
				key = connector.MessageKey(test.uuid)
			}
			if m.Key != key {
				t.Errorf("key %x, want %x", m.Key, key)
			}
			if want := c.privacy.chat(stream.SourceKey, []byte(test.chat)); m.Chat != want {
				t.Errorf("chat %q, want %q", m.Chat, want)
			}
			if messages[1].UUID != "next" || messages[1].Fault != "" || messages[1].Chat != none {
				t.Errorf("the next message: %+v", messages[1])
			}
			want, ok := decodeSlowly(c, body, 0)
			if !ok {
				t.Fatal("encoding/json does not accept the page")
			}
			sameMessages(t, messages, want)
		})
	}
}

func TestPage_Time(t *testing.T) {
	c := plainClient(t, Privacy{})
	const first, second = "2022-12-07T23:11:21Z", "2026-02-18T18:01:35Z"
	for item, want := range map[string]string{
		`{"uuid":"a","timestamp":1670454681,"created_at":"2026-02-18T18:01:35"}`: second,
		`{"uuid":"a","created_at":"2026-02-18T18:01:35","timestamp":1670454681}`: second,
		`{"uuid":"a","timestamp":1670454681,"created_at":"yesterday"}`:           first,
		`{"uuid":"a","timestamp":1670454681,"created_at":null}`:                  first,
		`{"uuid":"a","timestamp":0,"created_at":{}}`:                             "0001-01-01T00:00:00Z",
		`{"uuid":"a","message":{"created_at":"2026-02-18T18:01:35"}}`:            "0001-01-01T00:00:00Z",
	} {
		messages, problem := decode(c, []byte(`{"messages":[`+item+`]}`), 0)
		if problem != "" || messages[0].Fault != "" || messages[0].Time.Format(time.RFC3339Nano) != want {
			t.Errorf("%s: %+v, problem %q, want %s", item, messages, problem, want)
		}
	}
}

func TestPage_InvalidUTF8AtTheVeryEnd(t *testing.T) {
	c := plainClient(t, Privacy{})
	messages, problem := decode(c, []byte("{\"messages\":[{\"uuid\":\"a\",\"t\":          \"\xff\"}]}"), 0)
	if problem != "" || messages[0].Fault != faultUTF8 {
		t.Errorf("%+v, problem %q", messages, problem)
	}
}

func TestPage_SentBy(t *testing.T) {
	for by, want := range map[string]string{
		"user": "user", "api": "api", "agent": "agent", "system": "system", "": "", "a b": "", "ü": "",
		strings.Repeat("x", 64): strings.Repeat("x", 64), strings.Repeat("x", 65): "",
	} {
		if got := sender([]byte(by)); got != want {
			t.Errorf("sender(%q) = %q, want %q", by, got, want)
		}
	}
}

func TestPage_TooManyItems(t *testing.T) {
	c := plainClient(t, Privacy{})
	page := func(n int) []byte { return []byte(`{"messages":[` + strings.Repeat(`{},`, n-1) + `{}]}`) }
	if messages, problem := decode(c, page(maxItems-1), 0); problem != "" || len(messages) != maxItems-1 {
		t.Errorf("%d messages, problem %q", len(messages), problem)
	}
	if _, problem := decode(c, page(maxItems+5), 0); problem != "it has too many items" {
		t.Errorf("problem %q", problem)
	}
}

// FuzzPage compares the scanner with encoding/json: the same pages are valid, with the same messages.
func FuzzPage(f *testing.F) {
	f.Add([]byte(documented))
	f.Add([]byte(`{"page_number":"0","messages":[null,{"id":"x","created_at":"2022-10-31 22:05:44","session_key":"a\u0040c.us"}]}`))
	f.Add([]byte(`{"success":false,"error":true,"error_message":"x"}`))
	f.Add([]byte("{\"messages\":[{\"uuid\":\"a\",\"t\":\"\xff\"},{\"uuid\":\"b\",\"uuid\":1e3}],\"messages\":[1,[2]]}"))
	f.Add([]byte("{\"messages\":[{\"uuid\":\"a\",\"session_key\":\"\xff\"}]}"))
	c := plainClient(f, Privacy{})
	f.Fuzz(func(t *testing.T, body []byte) {
		messages, problem := decode(c, body, 0)
		want, ok := decodeSlowly(c, body, 0)
		if ok != (problem == "") {
			// Sscanf and ParseFloat read odd numbers in strings differently, and encoding/json repairs names in invalid UTF-8.
			if problem == problemEcho || !utf8.Valid(body) {
				return
			}
			t.Fatalf("problem %q, encoding/json accepts it: %v", problem, ok)
		}
		if problem == "" {
			sameMessages(t, messages, want)
		}
	})
}

// TestPage_RandomPages compares the scanner with encoding/json on many pages that are nearly valid.
func TestPage_RandomPages(t *testing.T) {
	c := plainClient(t, Privacy{})
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[random.IntN(len(list))] }
	for range 3000 {
		var body strings.Builder
		body.WriteString(pick(`{"success":true,`, `{ `, `{"x":{"messages":[]},`) + pick(``, `"page_number":0,`,
			`"page_number":1,`) + `"messages":[`)
		for i := range random.IntN(5) {
			if i > 0 {
				body.WriteString(pick(",", " , "))
			}
			body.WriteString(pick("{", " {") + pick(`"uuid":"a"`, `"uuid":null,"id":"b"`, `"id":7`, `"u\u0075id":"x"`))
			body.WriteString(pick("", `,"created_at":"2026-02-18T18:01:35"`, `,"timestamp":1670454681.5`,
				`,"timestamp":"x","created_at":0`))
			body.WriteString(pick("", `,"session_key":"s"`, `,"session_key":"\u00e9"`, `,"session_key":[]`) + pick("",
				`,"remote_phone_number":"+1"`))
			body.WriteString(pick("", `,"message":{"text":"`+pick("plain", "ünï", "\xff", `\ud800`, `\"`, "\n")+`"}`) + pick("",
				`,"sent_by":"user"`) + pick("}", "} ", ""))
		}
		body.WriteString(pick("]}", "] }\n", "]", `],"error":false}`, `],"success":false}`))
		messages, problem := decode(c, []byte(body.String()), 0)
		want, ok := decodeSlowly(c, []byte(body.String()), 0)
		if ok != (problem == "") {
			t.Fatalf("problem %q, encoding/json accepts it: %v\n%s", problem, ok, body.String())
		}
		if problem == "" {
			sameMessages(t, messages, want)
		}
	}
}
