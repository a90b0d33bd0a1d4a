package twochat

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// canaries are texts that no error may show.
var canaries = []string{apiKey, "595981048477", "5215512345432", "secret text", "amazonaws", "UAK"}

func clean(t *testing.T, err error) {
	t.Helper()
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, text := range []string{e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
			for _, canary := range canaries {
				if strings.Contains(text, canary) {
					t.Errorf("an error shows %q: %s", canary, text)
				}
			}
		}
	}
}

func TestClient_ErrorsShowNothingPersonal(t *testing.T) {
	personal := `"detail":"+595981048477 and +5215512345432 said secret text with ` + apiKey +
		` https://x.amazonaws.com/a"`
	s := stream
	s.Remote = "+5215512345432"
	for status := 200; status < 600; status++ {
		if status == 204 || status == 304 || status > 210 && status < 300 || status > 310 && status < 400 {
			continue
		}
		for _, body := range []string{
			"{" + personal + "}", "{" + personal, `{"success":false,` + personal + `}`, `{"messages":{` + personal + `}}`,
			`{"page_number":"secret text","messages":[]}`,
			`{"messages":[` + strings.Repeat("{"+personal+"},", 10) + `0]}`,
		} {
			c := serve(t, answerWith(status, body, "Location", "https://secret text/+595981048477?k="+apiKey, "Retry-After",
				"secret text"))
			_, err := c.Page(t.Context(), s, 0, "")
			if err == nil {
				t.Fatalf("status %d with %s is accepted", status, body)
			}
			clean(t, err)
			if status == 200 || status == 401 {
				_, err = c.Info(t.Context())
				clean(t, err)
			}
		}
	}
	_, err := New(Config{BaseURL: "https://api.p.2chat.io/?key=" + apiKey, Key: func() (string, error) { return "", nil }})
	clean(t, err)
	_, err = New(Config{BaseURL: "https://" + apiKey + "@[/", Key: func() (string, error) { return "", nil }})
	clean(t, err)
	_, err = clientOf(t, "http://127.0.0.1:1").Page(t.Context(), connector.Stream{Number: "+595981048477 secret text"}, 0,
		"")
	clean(t, err)
}
