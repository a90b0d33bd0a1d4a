package twochat

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// A single item becomes the same message as on a page.
func TestClient_Item(t *testing.T) {
	stream := connector.Stream{Name: "a", Number: "+595981048477", SourceKey: "k"}
	key := func() (string, error) { return "key", nil }
	received := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, item := range []string{
		`{"uuid":"MSG00000001-0000-4000-8000-000000000000","session_key":"s","message":{"text":"a\u0000b"},"sent_by":"user","created_at":"2026-01-31T10:00:00Z"}`,
		`{"id":"x","message":{}}`, `{"message":{"text":"no id"}}`, `[1]`, "{\"uuid\":\"y\",\"t\":\"\xff\"}",
	} {
		for _, config := range []Config{{}, {Rows: true}, {Privacy: Privacy{Drop: []string{DropText}}}} {
			config.BaseURL, config.Key = "http://127.0.0.1:1", key
			client, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			got := client.Item(stream, []byte(item), received)
			body := []byte(`{"messages":[` + item + `]}`)
			found, problem := scanPage(body, 0, nil)
			if problem == "it has no messages member" || len(found.items) != 1 {
				t.Fatalf("%s: %s", item, problem)
			}
			want := client.messages(stream, body, &scratch{items: found.items})
			if config.Rows {
				toRows(want, found.items, body, received)
			}
			if !reflect.DeepEqual(got, want[0]) {
				t.Errorf("%s becomes\n%+v\nwant\n%+v", item, got, want[0])
			}
			client.Close()
		}
	}
	client, err := New(Config{BaseURL: "http://127.0.0.1:1", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, torn := range []string{`{"uuid":"torn`, `{"uuid":"a"} {}`, ``} {
		got := client.Item(stream, []byte(torn), received)
		if got.Fault == "" || got.Key != connector.ContentKey([]byte(torn)) || !bytes.Equal(got.Data, []byte(torn)) {
			t.Errorf("%q becomes %+v", torn, got)
		}
	}
}
