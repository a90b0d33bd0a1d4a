package nats

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

func awkward() connector.Event {
	return connector.Event{
		ID: `a"b%c|é`, Source: connector.Stream{Name: "a b"}.Source(), Type: "co.2chat.whatsapp.message.received",
		Chat: "c.*.>",
		Time: time.Date(2026, 1, 31, 10, 0, 0, 120_000_000, time.UTC), Recorded: time.Date(2026, 1, 31, 10, 0, 1, 0,
			time.UTC),
		SentBy: "user", DataSchema: "https://example.com/s.json", Sequence: 7, Late: true,
		Data: []byte(`{ "n":12345678901234567890 }`),
	}
}

func TestMessage_Structured(t *testing.T) {
	e := awkward()
	m := Message("whatsapp", &e, connector.Encoding{Mode: connector.ModeStructured})
	if want := "whatsapp.a=20b.received.c=2E=2A=2E=3E"; m.Subject != want {
		t.Errorf("subject %s, want %s", m.Subject, want)
	}
	want := map[string]string{
		"Content-Type":     "application/cloudevents+json; charset=utf-8",
		"Nats-Msg-Id":      "//2chat.co/whatsapp/a%20b|a%22b%25c|%C3%A9",
		"Twochat-Sequence": "00000000000000000007", "Twochat-Late": "true",
	}
	if got := flat(m.Header); !maps.Equal(got, want) {
		t.Errorf("headers %v, want %v", got, want)
	}
	if !bytes.Equal(m.Data, e.AppendJSON(nil)) {
		t.Errorf("data %s", m.Data)
	}
	named := []string{HeaderContentType}
	for _, form := range StructuredHeaders() {
		named = append(named, form.Name)
	}
	slices.Sort(named)
	if got := slices.Sorted(maps.Keys(m.Header)); !slices.Equal(got, named) {
		t.Errorf("headers %v, named are %v", got, named)
	}
	e.Sequence, e.Late = 0, false
	if got := flat(Message("whatsapp", &e, connector.Encoding{Mode: connector.ModeStructured}).Header); len(got) != 2 {
		t.Errorf("headers of an event without them: %v", got)
	}
}

func TestMessage_Binary(t *testing.T) {
	e := awkward()
	m := Message("a.b", &e, connector.Encoding{Mode: connector.ModeBinary})
	want := map[string]string{
		"Content-Type": "application/json", "Nats-Msg-Id": "//2chat.co/whatsapp/a%20b|a%22b%25c|%C3%A9",
		"ce-specversion": "1.0", "ce-id": "a%22b%25c|%C3%A9", "ce-source": "//2chat.co/whatsapp/a%20b",
		"ce-type":    "co.2chat.whatsapp.message.received",
		"ce-subject": "c.*.>", "ce-time": "2026-01-31T10:00:00.12Z", "ce-datacontenttype": "application/json",
		"ce-dataschema":   "https://example.com/s.json",
		"ce-partitionkey": "c.*.>", "ce-sentby": "user", "ce-recordedtime": "2026-01-31T10:00:01Z",
		"ce-sequence": "00000000000000000007", "ce-late": "true",
	}
	if got := flat(m.Header); !maps.Equal(got, want) {
		t.Errorf("headers %v\nwant %v", got, want)
	}
	if !bytes.Equal(m.Data, e.Data) {
		t.Errorf("data %s", m.Data)
	}
	got, err := DecodeEvent(m.Header, m.Data)
	if err != nil || !bytes.Equal(got, e.AppendJSON(nil)) {
		t.Errorf("back in structured mode: %s (%v)\nwant %s", got, err, e.AppendJSON(nil))
	}
}

func flat(h natsgo.Header) map[string]string {
	got := map[string]string{}
	for name, values := range h {
		got[name] = strings.Join(values, "|again|")
	}
	return got
}

