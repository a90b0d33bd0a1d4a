package twochat

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// form1 and form2 are the two documented forms of an item.
const (
	form1 = `"uuid":"a","timestamp":1670454681.0,"session_key":"k","message":{"text":"t"},"remote_phone_number":"+1",` +
		`"channel_phone_number":"+2","sent_by":"api"`
	form2 = `"id":"b","uuid":"b","created_at":"2026-02-18T18:01:35","session_key":"k","message":{"media":{"url":"u",` +
		`"type":"image","mime_type":"image/png"}},"remote_phone_number":"+1","channel_phone_number":"+2",` +
		`"sent_by":"user","_2chat_link":"l"`
)

// listOf is a page of that many items with these members.
func listOf(count int, members string) string {
	return `{"success":true,"page_number":0,"messages":[` + strings.Repeat("{"+members+"},", count-1) + "{" + members + "}]}"
}

// changesOf returns the changes that a client finds in pages of one list, as text.
func changesOf(t testing.TB, pages ...string) []string {
	t.Helper()
	w := newShapeWatch(time.Now)
	for _, body := range pages {
		found, problem := scanPage([]byte(body), 0, nil)
		if problem != "" && problem != "its messages member is not an array" {
			t.Fatalf("%s: %s", problem, body)
		}
		if found.answers {
			w.page(list{}, []byte(body), &found.seen)
		}
	}
	texts := []string{}
	for _, change := range w.all() {
		texts = append(texts, change.String())
	}
	return texts
}

func without(members, name string) string {
	from := strings.Index(members, `"`+name+`":`)
	if from < 0 {
		panic(name)
	}
	to := strings.Index(members[from:], `,"`)
	if name == "message" {
		to = strings.Index(members[from:], `},"`) + 1
	}
	if to <= 0 {
		return members[:from-1]
	}
	return members[:from] + members[from+to+1:]
}

func TestShape_Known(t *testing.T) {
	webhook := `"id":"MSG1","uuid":"MSG1","created_at":"2023-04-18T22:17:50Z","session_key":"k","message":{"order":{"total":1}},` +
		`"remote_phone_number":null,"channel_phone_number":"+2","sent_by":"user","contact":{"first_name":"x","new":1},` +
		`"event":"e","channel":{"uuid":"W"},"to_number":null,"participant":"+1","group":{"uuid":"g"},"wa_msg_ack":3,` +
		`"wa_msg_id":"i","sent":true,"is_from_flow_run":false`
	mixed := `{"success":true,"messages":[` + strings.Repeat("{"+form1+"},{"+form2+"},", 60) + "{" + webhook + "}]}"
	for _, page := range []string{
		listOf(100, form1), listOf(100, form2), mixed, `{"messages":[]}`, `{"success":true,"messages":null}`,
		listOf(100, strings.Replace(form1, "1670454681.0", `"1670454681.0"`, 1)),
		listOf(100, strings.Replace(form1, `{"text":"t"}`, `"t"`, 1)),
		listOf(100, strings.Replace(form1, `{"text":"t"}`, `{"text":null,"quoted_msg":{"x":1},"pollCreationMessage":{}}`, 1)),
	} {
		if got := changesOf(t, page); len(got) > 0 {
			t.Errorf("%.200s: %q", page, got)
		}
	}
	// One form in place of the other, a list that becomes mixed, and short lists are not reported.
	for _, pages := range [][]string{
		{listOf(100, form1), listOf(100, form2)},
		{listOf(100, form2), listOf(100, form1)},
		{listOf(100, form1), mixed, listOf(9, `"uuid":"a"`)},
		{listOf(100, form1), `{"messages":[{"uuid":"a"},{` + form1 + `}]}`, listOf(100, without(form1, "channel_phone_number"))},
		{listOf(99, form1), listOf(100, without(form1, "channel_phone_number"))},
	} {
		if got := changesOf(t, pages...); len(got) > 0 {
			t.Errorf("%q", got)
		}
	}
}

