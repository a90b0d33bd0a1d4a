package twochat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// learnable answers as the API is assumed to answer; change may answer differently.
func learnable(change func(w http.ResponseWriter, page string) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page := r.URL.Query().Get("page_number")
		if r.URL.Path == "/open/info" {
			page = "info"
		}
		if change != nil && change(w, page) {
			return
		}
		switch page {
		case "info":
			_, _ = io.WriteString(w, `{"success":true,"limits":{"requests_per_minute":80},"usage":{"api_request_count":7,"max_api_request_count":500000}}`)
		case "0", "1":
			fmt.Fprintf(w, `{"success":true,"page_number":%s,"messages":[`, page)
			for i := range 3 {
				if i > 0 {
					_, _ = io.WriteString(w, ",")
				}
				second := 9 - i
				if page == "1" {
					second -= 3
				}
				fmt.Fprintf(w, `{"uuid":"MSGaf1fa3a1-0d8d-4aa5-b117-f9425b6514%s%d","timestamp":%d.0,"created_at":"2022-12-07T23:11:2%d",`, page, i, 1670454680+second, second)
				_, _ = io.WriteString(w, `"session_key":"WW-WPN1-5215512345432@c.us","sent_by":"user","message":{"text":"secret text"},"seen":{"5215512345432":true,"Johny Doe":1}}`)
			}
			_, _ = io.WriteString(w, `]}`)
		default:
			_, _ = io.WriteString(w, `{"success":true,"messages":[]}`)
		}
	}
}

func finding(t *testing.T, findings []connector.Finding, thing string) connector.Finding {
	t.Helper()
	for _, f := range findings {
		if f.Thing == thing {
			return f
		}
	}
	t.Fatalf("nothing was learned about %q: %+v", thing, findings)
	return connector.Finding{}
}

