package twochat

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

var readAt = time.Date(2026, 2, 18, 18, 2, 0, 123456789, time.UTC)

// rowPrivacies are the privacy settings that may change an item before its row is made.
func rowPrivacies() map[string]Privacy {
	everything := []string{DropText, DropMedia, DropQuoted, DropNames}
	return map[string]Privacy{
		"hashed":             {},
		"clear":              {Identifiers: IdentifiersClear},
		"pseudonymous":       {Identifiers: IdentifiersPseudonymous, Secret: secret},
		"drop":               {Drop: everything},
		"pseudonymous, drop": {Identifiers: IdentifiersPseudonymous, Secret: secret, Drop: everything},
	}
}

// decodeRows is decode with rows as data.
func decodeRows(c *Client, body []byte) ([]connector.Message, string) {
	work := new(scratch)
	found, problem := scanPage(body, 0, nil)
	if work.items = found.items; problem != "" {
		return nil, problem
	}
	messages := c.messages(stream, body, work)
	toRows(messages, work.items, body, readAt)
	return messages, ""
}

// columnsOf reads a row in the strictest way: an object with exactly the columns, in their order, each a string or
// null.
func columnsOf(t *testing.T, data []byte) map[string]*string {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	token := func() json.Token {
		token, err := decoder.Token()
		if err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		return token
	}
	if token() != json.Delim('{') {
		t.Fatalf("no object: %s", data)
	}
	got := map[string]*string{}
	for _, column := range Columns() {
		if name := token(); name != column.Name {
			t.Fatalf("member %v where %s is expected: %s", name, column.Name, data)
		}
		switch value := token().(type) {
		case string:
			got[column.Name] = &value
		case nil:
			if got[column.Name] = nil; column.Always {
				t.Fatalf("%s is null: %s", column.Name, data)
			}
		default:
			t.Fatalf("%s is a %T: %s", column.Name, value, data)
		}
	}
	if token() != json.Delim('}') {
		t.Fatalf("another member: %s", data)
	}
	if _, err := decoder.Token(); err != io.EOF {
		t.Fatalf("something follows: %s", data)
	}
	return got
}

// sameRows compares rows with the same messages with items as data.
func sameRows(t *testing.T, rows, items []connector.Message) {
	t.Helper()
	if len(rows) != len(items) {
		t.Fatalf("%d rows of %d items", len(rows), len(items))
	}
	for i, m := range items {
		if m.Fault != "" {
			if string(rows[i].Data) != string(m.Data) {
				t.Fatalf("what cannot become an event became a row: %s", rows[i].Data)
			}
			continue
		}
		got := columnsOf(t, rows[i].Data)
		if *got["item"] != string(m.Data) || string(rows[i].Item()) != string(m.Data) {
			t.Fatalf("item %s\nwant %s", *got["item"], m.Data)
		}
		rows[i].Data = m.Data
		sameMessages(t, rows[i:i+1], items[i:i+1])
		want := map[string]string{
			"uuid": m.UUID, "direction": connector.Direction(m.SentBy), "sent_by": m.SentBy, "occurred_at": "",
			"recorded_at": connector.FormatTime(readAt),
		}
		if !m.Time.IsZero() {
			want["occurred_at"] = connector.FormatTime(m.Time)
		}
		for name, want := range want {
			if said := got[name]; said == nil && want != "" || said != nil && *said != want {
				t.Fatalf("%s is not %q: %s", name, want, m.Data)
			}
		}
	}
}

