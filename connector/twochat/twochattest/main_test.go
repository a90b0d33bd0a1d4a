package twochattest

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is a clock that does not advance.
func at() time.Time { return time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC) }

// start makes a Fake listen for one test, with a client that follows no redirects.
func start(t *testing.T, o Options) (*Fake, *Server, *http.Client) {
	t.Helper()
	if o.Now == nil {
		o.Now = at
	}
	fake := New(o)
	server, err := fake.Start()
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	return fake, server, client
}

// get requests a path and reads the whole answer.
func get(t *testing.T, client *http.Client, url string, header ...string) (*http.Response, []byte, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-User-API-Key", "any")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, body, err
}

// page is the envelope of a page.
type page struct {
	Success  *bool             `json:"success"`
	Number   *int              `json:"page_number"`
	Messages []json.RawMessage `json:"messages"`
}

// read requests a page that must be a good one.
func read(t *testing.T, client *http.Client, url string) []json.RawMessage {
	t.Helper()
	response, body, err := get(t, client, url)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", response, err)
	}
	var p page
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatal(err)
	}
	if p.Success == nil || !*p.Success || p.Messages == nil {
		t.Fatalf("no good envelope: %.80s", body)
	}
	return p.Messages
}
