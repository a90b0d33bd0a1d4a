package twochat

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

const apiKey = "UAK0f9c2f5e-1111-4222-8333-444455556666"

// serve starts a server, and returns a client of it.
func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return clientOf(t, server.URL)
}

func clientOf(t *testing.T, baseURL string) *Client {
	t.Helper()
	c, err := New(Config{
		BaseURL: baseURL, Key: func() (string, error) { return apiKey + "\n", nil }, Timeout: time.Minute, Version: "1.2.3",
		Now: func() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func answerWith(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func pageError(t *testing.T, err error) *connector.PageError {
	t.Helper()
	var fault *connector.PageError
	if !errors.As(err, &fault) {
		t.Fatalf("%v is no page error", err)
	}
	return fault
}

func TestNew_RefusesWhatIsWrong(t *testing.T) {
	key := func() (string, error) { return "k", nil }
	for _, base := range []string{
		"", "api.p.2chat.io", "ftp://api.p.2chat.io", "http://api.p.2chat.io", "http://10.0.0.1",
		"https://u:p@api.p.2chat.io", "https://api.p.2chat.io?a=b",
		"https://api.p.2chat.io/open", "https://api.p.2chat.io/open/", "https://api.p.2chat.io/#x", "https:api", "://",
		"http://127.0.0.1.evil.example",
	} {
		if c, err := New(Config{BaseURL: base, Key: key}); err == nil {
			c.Close()
			t.Errorf("base URL %q is accepted", base)
		}
	}
	for _, base := range []string{
		"https://api.p.2chat.io", "https://api.p.2chat.io/", "https://proxy.example/2chat",
		"http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:1",
	} {
		c, err := New(Config{BaseURL: base, Key: key})
		if err != nil {
			t.Errorf("base URL %q: %v", base, err)
			continue
		}
		c.Close()
		c.Close()
	}
	_, err := New(Config{BaseURL: "x", Timeout: -1, Privacy: Privacy{Identifiers: "x"}})
	for _, part := range []string{"base URL", "API key", "timeout", "privacy"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name the %s: %v", part, err)
		}
	}
}

func TestClient_Request(t *testing.T) {
	var got *http.Request
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		_, _ = io.WriteString(w, `{"messages":[]}`)
	})
	for _, test := range []struct {
		stream connector.Stream
		number int
		uri    string
	}{
		{connector.Stream{Number: "+595981048477"}, 0, "/open/whatsapp/messages/+595981048477?page_number=0"},
		{
			connector.Stream{Number: "+595981048477", Remote: "+595981111111"},
			12,
			"/open/whatsapp/messages/+595981048477/+595981111111?page_number=12",
		},
		{
			connector.Stream{Number: "+595981048477", Remote: "123123@lid"},
			1,
			"/open/whatsapp/messages/+595981048477/123123@lid?page_number=1",
		},
	} {
		page, err := c.Page(t.Context(), test.stream, test.number, "")
		if err != nil || page.Number != test.number || len(page.Messages) != 0 || page.Received.IsZero() ||
			page.Fingerprint == "" {
			t.Errorf("page %+v, error %v", page, err)
		}
		if got.RequestURI != test.uri || got.Method != http.MethodGet {
			t.Errorf("%s %s, want %s", got.Method, got.RequestURI, test.uri)
		}
		if got.Header.Get("X-User-API-Key") != apiKey || got.Header.Get("User-Agent") != "twochat-connector/1.2.3" ||
			got.Header.Get("Accept-Encoding") != "gzip" ||
			got.Header.Get("Accept") != "application/json" || len(got.Header) != 4 {
			t.Errorf("headers %v", got.Header)
		}
	}
	got = nil
	for _, s := range []connector.Stream{
		{Number: ""},
		{Number: "+595/../../admin"},
		{Number: ".."},
		{Number: "+595981048477", Remote: "../x"},
		{Number: "+595981048477", Remote: "+1?x=y"},
		{Number: "...."},
	} {
		if _, err := c.Page(t.Context(), s, 0, ""); err == nil || pageError(t, err).Fault != connector.FaultRequest {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if _, err := c.Page(t.Context(), stream, -1, ""); err == nil {
		t.Error("page -1 is accepted")
	}
	if got != nil {
		t.Errorf("a request was made: %s", got.RequestURI)
	}
}

func TestClient_Statuses(t *testing.T) {
	bodies := []string{
		`{"detail":"Invalid API Key"}`, `{"detail":[{"loc":["path"],"msg":"m","type":"t"}]}`,
		`{"success":false,"error":true,"error_message":"no"}`,
		`{"message":"no"}`, `<html>`, ``, documented,
	}
	for status, want := range map[int]connector.PageFault{
		400: connector.FaultRequest, 401: connector.FaultKey, 402: connector.FaultCredits, 403: connector.FaultKey,
		404: connector.FaultNumber,
		405: connector.FaultRequest, 406: connector.FaultRequest, 408: connector.FaultTransient,
		409: connector.FaultTransient, 410: connector.FaultTransient,
		422: connector.FaultRequest, 425: connector.FaultTransient, 429: connector.FaultRateLimited,
		451: connector.FaultRequest, 486: connector.FaultTransient,
		500: connector.FaultTransient, 502: connector.FaultTransient, 503: connector.FaultTransient,
		504: connector.FaultTransient, 599: connector.FaultTransient,
		201: connector.FaultInvalid, 204: connector.FaultInvalid, 206: connector.FaultInvalid, 301: connector.FaultRequest,
		302: connector.FaultRequest,
		304: connector.FaultInvalid, 307: connector.FaultRequest, 699: connector.FaultInvalid,
	} {
		for _, body := range bodies {
			if status == 204 || status == 304 {
				body = ""
			}
			c := serve(t, answerWith(status, body, "Location", "http://elsewhere.example/"))
			_, err := c.Page(t.Context(), stream, 0, "")
			want := want
			if status == 404 && (body == "" || body == `<html>` || body == documented) {
				want = connector.FaultTransient // not 2Chat's own format
			}
			if fault := pageError(t, err); fault.Fault != want || fault.Status != status || fault.RetryAfter != 0 {
				t.Errorf("status %d with %q: %v", status, body, err)
			}
		}
	}
}

func TestClient_NotFoundBeyondPage0IsAnEnd(t *testing.T) {
	empty, err := serve(t, answerWith(200, `{"messages":[ ]}`)).Page(t.Context(), stream, 3, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"detail":"Not found"}`, `{"detail":[{"loc":["path"],"msg":"m","type":"t"}]}`,
		`{"success":false,"error":true,"error_message":"no"}`, `{"message":"no"}`,
	} {
		page, err := serve(t, answerWith(404, body)).Page(t.Context(), stream, 3, "")
		if err != nil || !page.Missing || page.Number != 3 || page.Messages != nil || page.Fingerprint != empty.Fingerprint ||
			page.Received.IsZero() {
			t.Errorf("%s: page %+v, error %v", body, page, err)
		}
	}
}

// A 404 of a proxy says nothing about the list, for any page: it may pass.
func TestClient_NotFoundInOtherWordsIsNoEnd(t *testing.T) {
	for _, body := range []string{
		"default backend - 404", "not found", "", "<html>404</html>", `"not found"`, `null`, `[]`, `{}`, `{"status":404}`,
		`{"detail":null}`, `{"detail":{}}`,
		`{"success":true,"messages":[]}`, `{"detail":"cut`, `{"message":{"text":"no"}}`, documented,
	} {
		for _, number := range []int{0, 3} {
			_, err := serve(t, answerWith(404, body)).Page(t.Context(), stream, number, "")
			if fault := pageError(t, err); fault.Fault != connector.FaultTransient || fault.Status != 404 ||
				fault.RetryAfter != 0 {
				t.Errorf("%q on page %d: %v", body, number, err)
			}
		}
	}
}

// An empty page is the same page, however a server writes it.
func TestClient_EmptyPages(t *testing.T) {
	for _, body := range []string{`{"messages":[]}`, `{"messages":null}`, `{"messages":{}}`, `{"success":true}`} {
		page, err := serve(t, answerWith(200, body)).Page(t.Context(), stream, 0, "")
		if err != nil || page.Fingerprint != emptyPage || emptyPage != fingerprint([]byte("[]")) || len(page.Messages) > 0 {
			t.Errorf("%s: %+v, %v", body, page, err)
		}
		if page, err = serve(t, answerWith(200, body)).Page(t.Context(), stream, 0, emptyPage); err != nil ||
			!page.Unchanged {
			t.Errorf("%s held: %+v, %v", body, page, err)
		}
	}
}

func TestClient_InvalidPages(t *testing.T) {
	eleven := `{"messages":[` + strings.Repeat(`{"name":"x"},`, 10) + `{"name":"y"}]}`
	for name, body := range map[string]string{
		"html": `<html>`, "empty": ``, "success false": `{"success":false,"messages":[]}`,
		"cut": documented[:len(documented)-1], "garbage": documented + "x",
		"echo": `{"page_number":1,"messages":[]}`, "messages text": `{"messages":"null"}`, "no item usable": eleven,
	} {
		c := serve(t, answerWith(200, body))
		_, err := c.Page(t.Context(), stream, 0, "")
		if fault := pageError(t, err); fault.Fault != connector.FaultInvalid || fault.Status != 200 {
			t.Errorf("%s: %v", name, err)
		}
	}
	one := strings.Replace(eleven, `{"name":"y"}`, `{"uuid":"y"}`, 1)
	if page, err := serve(t, answerWith(200, one)).Page(t.Context(), stream, 0, ""); err != nil ||
		len(page.Messages) != 11 {
		t.Errorf("one item of eleven is good: %v", err)
	}
	nine := `{"messages":[` + strings.Repeat(`{"name":"x"},`, 8) + `{"name":"y"}]}`
	if page, err := serve(t, answerWith(200, nine)).Page(t.Context(), stream, 0, ""); err != nil ||
		len(page.Messages) != 9 || !allFaulty(page.Messages) {
		t.Errorf("nine bad items: %v", err)
	}
}

func TestClient_RetryAfter(t *testing.T) {
	for _, test := range []struct {
		value, date string
		want        time.Duration
	}{
		{"7", "", 7 * time.Second},
		{" 7 ", "", 7 * time.Second},
		{"1.5", "", 1500 * time.Millisecond},
		{"-3", "", 0},
		{"soon", "", 0},
		{"999999999999", "", time.Hour},
		{"Inf", "", time.Hour},
		{"Sat, 31 Jan 2026 12:00:30 GMT", "-", 30 * time.Second},
		{"Sat, 31 Jan 2026 12:00:30 GMT", "Sat, 31 Jan 2026 12:00:10 GMT", 20 * time.Second},
		{"Sat, 31 Jan 2026 11:00:30 GMT", "-", 0},
		{"Sun, 01 Feb 2026 12:00:00 GMT", "-", time.Hour},
	} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", test.value)
			if test.date == "-" {
				w.Header()["Date"] = nil
			} else if test.date != "" {
				w.Header().Set("Date", test.date)
			}
			w.WriteHeader(429)
		})
		_, err := c.Page(t.Context(), stream, 0, "")
		if fault := pageError(t, err); fault.Fault != connector.FaultRateLimited || fault.RetryAfter != test.want {
			t.Errorf("Retry-After %q: %v after %v, want %v", test.value, fault, fault.RetryAfter, test.want)
		}
	}
}

func TestClient_Key(t *testing.T) {
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("X-User-API-Key"))
		_, _ = io.WriteString(w, `{"messages":[]}`)
	}))
	t.Cleanup(server.Close)
	keys := []string{"first", "second", "", "two words", "a\r\nX: y", "kéy"}
	c, err := New(Config{BaseURL: server.URL, Key: func() (string, error) {
		if len(keys) == 0 {
			return "", errors.New("no such file")
		}
		key := keys[0]
		keys = keys[1:]
		return key, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for i := range 7 {
		_, err := c.Page(t.Context(), stream, 0, "")
		if i < 2 && err != nil {
			t.Fatal(err)
		}
		if i >= 2 && pageError(t, err).Fault != connector.FaultKey {
			t.Errorf("key %d: %v", i, err)
		}
	}
	if strings.Join(seen, " ") != "first second" {
		t.Errorf("keys sent: %q", seen)
	}
}