// Every shape of an item, and the contents of its row.
func TestRow_Shapes(t *testing.T) {
	const person = `"remote_phone_number":"+5215512345432"`
	media := func(kind, mime string) string {
		return `"message":{"media":{"url":"https://f/a","type":"` + kind + `","mime_type":"` + mime + `"}}`
	}
	for name, test := range map[string]struct {
		item string
		want string // the columns that are not null, except for those that every row has
	}{
		"text": {
			`"message":{"text":"hi \u00e9 \"q\""},` + person,
			`kind=text text=hi é "q" remote=+5215512345432`,
		},
		"plain string": {`"message":"hi"`, `kind=text text=hi`},
		"channel":      {`"channel_phone_number":"+595981048477"`, `kind=unknown channel=+595981048477`},
		"number":       {`"remote_phone_number":5215512345432`, `kind=unknown remote=5215512345432`},
		"nothing":      {`"message":{},"remote_phone_number":null`, `kind=unknown`},
		"null":         {`"message":null`, `kind=unknown`},
		"empty text":   {`"message":{"text":""}`, `kind=unknown`},
		"wrong types":  {`"message":[1],"participant":[],"group":true,"channel_phone_number":{}`, `kind=unknown`},
		"unknown":      {`"message":{"call_log":{"missed":true}}`, `kind=unknown`},
		"image": {
			`"message":{"media":{"url":"https://f/a","type":"image","mime_type":"image/jpeg"},"text":"look"}`,
			`kind=image text=look media_url=https://f/a media_mime=image/jpeg`,
		},
		"caption": {`"message":{"media":{"type":"image"},"caption":"look"}`, `kind=image text=look`},
		"voice note": {
			media("ptt", "audio/ogg; codecs=opus"),
			`kind=audio media_url=https://f/a media_mime=audio/ogg; codecs=opus`,
		},
		"audio": {media("audio", "audio/mpeg"), `kind=audio media_url=https://f/a media_mime=audio/mpeg`},
		"video": {media("video", "video/mp4"), `kind=video media_url=https://f/a media_mime=video/mp4`},
		"document": {
			media("document", "application/pdf"),
			`kind=document media_url=https://f/a media_mime=application/pdf`,
		},
		"sticker":       {media("sticker", "image/webp"), `kind=sticker media_url=https://f/a media_mime=image/webp`},
		"card":          {media("vcard", "text/vcard"), `kind=contact media_url=https://f/a media_mime=text/vcard`},
		"by media type": {media("new", "video/mp4"), `kind=video media_url=https://f/a media_mime=video/mp4`},
		"only a URL":    {`"message":{"media":"https://f/a"}`, `kind=document media_url=https://f/a`},
		"no file":       {`"message":{"media":{}}`, `kind=unknown`},
		"contacts":      {`"message":{"contacts":[{"name":"x"}]}`, `kind=contact`},
		"pin":           {`"message":{"pin":{"latitude":"1","longitude":"2"}}`, `kind=location`},
		"location":      {`"message":{"locationMessage":{"degreesLatitude":1}}`, `kind=location`},
		"poll":          {`"message":{"poll":{"question":"When?","options":["a"]}}`, `kind=poll text=When?`},
		"order":         {`"message":{"text":"1 x Bell","order":{"total":1}}`, `kind=order text=1 x Bell`},
		"no order":      {`"message":{"text":"x","order":null,"contacts":[],"poll":{}}`, `kind=text text=x`},
		"list reply":    {`"message":{"list_reply":{"id":"2","title":"Repair"}}`, `kind=list_reply text=Repair`},
		"button": {
			`"message":{"text":"Yes","buttonsResponseMessage":{"selectedButtonId":"y","title":"No"}}`,
			`kind=button_reply text=Yes`,
		},
		"interactive": {
			`"message":{"interactive":{"type":"button_reply","button_reply":{"id":"y","title":"Yes"}}}`,
			`kind=button_reply text=Yes`,
		},
		"quoted": {
			`"message":{"text":"yes","quoted_msg":{"uuid":"MSG1","message":{"text":"ok?"}}}`,
			`kind=text text=yes quoted_uuid=MSG1`,
		},
		"quoted, by id": {
			`"message":{"text":"yes","quoted_msg":{"uuid":null,"id":"MSG2"}}`,
			`kind=text text=yes quoted_uuid=MSG2`,
		},
		"group": {
			`"remote_phone_number":"1-2@g.us","participant":{"phone_number":"+34","pushname":"x"}`,
			`kind=unknown remote=1-2@g.us participant=+34 group=1-2@g.us`,
		},
		"group, by uuid": {
			`"session_key":"WW-WPN1-1@g.us","group":{"uuid":"WAG1"},"participant":"+34"`,
			`kind=unknown participant=+34 group=WAG1`,
		},
		"group, by key": {`"session_key":"WW-WPN1-1@g.us","remote_phone_number":"1"`, `kind=unknown remote=1 group=1`},
		"twice": {
			`"message":{"text":"a","quoted_msg":{"id":"x"}},"message":{"text":"b","text":"c"},"participant":"a","participant":null`,
			`kind=text text=c`,
		},
		"escaped names":   {`"m\u0065ssage":{"t\u0065xt":"hi"}`, `kind=text text=hi`},
		"broken halves":   {`"message":{"text":"\ud83d"}`, "kind=text text=\ufffd"},
		"white space":     {"\"message\" :\n\t{ \"text\"\r: \"hi\" }\n", `kind=text text=hi`},
		"backslashes":     {`"message":{"text":"a\\b\/c\"\n"}`, "kind=text text=a\\b/c\"\n"},
		"false reply":     {`"message":{"button_reply":false,"text":"x"}`, `kind=text text=x`},
		"within too deep": {`"message":{"interactive":{"interactive":{"poll":{"question":"q"}}}}`, `kind=unknown`},
	} {
		t.Run(name, func(t *testing.T) {
			c := plainClient(t, Privacy{})
			body := []byte(`{"messages":[{"uuid":"a",` + test.item + `}]}`)
			rows, problem := decodeRows(c, body)
			if problem != "" {
				t.Fatal(problem)
			}
			got := columnsOf(t, rows[0].Data)
			var words []string
			for _, column := range columns[columnKind:columnOccurredAt] {
				if value := got[column.Name]; value != nil {
					words = append(words, column.Name+"="+*value)
				}
			}
			if text := strings.Join(words, " "); text != test.want {
				t.Errorf("got  %s\nwant %s", text, test.want)
			}
			items, _ := decode(c, body, 0)
			sameRows(t, rows, items)
		})
	}
}

