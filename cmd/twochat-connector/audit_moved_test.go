package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// carry takes a stream's checkpoint from the sink of one configuration to that of another.
func carry(t *testing.T, stream, from, to string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "checkpoint.json")
	for _, args := range [][]string{
		{"export", "--stream", stream, "--out", file, "--config", from}, {"import", file, "--config", to},
	} {
		code, _, errOut := finish(t, append(append([]string{"checkpoint"}, args...), "--take-over")...)
		if code != cli.ExitFine {
			t.Fatalf("%v: %d: %s", args, code, errOut)
		}
	}
}

// A stream that goes to another sink and back is audited in each: what the other one has is not gone, and what somebody
// removes still is.
func TestAudit_ImportedAndBack(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 91, History: 200})
	dir := t.TempDir()
	first := configure(t, url, "file: { path: "+filepath.Join(dir, "first.jsonl")+" }")
	other := configure(t, url, "jetstream: { url: '"+embeddedServer(t)+"' }")
	wantAudit := func(path, text string) {
		t.Helper()
		code, out, errOut := finish(t, "audit", "--config", path, "--all")
		if code != cli.ExitFine {
			t.Fatalf("%d: %s%s", code, out, errOut)
		}
		clitest.WantText(t, path, out, "Nothing is missing", text)
	}
	deliver(t, first, 200)
	carry(t, "support", first, other)
	wantAudit(other, "200 delivered to another sink, before this sink's log: #1 to #200")
	fake.Insert("", 30)
	deliver(t, other, 230)
	carry(t, "support", other, first)
	wantAudit(first, "30 delivered to another sink: #201 to #230")
	fake.Insert("", 30)
	deliver(t, first, 260)
	wantAudit(first, "30 delivered to another sink: #201 to #230")
	carry(t, "support", first, other)
	wantAudit(other, "30 delivered to another sink: #231 to #260")

	log := filepath.Join(dir, "first.jsonl")
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, removeLines(content, 100, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := auditReport(t, cli.ExitWrong, "--config", first, "--all"); r.Streams[0].Counts.Missing != 3 {
		t.Errorf("%+v", r.Streams[0].Counts)
	}
}

// Another pseudonym key, mode or name changes tokens and numbers, not messages.
func TestAudit_Rekeyed(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 92, History: 100})
	sink := "file: { path: " + filepath.Join(t.TempDir(), "events.jsonl") + " }"
	hashed, clear := configure(t, url, sink), configure(t, url, sink, "privacy: { identifiers: clear }")
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("0123456789abcdef0123"), 0o600); err != nil {
		t.Fatal(err)
	}
	keyed := configure(t, url, sink, "privacy: { identifiers: pseudonymous, key_file: "+key+" }")
	rekey := func(path string, certified int) {
		t.Helper()
		fake.Insert("", 10)
		deliver(t, path, certified, "--rekey")
	}
	deliver(t, hashed, 100)
	rekey(clear, 110)
	noted := auditReport(t, cli.ExitFine, "--config", clear, "--all").Streams[0].Findings.Noted
	if noted.OtherToken != 100 || noted.OtherPrivacy != 0 {
		t.Errorf("%+v", noted)
	}
	renameStream(t, clear, "support", "sales")
	replace(t, keyed, "name: support", "name: sales")
	rekey(keyed, 120)
	noted = auditReport(t, cli.ExitFine, "--config", keyed, "--all").Streams[0].Findings.Noted
	if noted.OtherToken+noted.OtherPrivacy != 110 {
		t.Errorf("%+v", noted)
	}
}

// A file that somebody shortened is refused, so audit says what has to come before a repair; that works as printed.
func TestAudit_RepairOfAShortenedFile(t *testing.T) {
	t.Parallel()
	_, url := fakeAPI(t, twochattest.Options{Seed: 93, History: 200})
	log := filepath.Join(t.TempDir(), "events.jsonl")
	path := configure(t, url, "file: { path: "+log+" }")
	deliver(t, path, 200)
	content, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, removeLines(content, 100, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ := finish(t, "audit", "--config", path, "--all")
	wantCode(t, code, cli.ExitWrong)
	_, advice, _ := strings.Cut(out, "nothing can be repaired yet: ")
	hint := regexp.MustCompile("First: .*`twochat-connector run ([^`]*)`.*Then `twochat-connector audit [^`]* --repair` restores").FindStringSubmatch(advice)
	if hint == nil {
		t.Fatalf("no order is said: %s", out)
	}
	deliver(t, path, 200, strings.Fields(hint[1])...)
	if r := auditReport(t, cli.ExitFine, "--config", path, "--all", "--repair").Streams[0].Repair; r.Restored != 3 {
		t.Errorf("%+v", r)
	}
	auditReport(t, cli.ExitFine, "--config", path, "--all")
}

// removeLines is a text without some of its lines.
func removeLines(text []byte, from, count int) []byte {
	lines := bytes.SplitAfter(text, []byte("\n"))
	return bytes.Join(slices.Delete(lines, from, from+count), nil)
}
