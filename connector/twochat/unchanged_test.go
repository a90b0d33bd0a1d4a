package twochat

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// listServer is a list whose body, validators, and use of the validators a test sets.
type listServer struct {
	body, etag, modified, date string
	honest                     bool // answers 304 if the validators sent are its own
	requests                   []http.Header
}

func (l *listServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.requests = append(l.requests, r.Header)
	for name, value := range map[string]string{"ETag": l.etag, "Last-Modified": l.modified, "Date": l.date} {
		if value != "" {
			w.Header().Set(name, value)
		}
	}
	asked := r.Header.Get("If-None-Match")
	if l.honest && (asked != "" && asked == l.etag || asked == "" && l.modified != "" &&
		r.Header.Get("If-Modified-Since") == l.modified) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write([]byte(l.body))
}

func (l *listServer) conditional() bool {
	last := l.requests[len(l.requests)-1]
	return last.Get("If-None-Match") != "" || last.Get("If-Modified-Since") != ""
}

func read(t *testing.T, c *Client, number int, held connector.Fingerprint) connector.Page {
	t.Helper()
	page, err := c.Page(t.Context(), stream, number, held)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestUnchanged_SameBody(t *testing.T) {
	l := &listServer{body: documented}
	c := serve(t, l.ServeHTTP)
	first := read(t, c, 0, "")
	if first.Unchanged || len(first.Messages) != 2 || first.Bytes == 0 {
		t.Fatalf("first page: %+v", first)
	}
	again := read(t, c, 0, first.Fingerprint)
	if !again.Unchanged || again.Messages != nil || again.Fingerprint != first.Fingerprint || again.Received.IsZero() {
		t.Errorf("again: %+v", again)
	}
	if page := read(t, c, 0, "another"); page.Unchanged || len(page.Messages) != 2 ||
		page.Fingerprint != first.Fingerprint {
		t.Errorf("with another one held: %+v", page)
	}
	if page := read(t, c, 0, ""); page.Unchanged || len(page.Messages) != 2 {
		t.Errorf("with none held: %+v", page)
	}
	// Only the part around the messages differs: the page is the same.
	l.body = strings.Replace(documented, `"page_number":0`, `"page_number":0,"request_id":"x"`, 1)
	if page := read(t, c, 0, first.Fingerprint); !page.Unchanged || page.Messages != nil {
		t.Errorf("another envelope: %+v", page)
	}
	l.body = strings.Replace(documented, "hölà", "hòlà", 1)
	changed := read(t, c, 0, first.Fingerprint)
	if changed.Unchanged || len(changed.Messages) != 2 || changed.Fingerprint == first.Fingerprint {
		t.Errorf("another text: %+v", changed)
	}
	// The same messages on another page have the same fingerprint, but are returned to the caller.
	l.body = strings.Replace(l.body, `"page_number":0,`, "", 1)
	if page := read(t, c, 1, changed.Fingerprint); page.Unchanged || len(page.Messages) != 2 ||
		page.Fingerprint != changed.Fingerprint {
		t.Errorf("page 1: %+v", page)
	}
	for _, request := range l.requests {
		if request.Get("If-None-Match") != "" || request.Get("If-Modified-Since") != "" {
			t.Error("a conditional request without validators")
		}
	}
}

func TestUnchanged_TheSameBodyOnAnotherListIsNotTakenForKnown(t *testing.T) {
	l := &listServer{body: documented}
	c := serve(t, l.ServeHTTP)
	first := read(t, c, 0, "")
	l.body = `{"messages":[]}`
	if _, err := c.Page(t.Context(), connector.Stream{Number: "+595981048478"}, 0, first.Fingerprint); err != nil {
		t.Fatal(err)
	}
	l.body = `{"success":false}`
	if _, err := c.Page(t.Context(), stream, 0, first.Fingerprint); err == nil {
		t.Error("an invalid page is taken for the one held")
	}
}

func TestUnchanged_DataOutlivesTheNextRequest(t *testing.T) {
	l := &listServer{body: documented}
	c := serve(t, l.ServeHTTP)
	first := read(t, c, 0, "")
	data := string(first.Messages[1].Data)
	l.body = strings.Repeat(" ", len(documented)) + `{"messages":[]}`
	read(t, c, 0, "")
	if string(first.Messages[1].Data) != data {
		t.Error("a later request has overwritten a page")
	}
}

func TestUnchanged_ManyStreamsAtOnce(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		number := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+2:]
		w.Header().Set("ETag", `"`+number+`"`)
		if r.Header.Get("If-None-Match") == `"`+number+`"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintf(w, `{"messages":[{"uuid":"%s","session_key":"%s"}]}`, number, strings.Repeat(number, 100))
	})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			number := fmt.Sprint(595981000000 + i)
			s := connector.Stream{Number: "+" + number}
			var held connector.Fingerprint
			for round := range 30 {
				page, err := c.Page(t.Context(), s, 0, held)
				switch {
				case err != nil:
					t.Error(err)
				case round > 0 && (!page.Unchanged || page.Fingerprint != held):
					t.Errorf("round %d: %+v", round, page)
				case round == 0 && (len(page.Messages) != 1 || page.Messages[0].UUID != number):
					t.Errorf("another stream's page: %+v", page)
				}
				held = page.Fingerprint
			}
		})
	}
	group.Wait()
}

func TestUnchanged_Validators(t *testing.T) {
	const modified, later, soon = "Sat, 31 Jan 2026 11:00:00 GMT", "Sat, 31 Jan 2026 12:00:00 GMT",
		"Sat, 31 Jan 2026 11:00:01 GMT"
	for _, test := range []struct {
		name        string
		server      listServer
		conditional bool
	}{
		{"etag", listServer{etag: `W/"1"`}, true},
		{"date", listServer{modified: modified, date: later}, true},
		{"date within the second", listServer{modified: modified, date: soon}, false},
		{"date without a date", listServer{modified: "yesterday", date: later}, false},
		{"none", listServer{}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := &test.server
			l.body, l.honest = documented, true
			c := serve(t, l.ServeHTTP)
			first := read(t, c, 0, "")
			if l.conditional() {
				t.Error("the first request is conditional")
			}
			page := read(t, c, 0, first.Fingerprint)
			if l.conditional() != test.conditional {
				t.Errorf("conditional: %v", l.conditional())
			}
			if !page.Unchanged || page.Fingerprint != first.Fingerprint {
				t.Errorf("page %+v", page)
			}
			for _, held := range []connector.Fingerprint{"", "another"} {
				if read(t, c, 0, held); l.conditional() {
					t.Errorf("conditional, with %q held", held)
				}
			}
			if page := read(t, c, 0, first.Fingerprint); !page.Unchanged {
				t.Errorf("page %+v", page)
			}
		})
	}
}

func TestUnchanged_AnswerNotAskedFor(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) })
	if _, err := c.Page(t.Context(), stream, 0, "held"); err == nil {
		t.Error("304 without having asked is accepted")
	}
}

func TestUnchanged_ValidatorsAreChecked(t *testing.T) {
	l := &listServer{body: `{"messages":[{"uuid":"a"}]}`, etag: `"for ever"`, honest: true}
	c := serve(t, l.ServeHTTP)
	held := read(t, c, 0, "").Fingerprint
	l.body = `{"messages":[{"uuid":"b"},{"uuid":"a"}]}` // but the validator does not change
	polls := 0
	for {
		polls++
		page := read(t, c, 0, held)
		if !page.Unchanged {
			held = page.Fingerprint
			break
		}
		if polls > plainRequestEvery+1 {
			t.Fatalf("the new message is still hidden after %d polls", polls)
		}
	}
	if polls != plainRequestEvery+1 {
		t.Errorf("found after %d polls", polls)
	}
	l.body = `{"messages":[{"uuid":"c"}]}`
	if page := read(t, c, 0, held); page.Unchanged || l.conditional() {
		t.Error("a validator that was wrong once is trusted again")
	}
	l.body, l.etag = `{"messages":[{"uuid":"d"}]}`, `"another"`
	held = read(t, c, 0, held).Fingerprint
	if read(t, c, 0, held); l.conditional() {
		t.Error("a server whose validator was wrong once is trusted again")
	}
}