// A row shows nothing that its item does not show: what privacy removes is in no column.
func TestRow_Canary(t *testing.T) {
	const item = `{"uuid":"MSG-5215512345432","session_key":"WW-WPN1-5215512345432@g.us",` +
		`"remote_phone_number":"5215512345432-16@g.us","channel_phone_number":595981048477,"sent_by":"+595981048477",` +
		`"participant":{"phone_number":"+52 1 55 1234 5432","pushname":"Canary"},"group":{"uuid":"WAG-5215512345432"},` +
		`"message":{"text":"secret text of +5215512345432","media":{"url":"https://x.amazonaws.com/5215512345432",` +
		`"type":"image","mime_type":"image/5215512345432"},"poll":{"question":"secret text"},` +
		`"quoted_msg":{"uuid":"5215512345432","message":{"text":"secret text"}},` +
		`"interactive":{"list_reply":{"title":"secret text"}}}}`
	body := []byte(`{"messages":[` + item + `,{"uuid":"b","message":"secret text 5215512345432"}]}`)
	for name, privacy := range rowPrivacies() {
		t.Run(name, func(t *testing.T) {
			c := plainClient(t, privacy)
			rows, _ := decodeRows(c, body)
			items, _ := decode(c, body, 0)
			shown := string(rows[0].Data) + string(rows[1].Data)
			var gone []string
			if c.privacy.pseudonymous() {
				gone = append(gone, "5215512345432", "595981048477", "1234 5432")
			}
			if c.privacy.dropping {
				gone = append(gone, "secret text", "amazonaws", "Canary")
			}
			for _, canary := range gone {
				if strings.Contains(shown, canary) {
					t.Errorf("a row shows %q: %s", canary, shown)
				}
			}
			for _, m := range rows {
				for column, said := range columnsOf(t, m.Data) {
					made := []string{"item", "kind", "direction", "occurred_at", "recorded_at"}
					if said == nil || slices.Contains(made, column) {
						continue
					}
					// The item contains what a column contains, except for columns made from its attributes.
					both := string(items[0].Data) + string(items[1].Data)
					if text := strings.Trim(string(quoted(*said)), `"`); !strings.Contains(both, text) {
						t.Errorf("%s says %q, and the item does not: %s", column, *said, m.Data)
					}
				}
			}
			if got := columnsOf(t, rows[0].Data); got["group"] == nil || *got["group"] != *got["remote"] {
				t.Errorf("the group is not told: %s", rows[0].Data)
			}
			sameRows(t, rows, items)
		})
	}
}

