package twochattest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// steer sends a request to the control of a Fake.
func steer(t *testing.T, f *Fake, method, path, body string) (status int, answer string) {
	t.Helper()
	w := httptest.NewRecorder()
	Control(f).ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	content, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(content)
}

func TestControl(t *testing.T) {
	fake := New(Options{Seed: 3, Numbers: []string{"+15550100100", "+15550100101"}, History: 5})
	second := "number=%2B15550100101"
	for _, step := range []struct {
		path, body string
		more       int // messages of the second number
	}{
		{"append?count=3&" + second, "", 3},
		{"append?" + second, "", 1},
		{"late?depth=2&" + second, "", 1},
		{"backdated?" + second, "", 1},
		{"skeleton?" + second, "", 1},
		{"edit?position=0&" + second, "", 0},
		{"delete?position=1&" + second, "", 0},
		{"poison?kind=no+id&" + second, "", 1},
		{"next", `[{"kind":"status","status":503,"retry_after":1},{"kind":"truncated"},{}]`, 0},
		{"faults?rate=0.5", "", 0},
		{"quiet", "", 0},
		{"resume", "", 0},
	} {
		before := len(fake.Truth("+15550100101"))
		status, answer := steer(t, fake, http.MethodPost, "/fake/"+step.path, step.body)
		var got struct{ UUIDs []string }
		if err := json.Unmarshal([]byte(answer), &got); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d, %s", step.path, status, answer)
		}
		if more := len(fake.Truth("+15550100101")) - before; more != step.more {
			t.Errorf("%s: %d more messages", step.path, more)
		}
	}
	if first := len(fake.Truth("")); first != 5 {
		t.Errorf("the first number has %d messages", first)
	}
	_, lines := steer(t, fake, http.MethodGet, "/fake/truth?"+second, "")
	edited, deleted, poisoned := 0, 0, 0
	for line := range strings.Lines(lines) {
		var m truth
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		switch {
		case m.Poison != "":
			poisoned++
		case !json.Valid([]byte(m.Item)) || m.UUID == "":
			t.Errorf("%s", line)
		}
		edited += m.Edits
		if m.Deleted {
			deleted++
		}
	}
	if edited != 1 || deleted != 1 || poisoned != 1 {
		t.Errorf("%d edited, %d deleted, %d poisoned", edited, deleted, poisoned)
	}
	_, numbers := steer(t, fake, http.MethodGet, "/fake/numbers", "")
	if numbers != `{"numbers":["+15550100100","+15550100101"]}`+"\n" {
		t.Error(numbers)
	}
	steer(t, fake, http.MethodPost, "/fake/replace?count=7&"+second, "")
	steer(t, fake, http.MethodPost, "/fake/clear", "")
}

func TestControl_Refuses(t *testing.T) {
	fake := New(Options{Seed: 3})
	for path, want := range map[string]int{
		"append?number=%2B1": 404, "append?count=-1": 400, "append?count=100001": 400, "append?count=x": 400,
		"late?depth=x":      400,
		"delete?position=0": 400,
		"edit?position=5":   400, "poison?kind=x": 400, "replace?count=x": 400,
		"faults?rate=2": 400, "faults": 400, "next": 400, "nothing": 404,
		"append?cuont=3": 400, "quiet?rate=1": 400, "late?position=2": 400, "append?count=%zz": 400, "faults?rate=NaN": 400,
	} {
		if status, answer := steer(t, fake, http.MethodPost, "/fake/"+path, "{"); status != want {
			t.Errorf("%s: %d, %s", path, status, answer)
		}
	}
	for body, want := range map[string]string{
		`[{"kind":"status"}]`:                               "status: expected",
		`[{},{"kind":"nope"}]`:                              `"truncated"`,
		`[{"status":503}]`:                                  "status, body and retry_after: expected with",
		`[{"kind":"html","retry_after":1}]`:                 "status, body and retry_after: expected with",
		`[{"kind":"status","status":503,"body":"x"}]`:       `"error_message"`,
		`[{"kind":"html","delay":5}]`:                       "delay: expected with",
		`[{"kind":"slow","delay":-5}]`:                      "delay: expected 0",
		`[{"kind":"status","status":429,"retry_after":-1}]`: "retry_after: expected 0",
	} {
		status, answer := steer(t, fake, http.MethodPost, "/fake/next", body)
		if status != http.StatusBadRequest || !strings.Contains(refusalOf(t, answer), want) {
			t.Errorf("%s: %d, %s", body, status, answer)
		}
	}
	if len(fake.next) > 0 {
		t.Error("an answer of a list that was refused is kept")
	}
	_, answer := steer(t, fake, http.MethodPost, "/fake/append?cuont=3", "")
	if told := refusalOf(t, answer); !strings.Contains(told, "count, number") {
		t.Errorf("the known members are not named: %s", told)
	}
	for path, want := range map[string]int{"append": 405, "nothing": 404, "": 404} {
		status, answer := steer(t, fake, http.MethodGet, "/fake/"+path, "")
		if status != want || refusalOf(t, answer) == "" {
			t.Errorf("GET %s: %d, %s", path, status, answer)
		}
	}
	if status, _ := steer(t, fake, http.MethodPost, "/fake/truth", ""); status != 405 {
		t.Errorf("POST truth: %d", status)
	}
	for _, path := range []string{"late", "backdated", "skeleton", "clear", "replace?count=0", "edit?position=7"} {
		status, answer := steer(t, New(Options{Seed: 3}), http.MethodPost, "/fake/"+path, "")
		if status != 200 && status != 400 {
			t.Errorf("%s of an empty list: %d, %s", path, status, answer)
		}
	}
	if len(fake.Truth("")) != 0 {
		t.Error("something was changed")
	}
}

