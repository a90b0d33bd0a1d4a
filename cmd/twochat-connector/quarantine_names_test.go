package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/quarantine"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// What was quarantined before a rename is listed, shown, delivered and counted as the stream's.
func TestQuarantine_FormerNames(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 111, History: 40})
	sinks := otherSinks(t)
	for _, name := range []string{"file", "JetStream", "kafka"} {
		first := len(fake.Truth(""))
		path := configure(t, url, sinks[name])
		deliver(t, path, first)
		fits, unfit := itemOf(uuidOf(first), "it fits"), itemOf("", "no id")
		putAside(t, path, fits, unfit)
		fits.Key, unfit.Key = connector.MessageKey(fits.UUID), connector.ContentKey(unfit.Data)
		renameStream(t, path, "support", "sales")
		renameStream(t, path, "sales", "office")
		for _, stream := range []string{"", "office", "sales", "support"} {
			args := []string{"quarantine", "list", "--config", path}
			if stream != "" {
				args = append(args, "--stream", stream)
			}
			code, out, errOut := finish(t, args...)
			if code != cli.ExitFine || strings.Count(out, "  support  reject-") != 2 {
				t.Errorf("%s, stream %q: %d: %s%s", name, stream, code, out, errOut)
			}
			clitest.WantText(t, name, unfolded(out),
				"Stream office: what is listed under support was quarantined before it was renamed.")
		}
		_, out, _ := finish(t, "quarantine", "list", "--config", path, "--stream", "office", "--json")
		var item quarantine.Item
		if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &item); err != nil || item.RenamedTo != "office" {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		code, out, errOut := finish(t, "quarantine", "show", rejectID(unfit), "--config", path, "--stream", "office")
		if code != cli.ExitFine || !strings.Contains(out, string(unfit.Data)) {
			t.Errorf("%s: %d: %s%s", name, code, out, errOut)
		}
		for i, want := range []quarantine.Outcome{quarantine.Delivered, quarantine.InLog} {
			items := replayReport(t, cli.ExitWrong, "--config", path, "--take-over")
			if got := items[rejectID(fits)]; got.Outcome != want || len(items) != 2 {
				t.Errorf("%s, run %d: %+v of %d, want %s", name, i+1, got, len(items), want)
			}
		}
		_, out, _ = finish(t, "quarantine", "list", "--config", path)
		clitest.WantText(t, name, unfolded(out), "Stream office: 1 of these is in the log since")
		_, out, _ = finish(t, "checkpoint", "show", "--config", path)
		clitest.WantText(t, name, unfolded(out), "in the quarantine 1,")
		fake.Insert("", 1)
	}
}

// After an import into another sink, what the former sink quarantined is not counted as this one's: each command says
// that it lies there.
func TestQuarantine_OfAnotherSink(t *testing.T) {
	t.Parallel()
	_, url := fakeAPI(t, twochattest.Options{Seed: 112, History: 40})
	events := filepath.Join(t.TempDir(), "events.jsonl")
	former := configure(t, url, "file: { path: "+events+" }")
	deliver(t, former, 40)
	putAside(t, former, itemOf("", "no id"), itemOf("", "none either"))
	file := filepath.Join(t.TempDir(), "support.json")
	export := []string{"checkpoint", "export", "--stream", "support", "--take-over", "--out"}
	code, _, errOut := finish(t, append(export, file, "--config", former)...)
	if code != cli.ExitFine {
		t.Fatalf("%d: %s", code, errOut)
	}
	path := configure(t, url, "jetstream: { url: '"+embeddedServer(t)+"' }")
	const there = "2 messages are in the quarantine of another sink, file "
	for _, args := range []string{
		"checkpoint import " + file, "quarantine list", "quarantine list --stream support", "quarantine replay",
	} {
		code, out, errOut := finish(t, append(strings.Fields(args), "--config", path)...)
		wantCode(t, code, cli.ExitFine)
		clitest.WantText(t, args, unfolded(out)+errOut, there, "quarantine list --config FILE")
	}
	deliver(t, path, 40)
	_, out, _ := finish(t, "checkpoint", "show", "--config", path)
	clitest.WantText(t, "show", unfolded(out), "in the quarantine 0,", "elsewhere 2 in the quarantine of another sink, file ")
	r := start(t, "run", "--config", path)
	admin := r.admin()
	until(t, "it is live", func() bool {
		_, body := get(t, admin+"/status")
		return strings.Contains(body, `"state": "live"`)
	})
	if _, body := get(t, admin+"/status"); strings.Contains(body, `"quarantined": 2`) {
		t.Errorf("status counts what is in another sink: %s", body)
	}
	wantCode(t, r.end(), cli.ExitFine)
	// The way back: the former sink has what it quarantined.
	back := filepath.Join(t.TempDir(), "back.json")
	code, _, errOut = finish(t, append(export, back, "--config", path)...)
	if code != cli.ExitFine {
		t.Fatalf("%d: %s", code, errOut)
	}
	code, out, errOut = finish(t, "checkpoint", "import", back, "--config", former)
	if code != cli.ExitFine || strings.Contains(unfolded(out), "quarantine of another sink") {
		t.Errorf("back: %d: %s%s", code, out, errOut)
	}
	_, out, _ = finish(t, "checkpoint", "show", "--config", former)
	clitest.WantText(t, "back", unfolded(out), "in the quarantine 2,")
}

// An item is printed in one line, whatever the width, so that it can be copied as it is.
func TestQuarantine_ItemsAreNotFolded(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 113, History: 5})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	deliver(t, path, 5)
	item := itemOf("", strings.Repeat("many words ", 30))
	putAside(t, path, item)
	for _, args := range [][]string{{"show", "reject-"}, {"list", "--show"}} {
		_, out, _ := finishAtTerminal(t, append(append([]string{"quarantine"}, args...), "--config", path)...)
		lines := strings.Split(out, "\n")
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.TrimSpace(line) == string(item.Data) }) {
			t.Errorf("%s folds the item: %s", args, out)
		}
	}
}

// The help of a command shows each of its forms.
func TestHelp_Forms(t *testing.T) {
	for command, verbs := range map[string][]string{
		"checkpoint": checkpointVerbs, "quarantine": quarantineVerbs, "schema": schemaNames, "completion": shellNames(),
	} {
		_, out, _ := finishAtTerminal(t, "help", command)
		usage, _, _ := strings.Cut(out, "\n\n")
		for _, verb := range verbs {
			if !strings.Contains(strings.ReplaceAll(usage, "|", " ")+" ", " "+verb+" ") {
				t.Errorf("the help of %s does not show %s: %s", command, verb, usage)
			}
		}
	}
}

// writeText writes a file for a test.
func writeText(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