// An independent check: the CloudEvents SDK has to find the same event, and find it valid.
func TestMessage_IsACloudEventToTheSDK(t *testing.T) {
	events := append(sinktest.Events(sinktest.Stream("595981048477"), 1, 25), func() connector.Event {
		e := awkward()
		e.Source = connector.Stream{Name: "support"}.Source()
		return e
	}())
	for _, e := range events {
		var structured cloudevents.Event
		if err := json.Unmarshal(Message("whatsapp", &e, connector.Encoding{Mode: connector.ModeStructured}).Data,
			&structured); err != nil {
			t.Fatalf("structured: %v", err)
		}
		wantSame(t, structured, e)

		binary := cloudevents.New("1.0")
		m := Message("whatsapp", &e, connector.Encoding{Mode: connector.ModeBinary})
		for name, values := range m.Header {
			attribute, ok := strings.CutPrefix(name, "ce-")
			if !ok {
				continue
			}
			value, err := DecodeHeader(values[0])
			if err != nil {
				t.Fatal(err)
			}
			switch attribute {
			case "specversion":
			case "id":
				binary.SetID(value)
			case "source":
				binary.SetSource(value)
			case "type":
				binary.SetType(value)
			case "subject":
				binary.SetSubject(value)
			case "datacontenttype":
				binary.SetDataContentType(value)
			case "dataschema":
				binary.SetDataSchema(value)
			case "time":
				at, err := types.ParseTime(value)
				if err != nil {
					t.Fatal(err)
				}
				binary.SetTime(at)
			default:
				binary.SetExtension(attribute, value)
			}
		}
		binary.DataEncoded = m.Data
		wantSame(t, binary, e)
	}
}

func wantSame(t *testing.T, got cloudevents.Event, e connector.Event) {
	t.Helper()
	if err := got.Validate(); err != nil {
		t.Fatalf("the SDK finds it invalid: %v", err)
	}
	late, err := types.ToBool(got.Extensions()["late"])
	if e.Late && (err != nil || !late) || !e.Late && got.Extensions()["late"] != nil {
		t.Fatalf("late: %v", got.Extensions()["late"])
	}
	switch {
	case got.ID() != e.ID, got.Source() != e.Source, got.Type() != e.Type, got.Subject() != e.Chat,
		got.DataSchema() != e.DataSchema,
		!got.Time().Equal(e.Time), got.DataContentType() != "application/json", got.Extensions()["partitionkey"] != e.Chat,
		got.Extensions()["sequence"] != connector.FormatSequence(e.Sequence),
		got.Extensions()["recordedtime"] != connector.FormatTime(e.Recorded):
		t.Fatalf("the SDK reads another event:\n%s\nwant %+v", got, e)
	}
	if sentBy, _ := got.Extensions()["sentby"].(string); sentBy != e.SentBy {
		t.Fatalf("sentby: %q, want %q", sentBy, e.SentBy)
	}
	if !bytes.Equal(got.Data(), e.Data) {
		t.Fatalf("data: %s, want %s", got.Data(), e.Data)
	}
}

func TestRejectMessage_FitsTheServer(t *testing.T) {
	raw := bytes.Repeat([]byte{0xFF}, connector.QuarantineBytes)
	r := connector.Reject{
		Key: connector.ContentKey(raw), Reason: "not valid UTF-8", Raw: raw, Length: 1 << 20, Hash: "00",
		Recorded: time.Unix(0, 0),
	}
	for _, most := range []int64{0, 1 << 20, 64 << 10, 4 << 10, 1 << 10, 1} {
		m, err := RejectMessage("whatsapp", sinktest.Stream("a.b"), &r, connector.Encoding{TypePrefix: "x"}, most)
		if err != nil {
			t.Fatal(err)
		}
		q := sinktest.Quarantine(t, m.Data)
		if most > 512 && int64(Size(m)) > most || !q.Cut || q.Length != 1<<20 || !bytes.HasPrefix(raw, q.Raw) || most == 0 &&
			len(q.Raw) != len(raw) || most == 4<<10 && len(q.Raw) < 1<<10 {
			t.Errorf("at most %d: %d bytes, %d of them raw", most, Size(m), len(q.Raw))
		}
		if len(r.Raw) != len(raw) {
			t.Fatal("the reject itself was cut")
		}
	}
}

