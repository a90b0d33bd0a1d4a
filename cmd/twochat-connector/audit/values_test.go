package audit

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// whole is a list that is read to its end, with settings: each message by its uuid.
func whole(t *testing.T, url string, c twochat.Config) map[string]connector.Message {
	t.Helper()
	c.BaseURL, c.Timeout, c.Key = url, 10*time.Second, func() (string, error) { return "k", nil }
	client, err := twochat.New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	stream := connector.Stream{Name: "a", Number: twochattest.DefaultNumber, SourceKey: "k"}
	all := make(map[string]connector.Message)
	for number := range 3 {
		page, err := client.Page(context.WithoutCancel(t.Context()), stream, number, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Messages {
			if m.Fault == "" {
				all[m.UUID] = m
			}
		}
	}
	return all
}

// valuesOfMessage are those that the audit has of a message.
func valuesOfMessage(t *testing.T, m connector.Message) values {
	t.Helper()
	d := newDecoder()
	d.keepValues()
	e := connector.NewEvent(connector.Stream{Name: "a"}, m, connector.EventSettings{TypePrefix: "p"},
		connectortest.Minute(1), 1, false)
	r, err := d.decode(e.AppendJSON(nil))
	if err != nil {
		t.Fatal(err)
	}
	return d.values[r.valued]
}

// Whatever two settings leave of a message, they agree in what both leave. Two messages do not.
func TestValues_AgreeWhateverIsDropped(t *testing.T) {
	fake := twochattest.New(twochattest.Options{Seed: 9, Key: "k", History: 250, RequestsPerMinute: 600_000})
	server, err := fake.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for _, rows := range []bool{false, true} {
		for _, identifiers := range []twochat.Identifiers{twochat.IdentifiersHashed, twochat.IdentifiersPseudonymous} {
			read := make(map[string]map[string]values) // by what is dropped and message
			var all map[string]connector.Message
			for _, drop := range []string{"", "text", "media", "quoted", "names", "text media", "text media quoted names"} {
				c := twochat.Config{Rows: rows, Privacy: twochat.Privacy{Identifiers: identifiers, Drop: strings.Fields(drop)}}
				if identifiers == twochat.IdentifiersPseudonymous {
					c.Privacy.Secret = []byte("0123456789abcdef")
				}
				read[drop] = make(map[string]values)
				all = whole(t, server.URL, c)
				for id, m := range all {
					read[drop][id] = valuesOfMessage(t, m)
				}
			}
			for drop, messages := range read {
				other := ""
				for _, id := range slices.Sorted(maps.Keys(messages)) {
					v := messages[id]
					for now, of := range read {
						if !agree(v, of[id], false) {
							t.Fatalf("message %s without %q differs from itself without %q (%s, rows: %v)", id, drop, now, identifiers,
								rows)
						}
					}
					// Two texts of one second in a chat may differ in nothing but what is dropped.
					told := drop == "" || !all[id].Time.Equal(all[other].Time) || all[id].Chat != all[other].Chat
					if other != "" && told && agree(v, messages[other], false) {
						t.Fatalf("message %s without %q agrees with %s (%s, rows: %v)", id, drop, other, identifiers, rows)
					}
					other = id
				}
			}
		}
	}
}

// An edit of what both hold is a change, and so is another chat, unless chats had other tokens before a rekey.
func TestValues_Changes(t *testing.T) {
	of := func(subject, data string) values {
		return valuesOf("received", "2026-01-01T00:00:00Z", "user", subject, []byte(data), false)
	}
	const whole = `{"uuid": "a", "text": "see https://h/f.png now", "list": ["x", "y"], "n": 1.50, "no": null, "in": "{\"a\": 1}"}`
	v := of("s", whole)
	for _, c := range []struct {
		name    string
		other   values
		rekeyed bool
		want    bool
	}{
		{"the same", of("s", whole), false, true},
		{"without the text", of("s", `{"uuid": "a", "list": ["x", "y"], "n": 1.50, "in": "{\"a\": 1}"}`), false, true},
		{"without the address in the text", of("s", `{"uuid": "a", "text": "see  now"}`), false, true},
		{"without an element", of("s", `{"uuid": "a", "list": ["y"]}`), false, true},
		{"without what is in the JSON of a text", of("s", `{"uuid": "a", "in": "{}"}`), false, true},
		{"another text", of("s", `{"uuid": "a", "text": "see later"}`), false, false},
		{"another element", of("s", `{"uuid": "a", "list": ["z"]}`), false, false},
		{"another number", of("s", `{"uuid": "a", "n": 1.51}`), false, false},
		{"another value in the JSON of a text", of("s", `{"uuid": "a", "in": "{\"a\": 2}"}`), false, false},
		{"another chat", of("t", whole), false, false},
		{"another token of the chat", of("t", whole), true, true},
	} {
		if got := agree(v, c.other, c.rekeyed); got != c.want || agree(c.other, v, c.rekeyed) != got {
			t.Errorf("%s: agrees %v, want %v", c.name, got, c.want)
		}
	}
}