// FuzzRow checks that every item that can become an event has a row of exactly the columns, with any privacy settings,
// and that the row contains exactly the item of mode `item`.
func FuzzRow(f *testing.F) {
	f.Add([]byte(documented))
	f.Add([]byte("{\"messages\":[{\"uuid\":\"a\",\"t\":\"\xff\"},7,{\"uuid\":\"\"}]}"))
	for _, seed := range []string{
		`{"uuid":"a","message":{"text":"x","media":{"url":"u"},"quoted_msg":{"uuid":"b"}},"session_key":"a@g.us"}`,
		`{"id":"a","message":"\ud83d\u0000\\","participant":5,"group":{"uuid":[]},"remote_phone_number":1e400}`,
		`{"uuid":"a","message":{"interactive":{"list_reply":{"title":"t"}},"poll":{"name":"n"},"order":[]}}`,
		"{\"uuid\":\"\\\"\",\r\n\t\"message\" : {\"text\":{}, \"media\":[\"image\"],\"caption\":7}}",
	} {
		f.Add([]byte(`{"messages":[` + seed + `]}`))
	}
	clients := map[string]*Client{}
	for name, privacy := range rowPrivacies() {
		clients[name] = plainClient(f, privacy)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, c := range clients {
			rows, problem := decodeRows(c, body)
			if problem != "" {
				return
			}
			items, _ := decode(c, body, 0)
			sameRows(t, rows, items)
		}
	})
}

// Client.Page returns rows with the time at which the page was received, and counts their bytes.
func TestClient_Rows(t *testing.T) {
	c := serve(t, answerWith(200, documented))
	c.rows, c.now = true, func() time.Time { return readAt }
	page := read(t, c, 0, "")
	size := 0
	for _, m := range page.Messages {
		size += len(m.Data)
		if got := columnsOf(t, m.Data); *got["recorded_at"] != connector.FormatTime(page.Received) {
			t.Errorf("recorded_at %s of a page received at %v", *got["recorded_at"], page.Received)
		}
	}
	if len(page.Messages) == 0 || page.Bytes != size {
		t.Errorf("%d messages: %d bytes, want %d", len(page.Messages), page.Bytes, size)
	}
	if len(Columns()) != columnCount || len(Kinds()) < 13 {
		t.Error("a column or a kind is not listed")
	}
}

// The fake lists every kind of message that a row can name, in every form that the API is known or assumed to use.
func TestRow_OfTheFake(t *testing.T) {
	fake := twochattest.New(twochattest.Options{History: 3000})
	var body bytes.Buffer
	body.WriteString(`{"messages":[`)
	for i, m := range fake.Truth("") {
		if i > 0 {
			body.WriteByte(',')
		}
		body.Write(m.Data())
	}
	body.WriteString(`]}`)
	left := map[string]bool{}
	for _, kind := range Kinds() {
		left[kind] = true
	}
	filled := map[string]bool{}
	for _, privacy := range rowPrivacies() {
		c := plainClient(t, privacy)
		rows, problem := decodeRows(c, body.Bytes())
		if problem != "" {
			t.Fatal(problem)
		}
		for _, m := range rows {
			got := columnsOf(t, m.Data)
			delete(left, *got["kind"])
			for name, value := range got {
				filled[name] = filled[name] || value != nil
			}
		}
		items, _ := decode(c, body.Bytes(), 0)
		sameRows(t, rows, items)
	}
	if len(left) > 0 {
		t.Errorf("the fake has no message of these kinds: %v", left)
	}
	for name, filled := range filled {
		if !filled {
			t.Errorf("the fake has no message with a %s", name)
		}
	}
}
