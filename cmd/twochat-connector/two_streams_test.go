package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// secondNumber is that of the stream sales.
const secondNumber = "+595981048478"

// twoStreams writes a configuration of the streams support and sales on a file, and delivers 20 and 50 messages.
func twoStreams(t *testing.T) (fake *twochattest.Fake, path, events string) {
	t.Helper()
	fake, url := fakeAPI(t, twochattest.Options{
		Seed: 6, History: 20, Numbers: []string{twochattest.DefaultNumber, secondNumber},
	})
	fake.Insert(secondNumber, 30)
	events = filepath.Join(t.TempDir(), "events.jsonl")
	path = configure(t, url, "file: { path: "+events+" }")
	replace(t, path, "name: support }", "name: support }, { number: '"+secondNumber+"', name: sales }")
	deliverAll(t, path, `"certified": 20`, `"certified": 50`)
	return fake, path, events
}

// deliverAll runs the connector until its status has all parts.
func deliverAll(t *testing.T, path string, parts ...string) {
	t.Helper()
	flags, wanted := []string{"run", "--config", path}, parts
	for len(wanted) > 0 && strings.HasPrefix(wanted[0], "--") {
		flags, wanted = append(flags, wanted[0]), wanted[1:]
	}
	r := start(t, flags...)
	admin := r.admin()
	until(t, strings.Join(wanted, " and "), func() bool {
		_, body := get(t, admin+"/status")
		for _, part := range wanted {
			if !strings.Contains(body, part) {
				return false
			}
		}
		return true
	})
	wantCode(t, r.end(), cli.ExitFine)
}

// What a refusal prints for one stream works as printed, and leaves another that is not as far as it is. A number
// without a name is refused, as it would skip sequences of the other.
func TestRun_FirstStartOfOneOfTwoStreams(t *testing.T) {
	t.Parallel()
	fake, path, events := twoStreams(t)
	record := filepath.Join(events+".checkpoint", "sales.json")
	if err := os.WriteFile(record, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, "run", "--config", path)
	wantCode(t, r.wait(), cli.ExitFailed)
	clitest.WantText(t, "run", r.err.String(), "--first-start=sales:50`")
	if err := os.Rename(record, record+".broken"); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := finish(t, "run", "--config", path, "--first-start=50")
	wantCode(t, code, cli.ExitUsage)
	clitest.WantText(t, "run", errOut, "each has its own", "--first-start=support:50, --first-start=sales:50",
		"--first-start=all:50 for all")
	code, out, _ := finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "audit", out, "Stream support: 20 messages listed, 20 events in the log",
		"Stream sales: not audited: the sink holds events of this stream but no checkpoint")

	fake.Insert("", 1)
	fake.Insert(secondNumber, 1)
	deliverAll(t, path, "--first-start=sales:50", `"certified": 21`, `"certified": 51`)
	auditReport(t, cli.ExitFine, "--config", path, "--all")

	// If somebody gives a number that the log never reached, that is reported, and nothing counts as erased.
	fake.Insert("", 1)
	deliverAll(t, path, "--first-start=support:30", `"certified": 31`)
	code, out, _ = finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "audit", out, "9 sequences passed over with --first-start: #22 to #30")
}

// A stream that has not started does not keep the others from being audited. If none has, there is nothing to audit.
func TestAudit_AStreamThatHasNotStarted(t *testing.T) {
	t.Parallel()
	_, path, events := twoStreams(t)
	replace(t, path, "streams: [", "streams: [{ number: '+595981048479', name: later }, ")
	code, out, errOut := finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "audit", out, "Stream later: not audited: it has not started yet",
		"Stream support: 20 messages listed", "Stream sales: 50 messages listed")
	if strings.Contains(errOut, "twochat-connector audit:") {
		t.Errorf("it says so twice: %s", errOut)
	}
	r := auditReport(t, cli.ExitFailed, "--config", path, "--all")
	if len(r.Streams) != 2 || len(r.Unaudited) != 1 || r.Unaudited[0].Stream != "later" || r.Wrong {
		t.Errorf("%+v", r)
	}
	code, _, errOut = finish(t, "audit", "--config", path, "--all", "--stream", "later")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "audit", errOut, "stream later has not started yet, so there is nothing to audit")

	wantUnclaimed(t, path, events)

	for _, of := range []string{events, events + ".checkpoint"} {
		if err := os.RemoveAll(of); err != nil {
			t.Fatal(err)
		}
	}
	code, _, errOut = finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "audit", errOut, "stream later has not started yet", "stream support has not started yet")
}

// wantUnclaimed damages two lines. The one that still names its stream is reported there, and the other once for all;
// what is wrong counts more than that a stream was not audited.
func wantUnclaimed(t *testing.T, path, events string) {
	t.Helper()
	content, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(content), "\n")
	lines[3], lines[4] = "garbage\n", strings.Replace(lines[4], `"id":`, `"no":`, 1)
	if err := os.WriteFile(events, []byte(strings.Join(lines, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	r := auditReport(t, cli.ExitWrong, "--config", path, "--all")
	unreadable, missing := 0, 0
	for _, s := range r.Streams {
		unreadable, missing = unreadable+s.Counts.Unreadable, missing+s.Counts.Missing
	}
	for _, s := range r.Streams {
		if !s.Wrong { // but for what may be of any stream
			auditReport(t, cli.ExitWrong, "--config", path, "--all", "--stream", s.Stream)
		}
	}
	if unreadable != 1 || r.Unreadable != 1 || len(r.UnreadableAt) != 1 || missing != 2 || len(r.Unaudited) != 1 {
		t.Errorf("%d unreadable records name a stream, %d at %q do not, and %d messages are missing",
			unreadable, r.Unreadable, r.UnreadableAt, missing)
	}
	code, out, _ := finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "audit", out, "Among the events of all streams:", "name no stream")
}

// After a change of privacy.drop an audit compares what the events and the list both hold. A change in that is found.
func TestAudit_AnotherDrop(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 8, History: 60})
	sink := "file: { path: " + filepath.Join(t.TempDir(), "events.jsonl") + " }"
	path := configure(t, url, sink, "privacy: { drop: [text] }")
	deliverAll(t, path, `"certified": 60`)
	replace(t, path, "drop: [text]", "drop: [names]")
	other := auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0].Findings.Noted.OtherSettings
	if other < 30 {
		t.Errorf("before the next run, %d were written with other settings", other)
	}
	fake.Insert("", 5)
	deliverAll(t, path, `"certified": 65`)
	r := auditReport(t, cli.ExitFine, "--config", path, "--all").Streams[0]
	if got := r.Findings.Noted.OtherSettings; got != other || r.Events != 65 {
		t.Errorf("%d of %d events were written with other settings, want %d", got, r.Events, other)
	}
	code, out, _ := finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "audit", out, "written with another `privacy.drop`")
	fake.Edit("", 0) // the newest has the settings in force
	if got := auditReport(t, cli.ExitWrong, "--config", path, "--all").Streams[0].Counts.Changed; got != 1 {
		t.Errorf("%d changed, want 1", got)
	}
}