func TestSize_IsWhatNATSCounts(t *testing.T) {
	e := awkward()
	broker := startServer(t, serverWith(2_000))
	conn, err := (Connection{URL: broker.ClientURL()}).Dial(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, over := range []int{0, 1} {
		m := Message("whatsapp", &e, connector.Encoding{Mode: connector.ModeBinary})
		m.Data = bytes.Repeat([]byte("x"), len(m.Data)+2_000-Size(m)+over)
		if err := conn.PublishMsg(m); (err != nil) != (over > 0) {
			t.Errorf("%d bytes of 2000: %v", Size(m), err)
		}
	}
}

func TestCheckSubject(t *testing.T) {
	for subject, good := range map[string]bool{
		"whatsapp": true, "a.b-c_D9": true, "": false, "a..b": false, ".a": false, "a.": false, "a.*": false, ">": false,
		"a b": false, "$JS": false, "é": false, strings.Repeat("a", 129): false,
	} {
		if got := CheckSubject(subject); (got == "") != good {
			t.Errorf("%q: %q", subject, got)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, value := range []string{"", "plain", "a b", `"%"`, "é🙂", "\x00\r\n", "%zz", "%4", "%", "%e9"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		encoded := EncodeHeader(value)
		for i := range len(encoded) {
			if c := encoded[i]; c <= 0x20 || c >= 0x7F || c == '"' {
				t.Fatalf("%q in %q", c, encoded)
			}
		}
		if got, err := DecodeHeader(encoded); err != nil || got != value {
			t.Fatalf("%q came back as %q (%v)", value, got, err)
		}
		if _, err := DecodeHeader(value); err != nil && !strings.Contains(value, "%") {
			t.Fatal(err)
		}
	})
}

// TestDecodeEvent tests the decoder of both NATS sinks with the table for all sinks.
func TestDecodeEvent(t *testing.T) {
	sinktest.Decoding(t, sinktest.Decoder{
		Header: func(name, value string) (string, string) {
			if name == sinktest.ContentType {
				return HeaderContentType, value
			}
			return HeaderPrefix + name, EncodeHeader(value)
		},
		Decode: func(headers []sinktest.Header, data []byte) ([]byte, error) {
			header := natsgo.Header{}
			for _, h := range headers {
				header[h.Name] = append(header[h.Name], h.Value)
			}
			return DecodeEvent(header, data)
		},
	})
	for _, value := range []string{"%", "%4", "%zz", "a%"} {
		header := natsgo.Header{"ce-specversion": {"1.0"}, "ce-id": {value}, "ce-source": {"s"}, "ce-type": {"t"}}
		if event, err := DecodeEvent(header, []byte("1")); err == nil {
			t.Errorf("%q is read as %s", value, event)
		}
	}
}

func TestEncoder_LeavesNothingOfTheMessageBefore(t *testing.T) {
	long, short := awkward(), awkward()
	long.Late, long.Data = true, []byte(`{"text":"`+strings.Repeat("x", 5000)+`"}`)
	short.ID, short.Sequence, short.Late = "MSG2", 0, false
	for _, mode := range []connector.Mode{connector.ModeStructured, connector.ModeBinary} {
		encoding := connector.Encoding{Mode: mode}
		var n Encoder
		n.Message("whatsapp", &long, encoding).Header.Set("Nats-Batch-Id", "b")
		got, want := n.Message("whatsapp", &short, encoding), Message("whatsapp", &short, encoding)
		if got.Subject != want.Subject || !maps.Equal(flat(got.Header), flat(want.Header)) ||
			!bytes.Equal(got.Data, want.Data) || got.Reply != "" {
			t.Errorf("%s: %+v, want %+v", mode, got, want)
		}
	}
}

func TestSizeBound(t *testing.T) {
	plain, bad := awkward(), awkward()
	plain.Chat = connector.HashToken([16]byte{1})
	for _, text := range []*string{
		&bad.ID, &bad.Source, &bad.Type, &bad.Chat, &bad.SentBy, &bad.DataSchema, &bad.Traceparent,
	} {
		*text = strings.Repeat("\x01\xff\"", 100)
	}
	bad.Late, bad.Repaired = true, true
	for _, e := range []connector.Event{plain, bad, {}} {
		for _, mode := range []connector.Mode{connector.ModeStructured, connector.ModeBinary} {
			if size, most := Size(Message("whatsapp", &e, connector.Encoding{Mode: mode})), SizeBound(&e); size > most {
				t.Errorf("%s: %d bytes, and the bound is %d", mode, size, most)
			}
		}
	}
}
