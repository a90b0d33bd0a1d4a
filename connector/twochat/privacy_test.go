package twochat

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

var secret = []byte("0123456789abcdef0123456789abcdef")

func mustRedact(t testing.TB, p Privacy) *redactor {
	t.Helper()
	r, err := newRedactor(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPrivacy_ChatTokens(t *testing.T) {
	chat := "WW-WPN95841312-5215512345432@c.us"
	long := strings.Repeat("@", 43) // encoded, 129 characters
	hashed := mustRedact(t, Privacy{})
	sum := sha256.Sum256([]byte(stream.SourceKey + "\n" + chat))
	if got, want := hashed.chat(stream.SourceKey, []byte(chat)), connector.HashToken([16]byte(sum[:16])); got != want ||
		len(got) != 26 {
		t.Errorf("hashed: %q, want %q", got, want)
	}
	if hashed.chat("another list", []byte(chat)) == hashed.chat(stream.SourceKey, []byte(chat)) {
		t.Error("hashed: the same token in two lists")
	}
	clear := mustRedact(t, Privacy{Identifiers: IdentifiersClear})
	if got := clear.chat(stream.SourceKey, []byte(chat)); got != connector.SubjectToken(chat) {
		t.Errorf("clear: %q", got)
	}
	if got := clear.chat(stream.SourceKey, []byte(long)); got != hashed.chat(stream.SourceKey, []byte(long)) {
		t.Errorf("clear, too long: %q", got)
	}
	pseudonymous := mustRedact(t, Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret})
	got := pseudonymous.chat(stream.SourceKey, []byte(chat))
	other := mustRedact(t, Privacy{Identifiers: IdentifiersPseudonymous, Secret: bytes.Repeat([]byte("x"), 16)})
	if len(got) != 26 || got == hashed.chat(stream.SourceKey, []byte(chat)) ||
		got == other.chat(stream.SourceKey, []byte(chat)) {
		t.Errorf("pseudonymous: %q", got)
	}
	number := pseudonymous.pseudonym([]byte("+5215512345432"))
	for _, same := range []string{"5215512345432", "5215512345432@c.us", "5215512345432@s.whatsapp.net"} {
		if pseudonymous.pseudonym([]byte(same)) != number {
			t.Errorf("%s has another pseudonym", same)
		}
	}
	if pseudonymous.pseudonym([]byte("5215512345432@lid")) == number {
		t.Error("a lid is taken for a number")
	}
}

// TestPrivacy_TokensForEver fixes tokens, as logs contain events of earlier versions with them.
func TestPrivacy_TokensForEver(t *testing.T) {
	const chat = "WW-WPN95841312-b54d-46e3-b0bc-6414f4a5296b-5215512345432@c.us"
	for _, test := range []struct {
		privacy     Privacy
		token, name string
	}{
		{Privacy{}, "xtlwvnot7r7yq3472fa2u7ez5a", "hashed"},
		{
			Privacy{Identifiers: IdentifiersClear},
			"WW-WPN95841312-b54d-46e3-b0bc-6414f4a5296b-5215512345432=40c=2Eus",
			"clear",
		},
		{
			Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret},
			"qyfg3drgwyxjb7fcnt6r2p6ik4",
			"pseudonymous:df60f3eb59e2",
		},
	} {
		if token := mustRedact(t, test.privacy).chat("0123456789abcdef0123456789abcdef", []byte(chat)); token != test.token ||
			test.privacy.Name() != test.name {
			t.Errorf("%s: token %q", test.privacy.Name(), token)
		}
	}
}

func TestPrivacy_Name(t *testing.T) {
	name := Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret, Drop: []string{DropText}}.Name()
	if !strings.HasPrefix(name, "pseudonymous:") || len(name) != len("pseudonymous:")+12 {
		t.Errorf("name %q", name)
	}
	if name == (Privacy{Identifiers: IdentifiersPseudonymous, Secret: append([]byte("x"), secret...)}).Name() {
		t.Error("two keys have one name")
	}
	for p, want := range map[Identifiers]string{"": "hashed", IdentifiersHashed: "hashed", IdentifiersClear: "clear"} {
		if got := (Privacy{Identifiers: p, Drop: []string{DropMedia}}).Name(); got != want {
			t.Errorf("%q: name %q", p, got)
		}
	}
}