// refusalOf returns the error in an answer.
func refusalOf(t *testing.T, answer string) string {
	t.Helper()
	var told struct{ Error string }
	if err := json.Unmarshal([]byte(answer), &told); err != nil {
		t.Errorf("%s: %v", answer, err)
	}
	return told.Error
}

// The request may be a form, as curl -d sends it, and is validated like a query. A JSON document may be sent as a form
// too.
func TestControl_TakesForms(t *testing.T) {
	fake := New(Options{Seed: 3})
	for _, step := range []struct {
		path, body string
		want       int
		messages   int
	}{
		{"append", "count=3", http.StatusOK, 3},
		{"append", "cuont=3", http.StatusBadRequest, 3},
		{"poison", "kind=no+id", http.StatusOK, 4},
		{"next", `[{"kind":"html"}]`, http.StatusOK, 4},
	} {
		r := httptest.NewRequest(http.MethodPost, "/fake/"+step.path, strings.NewReader(step.body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		Control(fake).ServeHTTP(w, r)
		if got := len(fake.Truth("")); w.Code != step.want || got != step.messages {
			t.Errorf("%s with %s: %d, %d messages, want %d", step.path, step.body, w.Code, got, step.messages)
		}
	}
	if len(fake.next) != 1 {
		t.Errorf("%d answers are scripted", len(fake.next))
	}
}

// Every kind of fault can be requested by its name.
func TestKinds(t *testing.T) {
	source, err := os.ReadFile("fault.go")
	if err != nil {
		t.Fatal(err)
	}
	var written []Kind
	for _, found := range regexp.MustCompile(`(?m)^\tKind\w+ +Kind = "([^"]+)"`).FindAllSubmatch(source, -1) {
		written = append(written, Kind(found[1]))
	}
	if got := Kinds(); len(got) < 20 || !slices.Equal(got, written) {
		t.Errorf("the list has\n%q, the constants are\n%q", got, written)
	}
	for _, kind := range Kinds() {
		body, err := json.Marshal([]map[string]any{{"kind": kind}})
		if kind == KindStatus {
			body, err = json.Marshal([]map[string]any{{"kind": kind, "status": 503, "body": "html", "retry_after": 2}})
		}
		if err != nil {
			t.Fatal(err)
		}
		if status, answer := steer(t, New(Options{Seed: 3}), http.MethodPost, "/fake/next", string(body)); status != 200 {
			t.Errorf("%s: %d, %s", kind, status, answer)
		}
	}
}

// While the fake is quiet, no messages arrive by themselves.
func TestFake_Arrive(t *testing.T) {
	fake := New(Options{Seed: 3})
	for _, step := range []struct {
		path string
		want int
	}{{"quiet", 0}, {"resume", 1}, {"quiet", 1}} {
		steer(t, fake, http.MethodPost, "/fake/"+step.path, "")
		fake.Arrive("")
		if got := len(fake.Truth("")); got != step.want {
			t.Errorf("after %s: %d messages, want %d", step.path, got, step.want)
		}
	}
}
