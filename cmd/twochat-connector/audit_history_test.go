package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// A history is audited against what is listed below the live stream's beginning, and repaired beside a running instance.
func TestAudit_History(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"JetStream", "Kafka", "file"} {
		t.Run(kind, func(t *testing.T) {
			fake, url := fakeAPI(t, twochattest.Options{Seed: 41, History: 800})
			file := filepath.Join(t.TempDir(), "events.jsonl")
			sink := "file: { path: " + file + " }"
			switch kind {
			case "JetStream":
				sink = "jetstream: { url: '" + embeddedServer(t) + "' }"
			case "Kafka":
				_, broker := fakeKafka(t)
				sink = "kafka: { brokers: ['" + broker + "'], create: true, replicas: 1 }"
			}
			path := configure(t, url, sink)
			replace(t, path, "start: beginning", "start: now")
			live := liveStream(t, path)
			args := []string{"--config", path, "--stream", "support-history", "--all"}
			code, _, errOut := finish(t, append([]string{"audit"}, args...)...)
			wantCode(t, code, cli.ExitFailed)
			clitest.WantText(t, "before a backfill", errOut, "there is nothing to audit", "twochat-connector backfill ")
			code, _, errOut = finish(t, "backfill", "--config", path, "--all")
			if code != cli.ExitFine {
				t.Fatalf("backfill: %d: %s", code, errOut)
			}
			fake.Insert("", 9)
			s := auditReport(t, cli.ExitFine, args...).Streams[0]
			if s.Stream != "support-history" || s.HistoryOf != "support" || s.Listed < 700 || s.Events != s.Listed {
				t.Fatalf("%d listed, %d events of %s, of %s", s.Listed, s.Events, s.Stream, s.HistoryOf)
			}
			want := 1
			late := fake.Late("", 500)
			if kind == "file" {
				history := filepath.Join(filepath.Dir(file), "events.support-history.jsonl")
				content, err := os.ReadFile(history)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(history, removeLines(content, 100, 3), 0o600); err != nil {
					t.Fatal(err)
				}
				want = 4
			}
			f := auditReport(t, cli.ExitWrong, args...).Streams[0].Findings
			if len(f.Missing) != want || f.Missing[0].UUID != late && kind != "file" {
				t.Errorf("missing are %v, want %d", f.Missing, want)
			}
			if kind != "file" { // a file that somebody shortened is refused before
				r := auditReport(t, cli.ExitFine, append(args, "--repair")...).Streams[0].Repair
				if r == nil || r.Restored != want {
					t.Errorf("the repair is %+v, want %d restored", r, want)
				}
				auditReport(t, cli.ExitFine, args...)
			}
			if state := live.over(); state {
				t.Error("the running instance has ended")
			}
			wantCode(t, live.end(), cli.ExitFine)
		})
	}
}
