package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// A member that appears, vanishes or changes its type is reported within a poll: once in the log, as a metric, by
// `status`, on the page and by `check`. Nothing is lost, and no value is shown.
func TestShapeChanges_AreTold(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{History: 120, Shapes: twochattest.ShapesDocumented})
	events := filepath.Join(t.TempDir(), "events.jsonl")
	config := configure(t, url, "file: { path: "+events+" }", "log: { format: json }")
	r := start(t, "run", "--config", config)
	admin := r.admin()
	delivered := func(count int) func() bool {
		return func() bool { return auditFile(t, fake, events).Events == count }
	}
	until(t, "the history", delivered(120))
	const metric = `twochat_connector_api_shape_changes{change="`
	if _, text := get(t, admin+"/metrics"); strings.Count(text, metric) != 3 || !strings.Contains(text, metric+`appeared"} 0`) {
		t.Error("the metric does not begin at 0")
	}
	_, out, _ := finish(t, "status", "--admin", admin)
	if strings.Contains(out, "shape") {
		t.Errorf("of documented items it says: %s", out)
	}

	const secret = "what nobody may see"
	add := map[string]json.RawMessage{
		"colour": json.RawMessage(`"` + secret + `"`), "5215512345432": json.RawMessage(`1`), "sent_by": json.RawMessage(`7`),
	}
	twochattest.SetShape(fake, "", twochattest.Reshape{Add: add, Drop: []string{"session_key"}})
	fake.Insert("", 5)
	until(t, "the messages of another shape", delivered(125))
	fake.Insert("", 5)
	until(t, "more of them", delivered(130))
	if report := auditFile(t, fake, events); !report.Clean() {
		t.Errorf("%s", report)
	}
	changes := []string{
		"messages[].colour is new: string", "messages[].* is new: number",
		"messages[].sent_by is of another type: number, known as string", "messages[].session_key is gone",
	}
	code, out, _ := finish(t, "status", "--admin", admin)
	wantCode(t, code, 0)
	clitest.WantText(t, "status", unfolded(out), append(changes, "a different shape", "check --config ", " --learn")...)
	_, text := get(t, admin+"/metrics")
	clitest.WantText(t, "metrics", text, metric+`appeared"} 2`, metric+`vanished"} 1`, metric+`retyped"} 1`)
	_, page := get(t, admin+"/")
	clitest.WantText(t, "the page", page, append(changes, "check --config ", " --learn")...)
	_, body := get(t, admin+"/status")
	var status pipeline.Report
	if err := json.Unmarshal([]byte(body), &status); err != nil || len(status.ShapeChanges) != 4 ||
		status.ShapeChanges[0].Since.IsZero() {
		t.Errorf("%v: %+v", err, status.ShapeChanges)
	}
	const told = "2Chat's answers have a different shape than is known"
	clitest.WantText(t, "the log", r.logged(told, "changes"), changes...)
	if n := strings.Count(r.err.String(), told); n != 1 {
		t.Errorf("it is logged %d times", n)
	}

	_, learned, _ := finish(t, "check", "--config", config, "--learn")
	clitest.WantText(t, "check --learn", learned, append(slices.Clone(changes), "API, members: 4 are not as known")...)
	for _, canary := range []string{secret, "5215512345432"} {
		for where, shown := range map[string]string{
			"status": out, "metrics": text, "page": page, "status as JSON": body, "log": r.err.String(), "check": learned,
		} {
			if strings.Contains(shown, canary) {
				t.Errorf("%s shows %q", where, canary)
			}
		}
	}
	wantCode(t, r.end(), 0)
}