func TestLearn(t *testing.T) {
	calls := 0
	c := serve(t, learnable(func(w http.ResponseWriter, page string) bool {
		calls++
		return false
	}))
	findings, err := c.Learn(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	if calls != 5 {
		t.Errorf("%d calls", calls)
	}
	for thing, part := range map[string]string{
		"rate limit": "80 requests a minute; 7 of 500000", "page": "holds 3 items", "echo": "has its page_number",
		"id":      "uuid in 3 of 3 items, id in 0, equal in 0; 3 of the usual form",
		"repeats": "3 different ids among 3", "time": `created_at: "9999-99-99T99:99:99"; timestamp: 9999999999.9; 0 of 3`,
		"time zone": "agree in 3 of 3", "order": "0 of 3",
		"chat": "session_key in 3 of 3 items; kinds of chats: WW-…@c.us", "sent_by": "user", "page 1": "3 items; 0 of them",
		"unchanged page": "no validators; page 0 read again is the same",
		"past the end":   "200 with no items", "shape": "uuid: string(39)",
	} {
		if f := finding(t, findings, thing); f.Level != connector.FindingOK || !strings.Contains(f.Text, part) {
			t.Errorf("%s: %s %q, want %q", thing, f.Level, f.Text, part)
		}
	}
	text, err := json.Marshal(findings)
	if err != nil {
		t.Fatal(err)
	}
	for _, canary := range append(canaries, "Johny") {
		if strings.Contains(string(text), canary) {
			t.Errorf("the findings show %q", canary)
		}
	}
}

func TestLearn_WhatIsNotAsThought(t *testing.T) {
	on := func(which string, answer http.HandlerFunc) http.HandlerFunc {
		return learnable(func(w http.ResponseWriter, page string) bool {
			if page == which {
				answer(w, nil)
				return true
			}
			return false
		})
	}
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		thing   string
		level   connector.FindingLevel
		text    string
	}{
		{"no info", on("info", answerWith(503, "")), "rate limit", connector.FindingWarning, "cannot be read"},
		{"no limit", on("info", answerWith(200, `{"usage":{}}`)), "rate limit", connector.FindingWarning, "names no limit"},
		{
			"no echo", on("0", answerWith(200, `{"messages":[{"uuid":"a"}]}`)), "echo", connector.FindingWarning,
			"has no page_number",
		},
		{
			"wrong echo", on("0", answerWith(200, `{"page_number":1,"messages":[{"uuid":"a"}]}`)), "echo",
			connector.FindingRefused, "another page number",
		},
		{"no page", on("0", answerWith(200, `{"data":[]}`)), "page", connector.FindingRefused, "no messages member"},
		{"html", on("0", answerWith(200, `<html>`)), "shape", connector.FindingOK, "not JSON, 6 bytes"},
		{"empty", on("0", answerWith(200, `{"messages":[]}`)), "items", connector.FindingWarning, "empty"},
		{"no ids", on("0", answerWith(200, `{"messages":[{"key":"a"}]}`)), "id", connector.FindingWarning, "1 unusable"},
		{
			"twice", on("0", answerWith(200, `{"messages":[{"uuid":"a"},{"uuid":"a"}]}`)), "repeats", connector.FindingWarning,
			"1 different",
		},
		{
			"oldest first", on("0", answerWith(200,
				`{"messages":[{"uuid":"a","timestamp":1670454681},{"uuid":"b","timestamp":1670454682}]}`)), "order",
			connector.FindingWarning, "1 of 2",
		},
		{
			"local time", on("0", answerWith(200,
				`{"messages":[{"uuid":"a","timestamp":1670454681,"created_at":"2022-12-07T19:11:21"}]}`)), "time zone",
			connector.FindingWarning, "0 of 1",
		},
		{
			"no time", on("0", answerWith(200, `{"messages":[{"uuid":"a","date":"today"}]}`)), "time", connector.FindingWarning,
			"1 of 1",
		},
		{"page 1 fails", on("1", answerWith(500, "")), "calls", connector.FindingWarning, "HTTP 500"},
		{"page 1 is page 0", learnable(func(w http.ResponseWriter, page string) bool {
			if page != "info" {
				_, _ = io.WriteString(w, `{"messages":[{"uuid":"a"}]}`)
			}
			return page != "info"
		}), "page 1", connector.FindingWarning, "ignored"},
		{
			"page 1 repeats below its top", on("1",
				answerWith(200, `{"messages":[{"uuid":"new"},{"uuid":"MSGaf1fa3a1-0d8d-4aa5-b117-f9425b651402"}]}`)), "page 1",
			connector.FindingWarning, "2 items; 1 of them were on page 0 before, 0 of these at its top",
		},
		{
			"page 1 is newer", on("1", answerWith(200, `{"messages":[{"uuid":"new","timestamp":1770454681}]}`)), "page 1",
			connector.FindingWarning, "true",
		},
		{"end is 404", on("1000000", answerWith(404, "")), "past the end", connector.FindingOK, "404"},
		{"end is 400", on("1000000", answerWith(400, "")), "past the end", connector.FindingWarning, "400"},
	} {
		findings, err := serve(t, test.handler).Learn(t.Context(), stream)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if f := finding(t, findings, test.thing); f.Level != test.level || !strings.Contains(f.Text, test.text) {
			t.Errorf("%s: %s %q", test.name, f.Level, f.Text)
		}
		finding(t, findings, "shape")
	}
}

func TestLearn_Validators(t *testing.T) {
	l := &listServer{body: documented, etag: `"1"`, honest: true}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page_number") == "0" {
			l.ServeHTTP(w, r)
			return
		}
		learnable(nil)(w, r)
	})
	findings, err := c.Learn(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	if f := finding(t, findings, "unchanged page"); f.Text != "ETag; asked with them, the server answers 304" {
		t.Error(f.Text)
	}
}

func TestLearn_Errors(t *testing.T) {
	if _, err := serve(t, answerWith(401, "")).Learn(t.Context(), stream); err == nil ||
		pageError(t, err).Fault != connector.FaultKey {
		t.Errorf("wrong key: %v", err)
	}
	handler := learnable(func(w http.ResponseWriter, page string) bool {
		if page == "0" {
			w.WriteHeader(404)
		}
		return page == "0"
	})
	if _, err := serve(t, handler).Learn(t.Context(), stream); err == nil ||
		pageError(t, err).Fault != connector.FaultNumber {
		t.Errorf("wrong number: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, learnable(func(w http.ResponseWriter, page string) bool {
		if page == "1" {
			cancel()
		}
		return false
	}))
	if _, err := c.Learn(ctx, stream); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestShape(t *testing.T) {
	got := redactedShape([]byte(`{"a":[{"x":1.5,"y":"abc"},{"x":-20,"y":"","z":{"+595981048477":null,"w2":true}},null,[]],"Name":"x"}`))
	want := `{
  a: [4 x null|{
      x: number(9.9)|number(-99)
      y: string(0..3)
      z?: {
        *: null
        w2: bool
      }
    }|[0 x ]]
  *: string(1)
}`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