func TestPrivacy_Validate(t *testing.T) {
	for _, p := range []Privacy{
		{Identifiers: "Hashed"},
		{Identifiers: IdentifiersPseudonymous},
		{Identifiers: IdentifiersPseudonymous, Secret: secret[:15]},
		{Identifiers: IdentifiersClear, Secret: secret},
		{Drop: []string{"texts"}},
	} {
		if p.Validate() == nil {
			t.Errorf("accepted: %+v", p)
		}
	}
	if err := (Privacy{
		Identifiers: IdentifiersPseudonymous, Secret: secret,
		Drop: []string{DropText, DropMedia, DropQuoted},
	}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestRewrite_Drop(t *testing.T) {
	for _, test := range []struct{ drop, item, want string }{
		{"text", `{"uuid":"a","message":{"text":"x"}}`, `{"uuid":"a","message":{}}`},
		{"text", `{ "message" : { "text" : "x" , "media":1 } }`, `{ "message" : { "media":1 } }`},
		{"text", `{"message":{"media": 1.50 , "text":"x"}}`, `{"message":{"media": 1.50 }}`},
		{"text", `{"message":{"a":1,"text":{"text":1},"b":2}}`, `{"message":{"a":1,"b":2}}`},
		{"text media", `{"message":{"text":"x","media":{"url":"u"}}}`, `{"message":{}}`},
		{"text media", `{"message":{"text":"x","a":1,"media":{"url":"u"}}}`, `{"message":{"a":1}}`},
		{"text media", `{"message":{"text":1,"media":2,"a":3,"text":4,"media":5,"b":6}}`, `{"message":{"a":3,"b":6}}`},
		{"text", `{"message":{"te\u0078t":"x","type":"\u0061"}}`, `{"message":{"type":"\u0061"}}`},
		{"text", `{"message":{"never":"seen","a":["x",1,"y"],"b":["x"]}}`, `{"message":{"a":[1],"b":[]}}`},
		{
			"text", `{"message":{"quoted_msg":{"message":{"text":"x","n":1e5}}}}`,
			`{"message":{"quoted_msg":{"message":{"n":1e5}}}}`,
		},
		{"text", `{"message":[{"text":"x"},{"text":"y"}]}`, `{"message":[{},{}]}`},
		{"quoted", `{"message":{"text":"x","quoted_msg":{"a":[1,{}]}}}`, `{"message":{"text":"x"}}`},
		{"text", `{"a":1,"message":"x","quoted_msg":{"message":"y"}}`, `{"a":1,"quoted_msg":{}}`},
		{"media", `{"message":"x"}`, `{"message":"x"}`},
		{"media", `{"message":{"text":"media"}}`, `{"message":{"text":"media"}}`},
	} {
		got := mustRedact(t, Privacy{Drop: strings.Fields(test.drop)}).rewrite([]byte(test.item))
		if string(got) != test.want {
			t.Errorf("without %s, %s is\n%s, want\n%s", test.drop, test.item, got, test.want)
		}
	}
}

func TestRewrite_NothingToDoLeavesTheBytes(t *testing.T) {
	item := []byte(`{"uuid":"MSG1", "message" : {"n":1.50}, "sent_by":"user", "x":"MSGaf1fa3a1-0d8d-4aa5-b117-f9425b651485", "timestamp":1670454681.0 }`)
	r := mustRedact(t, Privacy{
		Identifiers: IdentifiersPseudonymous, Secret: secret,
		Drop: []string{DropText, DropMedia, DropQuoted, DropNames},
	})
	if got := r.rewrite(item); &got[0] != &item[0] {
		t.Errorf("it was copied: %s", got)
	}
}

func TestRewrite_Pseudonyms(t *testing.T) {
	r := mustRedact(t, Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret})
	p := func(identifier string) string { return `"` + r.pseudonym([]byte(identifier)) + `"` }
	part := func(identifier string) string { return r.pseudonym([]byte(identifier)) }
	for _, test := range []struct{ item, want string }{
		{`{"uuid":"a","session_key":"WW-1-52155@c.us","sent_by":"user"}`, `{"uuid":"a","session_key":` +
			p("WW-1-52155@c.us") + `,"sent_by":"user"}`},
		{`{"remote_phone_number":"+5215512345432", "channel_phone_number":null,"to_number":""}`, `{"remote_phone_number":` +
			p("5215512345432") + `, "channel_phone_number":null,"to_number":""}`},
		{`{"remote_phone_number":5215512345432}`, `{"remote_phone_number":` + p("5215512345432") + `}`},
		{
			`{"participant":{"phone_number":"+52155","pushname":"Johny","n":1,"long":5215512345432}}`,
			`{"participant":{"phone_number":` + p("52155") + `,"pushname":` + p("Johny") + `,"n":1,"long":` +
				p("5215512345432") + `}}`,
		},
		{`{"participant":"+52155"}`, `{"participant":` + p("52155") + `}`},
		{
			`{"contact":{"first_name":"J\u00f6rg","last_updated":1670454681,"uuid":"CON1","tags":["vip",true]}}`,
			`{"contact":{"first_name":` + p("Jörg") + `,"last_updated":1670454681,"uuid":` + p("CON1") + `,"tags":[` + p("vip") +
				`,true]}}`,
		},
		{
			`{"message":{"quoted_msg":{"uuid":"q","session_key":"s","participant":{"pushname":"J"},"message":{"text":"hello 123456@c.us"}}}}`,
			`{"message":{"quoted_msg":{"uuid":"q","session_key":` + p("s") + `,"participant":{"pushname":` + p("J") +
				`},"message":{"text":"hello ` + part("123456") + `@c.us"}}}}`,
		},
		{`{"message":{"text":"+5215512345432"}}`, `{"message":{"text":` + p("5215512345432") + `}}`},
		{
			`{"x":["true_5215512345432@c.us_3A8AE","120-363@g.us","12:7@lid","me@lidl.com","@c.us"]}`,
			`{"x":["true_` + part("5215512345432@c.us") + `@c.us_3A8AE","` + part("120-363@g.us") + `@g.us","` + part("12@lid") +
				`:7@lid","me` + `@lidl.com","@c.us"]}`,
		},
		{`{"x":"\u00312345@c.us"}`, `{"x":"` + part("12345@c.us") + `@c.us"}`},
		{`{"x":"\u12345@c.us <&>"}`, `{"x":"` + "\u1234" + part("5@c.us") + `@c.us <&>"}`},
		{`{"x":"say \"hi\" to 12345@c.us"}`, `{"x":"say \"hi\" to ` + part("12345@c.us") + `@c.us"}`},
		{`{"seen":{"5215512345432@c.us":1}}`, `{"seen":{"` + part("5215512345432@c.us") + `@c.us":1}}`},
		{`{"x":"+5215512345432","y":"5215512345432"}`, `{"x":` + p("5215512345432") + `,"y":` + p("5215512345432") + `}`},
		{`{"channel":{"uuid":"WPN1","connected":true}}`, `{"channel":{"uuid":` + p("WPN1") + `,"connected":true}}`},
	} {
		if got := r.rewrite([]byte(test.item)); string(got) != test.want {
			t.Errorf("%s is\n%s, want\n%s", test.item, got, test.want)
		}
	}
}

func TestRewrite_OfAPage(t *testing.T) {
	c := plainClient(t, Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret, Drop: []string{DropMedia}})
	messages, problem := decode(c, []byte(documented), 0)
	if problem != "" {
		t.Fatal(problem)
	}
	for _, m := range messages {
		for _, canary := range []string{"5215512345432", "5215533334444", "595981048477", "amazonaws"} {
			if bytes.Contains(m.Data, []byte(canary)) || strings.Contains(m.Chat, canary) {
				t.Errorf("%q is in %s", canary, m.Data)
			}
		}
		if !json.Valid(m.Data) {
			t.Errorf("no JSON: %s", m.Data)
		}
	}
	if !bytes.Contains(messages[1].Data,
		[]byte(`{"text":"hölà \ud83d\ude00 \ud800 <b>","n":"`+c.privacy.pseudonym([]byte("1234567890123456789010"))+
			`"}, "unknown" : [ 1 ,2]}`)) {
		t.Errorf("more than the identifiers was changed: %s", messages[1].Data)
	}
	if !bytes.Contains(messages[0].Data, []byte(`"session_key":"`+messages[0].Chat+`"`)) {
		t.Errorf("the chat's token %s is not the session key's: %s", messages[0].Chat, messages[0].Data)
	}
}

