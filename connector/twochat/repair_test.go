package twochat

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestRepair(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                     ``,
		`{"a":"\ud83d\ude00 \uD83D\uDE00"}`:      ``,
		`{"a":"\\ud800 \\u0000"}`:                ``,
		`{"a":"\u0001\u00e9\ue000\ud7ff\n\"\\"}`: ``,
		`{"a":"\ud800"}`:                         `{"a":"\ufffd"}`,
		`{"a":"\uDFFF\u0000"}`:                   `{"a":"\ufffd\ufffd"}`,
		`{"a":"\\\ud800\\"}`:                     `{"a":"\\\ufffd\\"}`,
		`{"a":"\ude00\ud83d"}`:                   `{"a":"\ufffd\ufffd"}`,
		`{"a":"\ud83d\ud83d\ude00"}`:             `{"a":"\ufffd\ud83d\ude00"}`,
		`{"a":"\ud83d\ude00\ude00"}`:             `{"a":"\ud83d\ude00\ufffd"}`,
		`{"a":"\ud83d\\ude00"}`:                  `{"a":"\ufffd\\ude00"}`,
		`{"a":"\ud83d\n"}`:                       `{"a":"\ufffd\n"}`,
		`{"\ud800":["\u0000",{"b":"\udc00"}]}`:   `{"\ufffd":["\ufffd",{"b":"\ufffd"}]}`,
	} {
		repaired := want != ""
		if !repaired {
			want = text
		}
		before := strings.Clone(text)
		got, changed := repair([]byte(text))
		if string(got) != want || changed != repaired || text != before {
			t.Errorf("%s became %s (%t)", text, got, changed)
		}
	}
}

// escapes matches pairs of surrogates, or escapes that represent no character, or any other escape.
var escapes = regexp.MustCompile(`(\\u[dD][89abAB]..\\u[dD][c-fC-F]..)|(\\u[dD][89a-fA-F]..|\\u0000)|\\.`)

// broken reports whether a JSON text contains an escape that represents no character.
func broken(text []byte) bool {
	for _, m := range escapes.FindAllSubmatch(text, -1) {
		if m[2] != nil {
			return true
		}
	}
	return false
}

// FuzzRepair compares repaired text with a regular expression, and then applies privacy to it.
func FuzzRepair(f *testing.F) {
	f.Add([]byte(`{"uuid":"a","message":{"text":"\ud83d \ud83d\ude00 \u0000 \\u0000 é"},"\udc00":1}`))
	f.Add([]byte(`{"text":"call +595 981 048477 \ud800","n":"{\"a\":\"\\u0000 59598104847 \\ud800\"}","x":"\u0000Maria"}`))
	f.Add([]byte(`["\\\ud800","\"\ud800\ud800\udc00\""]`))
	rules := []*redactor{
		mustRedact(f, Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret}),
		mustRedact(f, Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret, Drop: []string{DropText, DropNames}}),
		mustRedact(f, Privacy{Drop: []string{DropMedia, DropQuoted}}),
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := scanner{data: text}
		if s.value(0, 0) != len(text) || !utf8.Valid(text) || s.deep {
			return
		}
		original := bytes.Clone(text)
		got, repaired := repair(text)
		switch {
		case !bytes.Equal(text, original):
			t.Fatal("the text itself was changed")
		case repaired != broken(text) || repaired && !s.halves:
			t.Fatalf("%s: repaired %t, hinted at %t", text, repaired, s.halves)
		case len(got) != len(text) || !json.Valid(got) || broken(got):
			t.Fatalf("%s became %s", text, got)
		}
		want := escapes.ReplaceAllFunc(text, func(escape []byte) []byte {
			if len(escape) == len(replacement) {
				return []byte(replacement)
			}
			return escape
		})
		if !bytes.Equal(got, want) {
			t.Fatalf("%s\nbecame %s\nwant   %s", text, got, want)
		}
		if text[0] != '{' {
			return
		}
		for _, r := range rules {
			if rewritten := r.rewrite(got, "+595981048477"); !json.Valid(rewritten) || broken(rewritten) {
				t.Fatalf("%s became %s", got, rewritten)
			}
		}
	})
}

// TestRepair_OfAPage reads one page in every way: the identifiers of a message are the same in all of them.
func TestRepair_OfAPage(t *testing.T) {
	const odd = `{"uuid":"a","session_key":"\ud800k","message":{"text":"x \u0000 \ud83d\ude00"},"name":"\udc00"}`
	const oddRepaired = `{"uuid":"a","session_key":"\ufffdk","message":{"text":"x \ufffd \ud83d\ude00"},"name":"\ufffd"}`
	const odder = `{"message":"\ud800"}` // it has no id, so it goes to the quarantine
	const even = `{"uuid":"b","session_key":"k","message":{"text":"\ud83d\ude00"}}`
	body := []byte(`{"messages":[` + odd + `,` + odder + `,` + even + `]}`)
	exact, problem := decode(plainClient(t, Privacy{}), body, 0)
	if problem != "" || len(exact) != 3 {
		t.Fatal(problem)
	}
	for name, privacy := range map[string]Privacy{
		"hashed": {}, "dropping": {Drop: []string{DropText}},
		"pseudonymous": {Identifiers: IdentifiersPseudonymous, Secret: secret},
	} {
		c := plainClient(t, privacy)
		c.exactText = false
		messages, problem := decode(c, body, 0)
		if problem != "" || len(messages) != 3 {
			t.Fatal(problem)
		}
		for i, m := range messages {
			if m.UUID != exact[i].UUID || m.Key != exact[i].Key || m.Fault != exact[i].Fault || m.Repaired != (i == 0) {
				t.Errorf("%s: message %d: %+v", name, i, m)
			}
			if name != "pseudonymous" && m.Chat != exact[i].Chat {
				t.Errorf("%s: message %d is of another chat", name, i)
			}
			if m.Fault == "" && broken(m.Data) {
				t.Errorf("%s: message %d: %s", name, i, m.Data)
			}
		}
		if string(messages[1].Data) != odder {
			t.Errorf("%s: what goes to the quarantine was changed: %s", name, messages[1].Data)
		}
		if name == "hashed" && string(messages[0].Data) != oddRepaired {
			t.Errorf("got %s, want %s", messages[0].Data, oddRepaired)
		}
	}
	for i, want := range []string{odd, odder, even} {
		if m := exact[i]; m.Repaired || string(m.Data) != want {
			t.Errorf("exact: message %d: %+v", i, m)
		}
	}
}
