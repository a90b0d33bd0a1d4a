package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

func TestPreview(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 1, History: 30})
	key := filepath.Join(t.TempDir(), "pseudonyms")
	if err := os.WriteFile(key, []byte("0123456789abcdef0123456789abcdef"), 0o400); err != nil {
		t.Fatal(err)
	}
	path := configure(t, url, "file: { path: "+t.TempDir()+"/events.jsonl }",
		"privacy: { identifiers: pseudonymous, key_file: "+key+", drop: [media] }")
	code, out, errOut := finish(t, "preview", "--config", path, "--last", "3")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "the output", out, "privacy.identifiers: pseudonymous, privacy.drop: [media]", "1 before\n    {",
		"3 before\n    {", "  after\n    {", "  chat    ")
	if strings.Contains(out, "4 before") || errOut != "" || fake.Requests() != 1 {
		t.Errorf("%d calls, on the error output: %s", fake.Requests(), errOut)
	}

	document := `{"messages":[{"uuid":"a","remote_phone_number":"+15550106666","never":"call +15550106666"},{"uuid":""},7]}`
	file := filepath.Join(t.TempDir(), "page.json")
	if err := os.WriteFile(file, []byte("\xef\xbb\xbf"+document), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = finish(t, "preview", "--config", path, "--file", file, "--json")
	wantCode(t, code, cli.ExitFine)
	var r previewReport
	if err := json.Unmarshal([]byte(out), &r); err != nil || len(r.Items) != 3 || len(r.Unknown) != 1 ||
		r.Unknown[0] != "never" {
		t.Fatalf("%+v, %v", r, err)
	}
	if strings.Contains(string(r.Items[0].After), "5550106666") ||
		!strings.Contains(string(r.Items[0].Before), "5550106666") || r.Items[1].Fault == "" || r.Items[2].Fault == "" {
		t.Errorf("%+v", r.Items)
	}
	if fake.Requests() != 1 {
		t.Errorf("a file costs %d calls", fake.Requests()-1)
	}
	for _, args := range [][]string{{"--file", "/nowhere/page.json"}, {"--last", "0"}} {
		if code, _, errOut := finish(t, append([]string{"preview", "--config", path}, args...)...); code == cli.ExitFine ||
			strings.Contains(errOut, "nowhere") {
			t.Errorf("%v: code %d, %s", args, code, errOut)
		}
	}
	event := `{"specversion":"1.0","id":"a","source":"//2chat.co/whatsapp/support","type":"x","data":{"uuid":"a"}}`
	if err := os.WriteFile(file, []byte(event+"\n"+event+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errOut = finish(t, "preview", "--config", path, "--file", file)
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "preview", errOut, "these are events, not 2Chat's items", "give one page")
	if out != "" {
		t.Errorf("events are shown as items: %s", out)
	}
	fake.Next(twochattest.Status(401, twochattest.BodyDetail))
	code, out, errOut = finish(t, "preview", "--config", path)
	if code != cli.ExitFailed || out != "" || !strings.Contains(errOut, "the API key is wrong") {
		t.Errorf("code %d, %s", code, errOut)
	}
}