// TestRewrite_Quotes has text that begins like a JSON string: it is ordinary text, and not to be decoded once more.
func TestRewrite_Quotes(t *testing.T) {
	drop := mustRedact(t, Privacy{Drop: []string{DropText, DropNames}})
	for _, said := range []string{`\"`, `\"\"\"`, `\"2026-01-31T10:00:00`, `\"1767225600`} {
		item := `{"uuid":"a","other":"` + said + `","contact":{"first_name":"` + said + `"}}`
		if got := string(drop.rewrite([]byte(item))); strings.Contains(got, said) {
			t.Errorf("%s became %s", item, got)
		}
	}
}

// FuzzRewrite checks that rewritten items stay JSON, that nothing is left of what is dropped, and that rewriting again
// changes nothing.
func FuzzRewrite(f *testing.F) {
	for _, seed := range []string{
		`{"message":{"text":"x","media":{"url":"u"},"quoted_msg":{"message":{"text":"y"}}},"session_key":"a@c.us"}`,
		`{"participant":{"phone_number":5215512345432,"x":["1@lid",null]},"x":"\u12345@c.us"}`,
		`{"text":1,"media":2 , "text":3}`, `{}`, `{"a":{"text":""}}`,
	} {
		f.Add([]byte(seed))
	}
	everything := []string{DropText, DropMedia, DropQuoted, DropNames}
	all := mustRedact(f, Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret, Drop: everything})
	drop := mustRedact(f, Privacy{Drop: everything})
	f.Fuzz(func(t *testing.T, item []byte) {
		var members map[string]any
		if json.Unmarshal(item, &members) != nil || members == nil || item[0] != '{' || !json.Valid(item) {
			return
		}
		for _, r := range []*redactor{all, drop} {
			got := r.rewrite(item)
			if !json.Valid(got) {
				t.Fatalf("%s became %s", item, got)
			}
			var left any
			if err := json.Unmarshal(got, &left); err != nil {
				t.Fatal(err)
			}
			if holds(left, "text", "media", "quoted", "quoted_msg", "quoted_message") {
				t.Fatalf("%s still holds what is dropped: %s", item, got)
			}
		}
		once := drop.rewrite(item)
		if again := drop.rewrite(once); !bytes.Equal(again, once) {
			t.Fatalf("%s became %s, and then %s", item, once, again)
		}
	})
}

