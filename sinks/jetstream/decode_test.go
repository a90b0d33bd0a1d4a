package jetstream

import (
	"bytes"
	"testing"

	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// FuzzHeaders passes headers as a stranger may have written them.
func FuzzHeaders(f *testing.F) {
	source := sinktest.Stream(stream).Source()
	for _, e := range sinktest.Events(sinktest.Stream(stream), 1, 12) {
		m := natssink.Message("whatsapp", &e, connector.Encoding{Mode: connector.ModeBinary})
		f.Add(m.Header.Get("Nats-Msg-Id"), m.Header.Get("ce-sequence"), m.Header.Get("ce-late"), "ce-subject",
			m.Header.Get("ce-subject"))
	}
	f.Add(source+"|", "00000000000000000000", "maybe", "ce-data", "%")
	f.Add(source+"|%4", "-1", "", "ce-A", "%zz")
	f.Add(source+"|a", "", "", "Twochat-Sequence", "00000000000000000009")
	f.Fuzz(func(t *testing.T, id, sequence, late, name, value string) {
		header := natsgo.Header{"Nats-Msg-Id": {id}, "ce-sequence": {sequence}, "ce-late": {late}, name: {value}}
		if seen, ok := readHeader(header, source); ok {
			said, _ := natssink.LogSequence(header)
			if got := connector.FormatSequence(seen.Sequence); got != said || seen.Sequence == 0 {
				t.Fatalf("sequence %q read as %d", sequence, seen.Sequence)
			}
		}
	})
}

// FuzzAnswer passes answers to a batch.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"stream":"WHATSAPP","seq":7,"batch":"b","count":3}`), "")
	f.Add([]byte(`{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"},"stream":"WHATSAPP","seq":0}`), "")
	f.Add([]byte(nil), "503")
	f.Add([]byte(`{"seq":7}`), "")
	f.Fuzz(func(t *testing.T, data []byte, status string) {
		sequence, final, err := settle(&natsgo.Msg{Header: natsgo.Header{"Status": {status}}, Data: data}, "b", 3)
		if err == nil && final && (sequence == 0 || !bytes.Contains(data, []byte("b"))) {
			t.Fatalf("%q is taken for an acknowledgement", data)
		}
		if !final && (sequence != 0 || err != nil) {
			t.Fatalf("%q: not final, %d, %v", data, sequence, err)
		}
	})
}