func TestShape_Changes(t *testing.T) {
	base := listOf(100, form1)
	for _, test := range []struct {
		name  string
		pages []string
		want  []string
	}{
		{
			"new in items",
			[]string{listOf(3, form1+`,"colour":"red"`), listOf(3, form1+`,"colour":7`)},
			[]string{"messages[].colour is new: string"},
		},
		{
			"of two types",
			[]string{`{"messages":[{"uuid":"a","colour":1},{"uuid":"b","colour":null}]}`},
			[]string{"messages[].colour is new: number or null"},
		},
		{"new in the envelope", []string{`{"success":true,"next":"x","messages":[]}`}, []string{"next is new: string"}},
		{
			"list under another name",
			[]string{`{"success":true,"page_number":0,"data":[{"uuid":"a"}]}`},
			[]string{"data is new: array"},
		},
		{
			"list of another type",
			[]string{`{"success":true,"messages":{"items":[]}}`},
			[]string{"messages is of another type: object, known as array"},
		},
		{
			"new in messages",
			[]string{listOf(1, strings.Replace(form1, `"text":"t"`, `"body":"t"`, 1))},
			[]string{"messages[].message.body is new: string"},
		},
		{
			"new in media",
			[]string{listOf(1, strings.Replace(form2, `"url":"u"`, `"link":"u"`, 1))},
			[]string{"messages[].message.media.link is new: string"},
		},
		{
			"another type",
			[]string{listOf(2, strings.Replace(form1, `"uuid":"a"`, `"uuid":"a","id":17`, 1))},
			[]string{"messages[].id is of another type: number, known as string"},
		},
		{
			"another type, escaped",
			[]string{`{"messages":[{"uuid":"a","sent\u005fby":{}}]}`},
			[]string{"messages[].sent_by is of another type: object, known as string"},
		},
		{
			"text of another type",
			[]string{listOf(1, strings.Replace(form1, `"t"`, `["t"]`, 1))},
			[]string{"messages[].message.text is of another type: array, known as string"},
		},
		{"session_key gone", []string{listOf(10, without(form1, "session_key"))}, []string{"messages[].session_key is gone"}},
		{
			"ids gone",
			[]string{base, listOf(10, without(form1, "uuid"))},
			[]string{"messages[].uuid or id is gone"},
		},
		{
			"times gone",
			[]string{listOf(10, without(form1, "timestamp"))},
			[]string{"messages[].timestamp or created_at is gone"},
		},
		{
			"null is gone",
			[]string{listOf(10, strings.Replace(form1, `"api"`, "null", 1))},
			[]string{"messages[].sent_by is gone"},
		},
		{"message gone", []string{listOf(10, without(form1, "message"))}, []string{"messages[].message is gone"}},
		{
			"what each one had is gone",
			[]string{base, listOf(10, without(form1, "remote_phone_number"))},
			[]string{"messages[].remote_phone_number is gone"},
		},
		{"what each one had is not gone from a few", []string{base, listOf(9, without(form1, "remote_phone_number"))}, nil},
		{
			"the page number is gone", append(slices.Repeat([]string{base}, 20), `{"messages":[{`+form1+`}]}`),
			[]string{"page_number is gone"},
		},
		{
			"the page number was gone before", append(slices.Repeat([]string{base, `{"messages":[{` + form1 + `}]}`}, 20),
				`{"messages":[{`+form1+`}]}`), nil,
		},
		{"once", slices.Repeat([]string{listOf(3, form1+`,"colour":"red"`)}, 5), []string{"messages[].colour is new: string"}},
		{"no answer of its own", []string{`{"messages":[],"colour":1}`}, []string{"colour is new: number"}},
	} {
		if got := changesOf(t, test.pages...); !slices.Equal(got, test.want) && len(got)+len(test.want) > 0 {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	// A body that is not an answer with the list is ignored.
	for _, body := range []string{
		`{"status":"ok"}`, `{"success":false,"reason":"x"}`, `{"error":true,"why":1,"messages":[]}`,
		`{"messages":[],"colour":1`, `{"messages":[],"colour":1} x`,
	} {
		if found, _ := scanPage([]byte(body), 0, nil); found.answers {
			t.Errorf("%s is taken for an answer", body)
		}
	}
}

// The members of one list do not count for another.
func TestShape_ListsAreApart(t *testing.T) {
	w := newShapeWatch(time.Now)
	for name, members := range map[string]string{"1": form1, "2": without(form1, "channel_phone_number")} {
		for range 5 {
			body := []byte(listOf(100, members))
			found, _ := scanPage(body, 0, nil)
			w.page(list{number: name}, body, &found.seen)
		}
	}
	if got := w.all(); len(got) > 0 {
		t.Errorf("%+v", got)
	}
}

// Names of members can be data. Those that are shown look chosen by a programmer, and memory is bounded.
func TestShape_NamesAreBounded(t *testing.T) {
	for name, want := range map[string]string{
		"colour": "colour", "wa_serial": "wa_serial", "waSerial": "waSerial", "_x": "_x",
		strings.Repeat("a", 40): strings.Repeat("a", 40), strings.Repeat("a", 41): "*", "5215512345432": "*",
		"+5215512345432": "*", "Johny": "*", "Johny Doe": "*", "a1": "*", "": "*",
		"año": "*", "a-b": "*", "a.b": "*", `a\nb`: "*", "x@c.us": "*", "\U0001f600": "*",
	} {
		got := changesOf(t, fmt.Sprintf(`{"messages":[{"uuid":"a","%s":1}]}`, name))
		if len(got) != 1 || got[0] != "messages[]."+want+" is new: number" {
			t.Errorf("%q: %q", name, got)
		}
	}
	many := func(prefix string, count int) string {
		var members strings.Builder
		for i := range count {
			fmt.Fprintf(&members, `,"%s%s":{}`, prefix, strings.Repeat("x", i%30)+string(rune('a'+i%26)))
		}
		return listOf(1, form1+members.String())
	}
	var pages []string
	for i := range 200 {
		pages = append(pages, many(strings.Repeat("p", i%9+1), 100))
	}
	got := changesOf(t, pages...)
	if len(got) > maxShapeChanges+len(ChangeKinds()) || !slices.Contains(got, "* is new: many") {
		t.Errorf("%d changes: %q", len(got), got)
	}
	// A known member is reported as well, without a name.
	got = changesOf(t, append(pages, listOf(10, without(form1, "session_key")))...)
	if last := got[len(got)-1]; last != "* is gone" {
		t.Errorf("%q", last)
	}
}

func TestClient_ShapeChanges(t *testing.T) {
	body := listOf(10, `"key":1`) // no item of it is usable
	c := serve(t, func(w http.ResponseWriter, r *http.Request) { answerWith(200, body)(w, r) })
	if _, err := c.Page(t.Context(), stream, 0, ""); err == nil {
		t.Error("a page without a usable item is valid")
	}
	count := len(c.ShapeChanges())
	if count != c.ShapeChangeCount() || count != 6 {
		t.Errorf("%+v", c.ShapeChanges())
	}
	body = `{"success":true,"messages":{"x":1}}`
	_, _ = c.Page(t.Context(), stream, 0, "")
	body = listOf(2, form1+`,"Johny":{"+5215512345432":"secret text"},"colour":"secret text"`)
	page, err := c.Page(t.Context(), stream, 0, "")
	if err != nil || len(page.Messages) != 2 || !strings.Contains(string(page.Messages[0].Data), "colour") {
		t.Errorf("%+v, %v", page, err)
	}
	changes := c.ShapeChanges()
	want := []ShapeChange{
		{Member: "messages", Change: MemberRetyped, Found: "object", Known: "array"},
		{Member: "messages[].*", Change: MemberAppeared, Found: "object"},
		{Member: "messages[].colour", Change: MemberAppeared, Found: "string"},
	}
	for i := range want {
		want[i].Since = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	}
	if !slices.Equal(changes[count:], want) {
		t.Errorf("%+v", changes[count:])
	}
}

func TestLearn_Members(t *testing.T) {
	c := serve(t, learnable(nil))
	findings, err := c.Learn(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	if f := finding(t, findings, "members"); f.Level != connector.FindingWarning ||
		f.Text != "1 is not as known: messages[].seen is new: object" {
		t.Errorf("%+v", f)
	}
	if len(c.ShapeChanges()) > 0 {
		t.Error("a lesson counts as polling")
	}
	c = serve(t, learnable(func(w http.ResponseWriter, page string) bool {
		if page == "info" {
			return false
		}
		answerWith(200, listOf(10, form1))(w, nil)
		return true
	}))
	if findings, err = c.Learn(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	if f := finding(t, findings, "members"); f.Level != connector.FindingOK {
		t.Errorf("%+v", f)
	}
}

// FuzzShape checks that for any page the report is bounded and contains no value and no name that may be data.
func FuzzShape(f *testing.F) {
	f.Add([]byte(documented))
	f.Add([]byte(listOf(10, form2+`,"+5215512345432":{"a":1},"Johny Doe":[]`)))
	f.Add([]byte(`{"messages":[{"message":{"media":{"\u0041":{}},"text":1,"+5215512345432":2}}],"x":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := newShapeWatch(time.Now)
		for range 2 {
			if found, _ := scanPage(body, 0, nil); found.answers {
				w.page(list{}, body, &found.seen)
			}
		}
		changes := w.all()
		if len(changes) > maxSightings+len(missedAs)+2 {
			t.Fatalf("%d changes", len(changes))
		}
		for _, change := range changes {
			for _, c := range change.String() {
				if !strings.ContainsRune("[].:;,*_2 ", c) && (c|0x20 < 'a' || c|0x20 > 'z') {
					t.Fatalf("%q", change)
				}
			}
		}
	})
}