// holds reports whether a decoded document has a member of one of the names at any depth.
func holds(value any, names ...string) bool {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			for _, wanted := range names {
				if name == wanted {
					return true
				}
			}
			if holds(inner, names...) {
				return true
			}
		}
	case []any:
		for _, inner := range value {
			if holds(inner, names...) {
				return true
			}
		}
	}
	return false
}

// A source key under pseudonyms is made with their key; the key that other modes made for the same list is recognised.
func TestPrivacy_Keyed(t *testing.T) {
	plain := connector.Stream{
		Name: "shop", Number: "+15550100100",
		SourceKey: connector.SourceKey("https://api.p.2chat.io", "+15550100100", ""),
	}
	for _, mode := range []Identifiers{"", IdentifiersHashed, IdentifiersClear} {
		if got := (Privacy{Identifiers: mode}).Keyed(plain); got != plain {
			t.Errorf("%q: %+v", mode, got)
		}
	}
	keyed := (Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret}).Keyed(plain)
	other := (Privacy{Identifiers: IdentifiersPseudonymous, Secret: secret[1:]}).Keyed(plain)
	if len(keyed.SourceKey) != 32 || keyed.SourceKey == plain.SourceKey || keyed.SourceKey == other.SourceKey ||
		keyed.FormerKey != plain.SourceKey {
		t.Errorf("%+v, with another key %+v", keyed, other)
	}
	if !keyed.HasSourceKey(keyed.SourceKey) || !keyed.HasSourceKey(plain.SourceKey) ||
		keyed.HasSourceKey(other.SourceKey) || keyed.HasSourceKey("") ||
		plain.HasSourceKey("") {
		t.Error("a list is known by the wrong keys")
	}
	// This must never change: checkpoints of this version contain it.
	if keyed.SourceKey != "b4256b3ce9be91c64715829903666354" {
		t.Errorf("the source key is %s", keyed.SourceKey)
	}
	history := connector.HistoryStream(keyed)
	if history.SourceKey == keyed.SourceKey || !history.HasSourceKey(connector.HistoryStream(plain).SourceKey) {
		t.Errorf("the history: %+v", history)
	}
}

