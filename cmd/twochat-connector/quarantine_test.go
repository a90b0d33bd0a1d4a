package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/quarantine"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// list shows the items in the quarantine without their content. show prints the content, if it was kept.
func TestQuarantine_ListAndShow(t *testing.T) {
	for _, test := range []struct {
		privacy string
		kept    bool
	}{{"{ identifiers: clear }", true}, {"{ identifiers: clear, drop: [text] }", false}} {
		fake, url := fakeAPI(t, twochattest.Options{Seed: 3, History: 5})
		for _, kind := range twochattest.Poisons() {
			fake.Poison("", kind)
		}
		file := filepath.Join(t.TempDir(), "events.jsonl")
		path := configure(t, url, "file: { path: "+file+" }", "privacy: "+test.privacy)
		code, out, errOut := finish(t, "quarantine", "list", "--config", path)
		if code != cli.ExitFailed || !strings.Contains(errOut, "there is no file") {
			t.Errorf("before anything is read: %d: %s%s", code, out, errOut)
		}
		wantCode(t, liveStream(t, path).end(), cli.ExitFine)
		code, out, errOut = finish(t, "quarantine", "list", "--config", path, "--json")
		wantCode(t, code, cli.ExitFine)
		var all []quarantine.Item
		for line := range strings.Lines(out) {
			var q quarantine.Item
			if err := json.Unmarshal([]byte(line), &q); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			all = append(all, q)
		}
		if len(all) < 3 {
			t.Fatalf("%d in the quarantine: %s%s", len(all), out, errOut)
		}
		_, listed, _ := finish(t, "quarantine", "list", "--config", path)
		for _, args := range [][]string{{}, {"--stream", "support"}} {
			code, out, _ := finish(t, append([]string{"quarantine", "list", "--sink", "file:" + file}, args...)...)
			if code != cli.ExitFine || !strings.HasPrefix(listed, out) {
				t.Errorf("by the sink alone, %q: %d\n%s\nwant\n%s", args, code, out, listed)
			}
		}
		way := map[bool]string{true: "quarantine replay", false: "audit"}[test.kept]
		clitest.WantText(t, "list", unfolded(listed), "Stream support: `twochat-connector "+way+" --config ")
		if strings.Contains(listed, ", not kept whole") == test.kept {
			t.Errorf("kept %t, listed\n%s", test.kept, listed)
		}
		_, shown, _ := finish(t, "quarantine", "list", "--config", path, "--show")
		for _, q := range all {
			if q.Raw != nil || q.Kept > 0 != test.kept || q.Length == 0 || q.Stream != "support" || q.Reason == "" {
				t.Errorf("listed: %+v", q)
			}
			clitest.WantText(t, "list", listed, q.ID[:15]+"  "+q.Reason)
			code, one, _ := finish(t, "quarantine", "show", q.ID[:20], "--config", path)
			wantCode(t, code, cli.ExitFine)
			clitest.WantText(t, "show", one, q.ID, q.Reason, q.SHA256, text.Thousands(q.Length))
			_, raw, _ := finish(t, "quarantine", "show", "--raw", q.ID, "--config", path)
			if len(raw) != q.Kept || !strings.Contains(one,
				map[bool]string{true: "are kept", false: "none are kept"}[test.kept]) {
				t.Errorf("%d bytes shown, %d kept: %s", len(raw), q.Kept, one)
			}
		}
		const said = "poison " // the beginning of the texts of the fake's faulty items
		if strings.Contains(listed+out, said) || strings.Contains(shown, said) != test.kept {
			t.Errorf("texts: in the list %t, with --show %t", strings.Contains(listed+out, said), strings.Contains(shown, said))
		}
	}
}

func TestQuarantine_Usage(t *testing.T) {
	dir := t.TempDir()
	path := configure(t, "http://127.0.0.1:1", "file: { path: "+dir+"/events.jsonl }")
	for name, lines := range map[string]string{"": "", ".quarantine.jsonl": "junk\n{\"id\":\"reject-x\"}\n"} {
		if err := os.WriteFile(dir+"/events.jsonl"+name, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for args, want := range map[string]struct {
		code int
		text string
	}{
		"":                        {cli.ExitUsage, "expected one of list, show, replay after quarantine"},
		"lst":                     {cli.ExitUsage, "the nearest is list"},
		"show":                    {cli.ExitUsage, "expected an id after quarantine show"},
		"list x":                  {cli.ExitUsage, "expected only flags after quarantine list"},
		"list --raw":              {cli.ExitUsage, "expected only after quarantine show"},
		"show x --raw --json":     {cli.ExitUsage, "expected one of them, found both"},
		"show reject-x":           {cli.ExitFailed, "nothing in the quarantine has this id"},
		"list --stream nobody":    {cli.ExitUsage, "flag --stream"},
		"list --stream s-history": {cli.ExitUsage, "flag --stream"},
		"list --sink -":           {cli.ExitFailed, "cannot be read again"},
	} {
		full := append([]string{"quarantine"}, strings.Fields(args)...)
		if !strings.Contains(args, "--sink") {
			full = append(full, "--config", path)
		}
		code, out, errOut := finish(t, full...)
		if code != want.code || !strings.Contains(out+errOut, want.text) {
			t.Errorf("quarantine %s ends with %d, want %d: %s%s", args, code, want.code, out, errOut)
		}
	}
}
