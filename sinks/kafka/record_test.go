package kafka

import (
	"bytes"
	"strings"
	"testing"

	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// TestHeaders fixes the headers of each way of writing.
func TestHeaders(t *testing.T) {
	event := &sinktest.Events(sinktest.Stream("595981048477"), 15, 1)[0] // it is late, and has a time and a schema
	const (
		own = "twochat_id twochat_source twochat_sequence twochat_late "
		all = "ce_specversion ce_id ce_source ce_type ce_subject ce_time ce_dataschema ce_partitionkey ce_sentby ce_recordedtime " +
			"ce_sequence ce_late content-type"
		structured = "application/cloudevents+json; charset=utf-8"
	)
	var named string
	for _, form := range StructuredHeaders() {
		named += form.Name + " "
	}
	if named != own {
		t.Errorf("named are %s, want %s", named, own)
	}
	cases := map[string]struct {
		encoding connector.Encoding
		names    string
		kind     string
	}{
		"structured":              {connector.Encoding{Mode: connector.ModeStructured}, own + "content-type", structured},
		"structured with headers": {connector.Encoding{Mode: connector.ModeStructured, Headers: true}, own + all, structured},
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
			back, err := decodeEvent(r.headers, r.value)
			if err != nil || !bytes.Equal(back, event.AppendJSON(nil)) {
				t.Errorf("back: %s, %v", back, err)
			}
		})
	}
}

// TestDecodeEvent tests the decoder with the table for all sinks.
func TestDecodeEvent(t *testing.T) {
	sinktest.Decoding(t, sinktest.Decoder{
		Header: func(name, value string) (string, string) {
			if name == sinktest.ContentType {
				return headerContentType, value
			}
			return HeaderPrefix + name, value
		},
		Decode: func(headers []sinktest.Header, data []byte) ([]byte, error) {
			var list []protocol.Header
			for _, h := range headers {
				list = append(list, protocol.Header{Key: h.Name, Value: []byte(h.Value)})
			}
			return decodeEvent(list, data)
		},
	})
}

// FuzzSeen reads headers that anyone may have written.
func FuzzSeen(f *testing.F) {
	f.Add("ce_id", "a", "ce_sequence", "00000000000000000001")
	f.Add("ce_late", "true", "ce_", "\xff\"\\")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		headers := []protocol.Header{{Key: name1, Value: []byte(value1)}, {Key: name2, Value: []byte(value2)}}
		if seen, ok := seenOf(headers); ok && (seen.Sequence == 0 || attributeID.of(headers) == nil) {
			t.Errorf("seen %+v", seen)
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