// What becomes an attribute of the event, and what may be kept of a bad item.
func TestPrivacy_Attributes(t *testing.T) {
	page := []byte(`{"messages":[
		{"uuid":"MSGaf1fa3a1-0d8d-4aa5-b117-f9425b651485","remote_phone_number":"+15550106666","sent_by":"15550106666"},
		{"uuid":"true_15550106666@c.us_3A8AE0BEDA97E2F9","remote_phone_number":"+15550106666","sent_by":"system"},
		{"uuid":"15550106666-7","session_key":"15550106666@c.us"}, {"uuid":"1234567890123"}, {"text":"15550106666"}]}`)
	for _, privacy := range []Privacy{
		{},
		{Drop: []string{DropMedia}},
		{Identifiers: IdentifiersPseudonymous, Secret: secret},
	} {
		messages, problem := decode(plainClient(t, privacy), page, 0)
		if problem != "" || len(messages) != 5 {
			t.Fatal(problem)
		}
		pseudonymous := privacy.Identifiers == IdentifiersPseudonymous
		for i, m := range messages {
			if m.Withheld != (pseudonymous || len(privacy.Drop) > 0) {
				t.Errorf("%s: message %d is withheld: %v", privacy.Name(), i, m.Withheld)
			}
			if shown := m.UUID + m.SentBy + m.Chat; pseudonymous && strings.Contains(shown, "5550106666") {
				t.Errorf("message %d shows a number in its attributes: %s", i, shown)
			}
			if m.UUID != "" && !bytes.Contains(m.Data, []byte(`"uuid":"`+m.UUID+`"`)) {
				t.Errorf("%s: message %d has the id %s, and %s", privacy.Name(), i, m.UUID, m.Data)
			}
			if m.UUID != "" && (m.Key != connector.MessageKey(m.UUID) || len(m.UUID) > maxID) {
				t.Errorf("message %d: key %x of %s", i, m.Key, m.UUID)
			}
		}
		if messages[0].UUID != "MSGaf1fa3a1-0d8d-4aa5-b117-f9425b651485" || messages[1].SentBy != "system" ||
			messages[4].Fault != faultNoID {
			t.Errorf("%s: %+v", privacy.Name(), messages)
		}
		if raw := messages[1].UUID == "true_15550106666@c.us_3A8AE0BEDA97E2F9"; raw == pseudonymous {
			t.Errorf("%s: uuid %s", privacy.Name(), messages[1].UUID)
		}
	}
}
