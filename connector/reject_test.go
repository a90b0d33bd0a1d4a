package connector

import (
	"bytes"
	"testing"
	"time"
)

func TestNewReject_KeepsTheHeadOfWhatIsLarge(t *testing.T) {
	m := Message{Data: bytes.Repeat([]byte("x"), QuarantineBytes+5)}
	r := NewReject(&m, "too large", time.Time{})
	if len(r.Raw) != QuarantineBytes || r.Length != QuarantineBytes+5 || len(r.Hash) != 64 {
		t.Errorf("%d bytes of %d, hash %s", len(r.Raw), r.Length, r.Hash)
	}
}

// If the privacy settings allow keeping nothing of a message, the quarantine only records that there was one, with its
// length and hash.
func TestNewReject_WithholdsWhatIsPrivate(t *testing.T) {
	data := []byte(`{"message":{"text":"secret"}}`)
	open := NewReject(&Message{Data: data}, "no id", time.Time{})
	withheld := NewReject(&Message{Data: data, Withheld: true}, "no id", time.Time{})
	if len(withheld.Raw) != 0 || withheld.Raw == nil || withheld.Length != len(data) || withheld.Hash != open.Hash ||
		withheld.Reason != "no id" {
		t.Errorf("withheld: %+v", withheld)
	}
	event, err := withheld.AppendJSON(nil, Stream{Name: "a"}, "x")
	if err != nil || bytes.Contains(event, []byte("secret")) || bytes.Contains(event, []byte("c2VjcmV0")) {
		t.Errorf("%s, %v", event, err)
	}
}

// The quarantine contains the item, even if its event would have carried a row.
func TestNewReject_KeepsTheItemOfARow(t *testing.T) {
	const item = `{"uuid":"a\\b"}`
	m := Message{Data: []byte(`{"item":"{\"uuid\":\"a\\\\b\"}"}`), ItemAt: len(`{"item":`)}
	got, want := NewReject(&m, "too large", time.Time{}), NewReject(&Message{Data: []byte(item)}, "too large", time.Time{})
	if string(got.Raw) != item || got.Hash != want.Hash || got.Length != len(item) {
		t.Errorf("%+v", got)
	}
}

func TestReject_IsACloudEventOfItsOwn(t *testing.T) {
	tests := []struct {
		name string
		raw  []byte
		cut  bool
	}{
		{"text", []byte(`{"uuid":7}`), false},
		{"no text at all", []byte("\xff\x00\""), false},
		{"cut", bytes.Repeat([]byte("x"), QuarantineBytes+1), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m, read := Message{Key: ContentKey(test.raw), Data: test.raw}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			r := NewReject(&m, "no uuid", read)
			event, err := r.AppendJSON(nil, Stream{Name: "support"}, "co.2chat.whatsapp")
			if err != nil {
				t.Fatal(err)
			}
			got := oracle(t, event)
			if got.Type() != "co.2chat.whatsapp.connector.reject" || got.ID() != "reject-"+HashToken(m.Key) ||
				got.Source() != "//2chat.co/whatsapp/support" ||
				!got.Time().Equal(read) {
				t.Errorf("it reads %s", got)
			}
			var data struct {
				Reason string
				Length int
				SHA256 string
				Cut    bool
				Raw    []byte
			}
			if err := got.DataAs(&data); err != nil {
				t.Fatal(err)
			}
			kept := test.raw[:min(len(test.raw), QuarantineBytes)]
			if data.Reason != "no uuid" || data.Length != len(test.raw) || data.Cut != test.cut ||
				!bytes.Equal(data.Raw, kept) || len(data.SHA256) != 64 {
				t.Errorf("reason %q, length %d, cut %v, hash %q, %d bytes kept", data.Reason, data.Length, data.Cut, data.SHA256,
					len(data.Raw))
			}
		})
	}
}
