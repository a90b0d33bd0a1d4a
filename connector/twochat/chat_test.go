package twochat

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

const (
	ana   = "WW-WPN95841312-b54d-46e3-b0bc-6414f4a5296b-5215512345432@c.us"
	bob   = "WW-WPN95841312-b54d-46e3-b0bc-6414f4a5296b-15512345432@c.us"
	lid   = "WW-WPN95841312-b54d-46e3-b0bc-6414f4a5296b-374364977959590@lid"
	group = "WW-WPN95841312-b54d-46e3-b0bc-6414f4a5296b-5215512345432-1600000001@g.us"
)

// eventsOfItems returns the events that items become under some privacy settings.
func eventsOfItems(t *testing.T, privacy Privacy, row bool, items ...string) (events [][]byte) {
	t.Helper()
	preview, err := NewPreview(privacy, stream)
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range items {
		shown := preview.Item([]byte(item))
		if shown.Fault != "" {
			t.Fatalf("%s: %s", item, shown.Fault)
		}
		data := []byte(shown.After)
		if row {
			data, _ = json.Marshal(map[string]string{"item": string(shown.After)})
		}
		uuid := fmt.Sprint("m", i)
		m := connector.Message{UUID: uuid, Key: connector.MessageKey(uuid), Chat: shown.Chat, Data: data}
		e := connector.NewEvent(stream, m, connector.EventSettings{TypePrefix: "p"}, time.Now(), uint64(i+1), false)
		events = append(events, e.AppendJSON(nil))
	}
	return events
}

// picked lists which of some events a chat selects, after it has looked at all of them.
func picked(t *testing.T, privacy Privacy, said string, events [][]byte) string {
	t.Helper()
	chat, err := NewChat(privacy, stream, said)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		chat.Learn(e)
	}
	out := ""
	for i, e := range events {
		if chat.Event(e) {
			out += fmt.Sprint(i)
		}
	}
	return out
}

func TestChat_Event(t *testing.T) {
	items := []string{
		`{"uuid":"m0","session_key":"` + ana + `","remote_phone_number":"+5215512345432"}`,
		`{"uuid":"m1","session_key":"` + bob + `","remote_phone_number":"+15512345432","message":{"text":"call +5215512345432"}}`,
		`{"uuid":"m2","remote_phone_number":"+5215512345432"}`,
		`{"uuid":"m3","session_key":"` + group + `","remote_phone_number":"5215512345432-1600000001@g.us","participant":{"phone_number":"+5215512345432"}}`,
		`{"uuid":"m4","session_key":"` + group + `","remote_phone_number":"+5215512345432","participant":{"phone_number":"+5215512345432"}}`,
		`{"uuid":"m5","session_key":"` + ana + `"}`,
		`{"uuid":"m6"}`,
		`{"uuid":"m7","session_key":"` + lid + `","remote_phone_number":"374364977959590@lid"}`,
	}
	for name, privacy := range map[string]Privacy{
		"hashed": {}, "clear": {Identifiers: IdentifiersClear},
		"pseudonymous": {Identifiers: IdentifiersPseudonymous, Secret: secret},
	} {
		for _, row := range []bool{false, true} {
			events := eventsOfItems(t, privacy, row, items...)
			var first struct{ Subject string }
			if err := json.Unmarshal(events[0], &first); err != nil {
				t.Fatal(err)
			}
			for said, want := range map[string]string{
				"+52 1 55 1234-5432": "025", "00 5215512345432": "025", "5215512345432@c.us": "025",
				"15512345432": "1", "5512345432": "", "52155123454": "", "1234": "", "": "",
				ana: "05", group: "34", first.Subject: "05", "none": "6", "5215512345432@lid": "",
				"374364977959590@lid": "7", "74364977959590@lid": "", "5215512345432-1600000001@g.us": "34", "1600000001@g.us": "",
			} {
				if got := picked(t, privacy, said, events); got != want {
					t.Errorf("%s, rows %t: %q picks %q, want %q", name, row, said, got, want)
				}
			}
		}
	}
}

func TestChat_Reject(t *testing.T) {
	raws := []string{
		`{"session_key":"` + ana + `","message":{}}`,
		`{"session_key":"` + bob + `","message":{"text":"call +5215512345432"}}`,
		"{\"session_key\" : \"" + ana + "\",\"message\":{\"text\":\"\xff\"}}",
		`{"remote_phone_number":"+52 1 5512345432","message":{"text":"cut he`,
		`"not an object, of 5215512345432"`,
		`"of 52155123454321, another number"`,
		`{"session_key":"` + group + `","participant":{"phone_number":"+5215512345432"}}`,
		`["WW-WPN95841312-b54d-46e3-b0bc-6414f4a5296b-5215512345432@c.us"]`,
	}
	for said, want := range map[string]string{
		"+52 1 55 1234-5432": "02347", ana: "027", "15512345432": "1", group: "6", "5215512345432-1600000001@g.us": "6",
	} {
		chat, err := NewChat(Privacy{}, stream, said)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for i, raw := range raws {
			r := connector.NewReject(&connector.Message{Data: []byte(raw)}, "bad", time.Now())
			record, err := r.AppendJSON(nil, stream, "p")
			if err != nil {
				t.Fatal(err)
			}
			if chat.Reject(record) {
				got += fmt.Sprint(i)
			}
		}
		if got != want {
			t.Errorf("%q picks %q, want %q", said, got, want)
		}
	}
}

// An event tells what its chat's token is made of, unless a pseudonym key hides that; and what it is made of leads to the
// tokens under other keys.
func TestChat_MadeOf(t *testing.T) {
	item := `{"uuid":"m0","session_key":"` + ana + `","remote_phone_number":"+5215512345432"}`
	former := Privacy{Identifiers: IdentifiersClear}
	for name, c := range map[string]struct {
		privacy Privacy
		madeOf  string
	}{
		"hashed": {Privacy{}, ana}, "clear": {former, ana},
		"pseudonymous": {Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret}, ""},
	} {
		for _, row := range []bool{false, true} {
			event := eventsOfItems(t, c.privacy, row, item)[0]
			token, madeOf := ChatToken(event)
			if token == "" || madeOf != c.madeOf || !IsToken(token) {
				t.Errorf("%s: the token %q is made of %q, want %q", name, token, madeOf, c.madeOf)
			}
			chat, err := NewChat(c.privacy, stream, token)
			if err != nil {
				t.Fatal(err)
			}
			if !chat.ByTokenAlone() {
				t.Errorf("%s: a token is taken for something else", name)
			}
			if chat.Also(ana); chat.ByTokenAlone() {
				t.Errorf("%s: it is not known what the token is made of", name)
			}
			if !chat.AddFormerKey(connector.FormerKey{Privacy: former.Name(), SourceKey: stream.SourceKey}) ||
				!chat.Event(event) || !chat.Event(eventsOfItems(t, former, row, item)[0]) {
				t.Errorf("%s: the chat is not found under its former key", name)
			}
		}
	}
	for said, want := range map[string]bool{
		"zcphjmn4": true, "zcphjmn": false, "+595981048477": false, "5959810484": false, ana: false, "Zcphjmn4": false,
		"595981048477=40c=2Eus": true,
	} {
		if IsToken(said) != want {
			t.Errorf("%s is a token: %v, want %v", said, !want, want)
		}
	}
}
