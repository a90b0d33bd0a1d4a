package twochattest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestShape(t *testing.T) {
	f := New(Options{Seed: 3, History: 40, Shapes: ShapesDocumented})
	f.Poison("", PoisonBadID)
	server := httptest.NewServer(Control(f))
	defer server.Close()
	steer := func(body string) int {
		response, err := http.Post(server.URL+"/fake/shape", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	page := func() (envelope map[string]json.RawMessage, items []map[string]json.RawMessage, body string) {
		request := httptest.NewRequest(http.MethodGet, "/open/whatsapp/messages/"+DefaultNumber, nil)
		request.Header.Set("X-User-API-Key", "any")
		answer := httptest.NewRecorder()
		f.ServeHTTP(answer, request)
		raw, _ := io.ReadAll(answer.Result().Body)
		if json.Unmarshal(raw, &envelope) != nil || json.Unmarshal(envelope["messages"], &items) != nil || len(items) != 41 {
			t.Fatalf("%s", raw)
		}
		return envelope, items, string(raw)
	}
	_, _, before := page()
	for _, wrong := range []string{"", "[]", `{"add":1}`, `{"more":{}}`} {
		if status := steer(wrong); status != http.StatusBadRequest {
			t.Errorf("%q: status %d", wrong, status)
		}
	}
	if status := steer(`{"add":{"colour":"red","timestamp":{"at":1}},"drop":["session_key"],"around":{"next":7,"success":1}}`); status != 200 {
		t.Fatalf("status %d", status)
	}
	envelope, items, body := page()
	if string(envelope["next"]) != "7" || string(envelope["success"]) != "1" {
		t.Errorf("%s", body)
	}
	for _, item := range items[1:] {
		if string(item["colour"]) != `"red"` || string(item["timestamp"]) != `{"at":1}` || item["session_key"] != nil || item["uuid"] == nil {
			t.Fatalf("%s", body)
		}
	}
	// The truth accepts an event of either shape, because both were served.
	truth := f.Truth("")
	if versions := truth[0].Versions(); len(versions) != 2 || !strings.Contains(before, string(versions[0])) ||
		!strings.Contains(body, string(versions[1])) || string(truth[0].Data()) != string(versions[1]) {
		t.Errorf("%s", versions)
	}
	if steer("{}"); func() bool { _, _, body := page(); return body != before }() {
		t.Error("the usual shape does not come back")
	}
}
