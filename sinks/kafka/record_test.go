package kafka

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// TestHeaders pins which headers each way of writing has.
func TestHeaders(t *testing.T) {
	event := &sinktest.Events(sinktest.Stream("595981048477"), 15, 1)[0] // it is late, and has a time and a schema
	const all = "ce_specversion ce_id ce_source ce_type ce_subject ce_time ce_dataschema ce_partitionkey ce_sentby ce_recordedtime ce_sequence ce_late content-type"
	cases := map[string]struct {
		encoding connector.Encoding
		names    string
		kind     string
	}{
		"structured":              {connector.Encoding{Mode: connector.ModeStructured}, "ce_id ce_source ce_sequence ce_late content-type", connector.StructuredType},
		"structured with headers": {connector.Encoding{Mode: connector.ModeStructured, Headers: true}, all, connector.StructuredType},
		"binary":                  {connector.Encoding{Mode: connector.ModeBinary}, all, "application/json"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := new(draft).of(event, c.encoding)
			var names []string
			for _, h := range r.headers {
				names = append(names, h.Key)
			}
			want := c.names
			if event.SentBy == "" {
				want = strings.Replace(want, "ce_sentby ", "", 1)
			}
			if got := strings.Join(names, " "); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if got := string(header(r.headers, headerContentType)); got != c.kind {
				t.Errorf("content type %q, want %q", got, c.kind)
			}
			if seen, ok := seenOf(r.headers); !ok || seen != (connector.Seen{Key: event.Key, Sequence: 15, Late: true}) {
				t.Errorf("seen %+v, %t", seen, ok)
			}
			back, err := structured(r.headers, r.value)
			if err != nil || !sameJSON(t, back, event.AppendJSON(nil)) {
				t.Errorf("back: %s, %v", back, err)
			}
		})
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var left, right map[string]json.RawMessage
	if err := json.Unmarshal(a, &left); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &right); err != nil {
		t.Fatal(err)
	}
	if len(left) != len(right) {
		return false
	}
	for name := range left {
		if string(left[name]) != string(right[name]) {
			return false
		}
	}
	return true
}

// FuzzStructured reads records that anyone may have written: what is not an event is left out, and nothing panics.
func FuzzStructured(f *testing.F) {
	f.Add("ce_id", "a", "content-type", "application/json", "{}")
	f.Add("ce_sequence", "00000000000000000001", "Content-Type", "application/cloudevents+json", "")
	f.Add("ce_late", "true", "ce_", "\xff\"\\", "1")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, data string) {
		headers := []protocol.Header{{Key: name1, Value: []byte(value1)}, {Key: name2, Value: []byte(value2)}}
		if seen, ok := seenOf(headers); ok && (seen.Sequence == 0 || header(headers, headerID) == nil) {
			t.Errorf("seen %+v", seen)
		}
		event, err := structured(headers, []byte(data))
		binary := !strings.HasPrefix(strings.ToLower(string(header(headers, headerContentType))), "application/cloudevents")
		if err == nil && binary && json.Valid([]byte(data)) && !json.Valid(event) {
			t.Errorf("no JSON: %s", event)
		}
	})
}

func TestPositions(t *testing.T) {
	for _, text := range []string{`{`, `{"partitions":-1}`, `{"partitions":1,"next":[1,2]}`} {
		if _, err := readPositions([]byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	if p, err := readPositions(nil); err != nil || p.Partitions != 0 {
		t.Errorf("nothing: %+v, %v", p, err)
	}
}
