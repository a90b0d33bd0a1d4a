package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// A row says the same as the attributes of its event, in every mode, and holds the item as the API listed it.
func TestRun_Rows(t *testing.T) {
	for _, mode := range []string{"structured", "binary"} {
		t.Run(mode, func(t *testing.T) {
			fake, url := fakeAPI(t, twochattest.Options{Seed: 21, History: 250})
			events := filepath.Join(t.TempDir(), "events.jsonl")
			path := configure(t, url, "file: { path: "+events+" }", "events: { data: row, text: exact, mode: "+mode+" }")
			r := start(t, "run", "--config", path)
			until(t, "the history", func() bool {
				content, err := os.ReadFile(events)
				return err == nil && strings.Count(string(content), "\n") == 250
			})
			wantCode(t, r.end(), cli.ExitFine)
			listed := map[string]string{}
			for _, m := range fake.Truth("") {
				listed[m.UUID] = string(m.Data())
			}
			content, err := os.ReadFile(events)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(content)) {
				var e struct {
					ID, SentBy, Time, RecordedTime, Type string
					Data                                 map[string]*string
				}
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatalf("%v: %s", err, line)
				}
				for column, want := range map[string]string{
					"uuid": e.ID, "sent_by": e.SentBy, "occurred_at": e.Time, "recorded_at": e.RecordedTime, "item": listed[e.ID],
					"direction": e.Type[strings.LastIndexByte(e.Type, '.')+1:],
				} {
					if said := e.Data[column]; said == nil && want != "" || said != nil && *said != want {
						t.Errorf("%s is not %q: %s", column, want, line)
					}
				}
				if _, err := time.Parse(time.RFC3339Nano, *e.Data["recorded_at"]); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A preview shows the item, also if events have rows.
func TestPreview_Rows(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 1, History: 5})
	path := configure(t, url, "file: { path: "+t.TempDir()+"/events.jsonl }", "events: { data: row }")
	code, out, errOut := finish(t, "preview", "--config", path, "--last", "5")
	wantCode(t, code, cli.ExitFine)
	if strings.Contains(out, "recorded_at") || !strings.Contains(out, "after   the same") {
		t.Errorf("%s%s", out, errOut)
	}
	_, out, _ = finish(t, "explain", "--config", path)
	clitest.WantText(t, "explain", strings.Join(strings.Fields(out), " "),
		"a row shows parts of that, and nothing else")
}
