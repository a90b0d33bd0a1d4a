package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// tail, check and status work beside a running connector with the embedded sink.
func TestTail_BesideARunningInstance(t *testing.T) {
	t.Parallel()
	// Some items have line breaks between their tokens. --json prints each event on one line anyway.
	fake, url := fakeAPI(t, twochattest.Options{Seed: 10, History: 40})
	path := configure(t, url, "embedded: { listen: '"+clitest.ClosedPort(t)+"', dir: "+t.TempDir()+" }")

	code, _, errOut := finish(t, "tail", "--config", path)
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "tail", errOut, "no embedded server answers", "start `twochat-connector run --config "+path+"`")
	code, out, _ := finish(t, "check", "--config", path)
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "check", out, "`run` starts its server")

	r := start(t, "run", "--config", path)
	admin := r.admin()
	until(t, "the history", func() bool {
		_, body := get(t, admin+"/status")
		return strings.Contains(body, `"certified": 40`)
	})
	// A second run would not start, but check shows what it can.
	code, out, _ = finish(t, "check", "--config", path)
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "check", out, "another process is using it", "a connector's server answers at nats://",
		"may publish, read back and purge", "One thing is refused")

	code, _, errOut = finish(t, "tail", "--config", path, "--stream", "suport")
	wantCode(t, code, cli.ExitUsage)
	clitest.WantText(t, "tail", errOut, "neither the configuration nor the sink has a stream of this name",
		"the nearest is support", "the known streams are support")

	follow := start(t, "tail", "--config", path, "--last", "40", "--json", "--stream", "support")
	until(t, "the newest events", func() bool { return strings.Count(follow.out.String(), "\n") >= 40 })
	fake.Insert("", 2)
	until(t, "the next events", func() bool {
		return strings.Contains(follow.out.String(), `"sequence":"00000000000000000042"`)
	})
	wantCode(t, follow.end(), cli.ExitFine)
	var last struct{ Sequence, Source string }
	lines := strings.Split(strings.TrimSpace(follow.out.String()), "\n")
	for _, line := range lines {
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
	}
	if len(lines) != 42 {
		t.Errorf("%d lines for 42 events", len(lines))
	}
	if last.Sequence != "00000000000000000042" || last.Source != "//2chat.co/whatsapp/support" {
		t.Errorf("the last event is %+v", last)
	}
	people := start(t, "tail", "--config", path, "--last", "2")
	until(t, "lines for people", func() bool { return strings.Count(people.out.String(), "\n") == 2 })
	clitest.WantText(t, "tail", people.out.String(), "support      #41  ", "support      #42  ")
	wantCode(t, people.end(), cli.ExitFine)
	wantCode(t, r.end(), cli.ExitFine)
}

// Which tails end, and which begin at a time.
func TestTail_EndsAndBegins(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.jsonl")
	var lines strings.Builder
	for i, age := range []time.Duration{72 * time.Hour, 30 * time.Minute, 20 * time.Minute} {
		fmt.Fprintf(&lines, `{"specversion":"1.0","id":"%d","source":"//2chat.co/whatsapp/support",`+
			`"recordedtime":"%s","sequence":"%020d","data":{"message":{"text":"said %d"}}}`+"\n",
			i, time.Now().Add(-age).UTC().Format(time.RFC3339Nano), i+1, i+1)
	}
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for name, c := range map[string]struct {
		args  []string
		code  int
		out   string // the sequences of the printed events
		wants string
	}{
		"no follow":   {[]string{"--sink", "file:" + path, "--no-follow"}, cli.ExitFine, "#1 #2 #3", ""},
		"last":        {[]string{"--sink", "file:" + path, "--no-follow", "--last", "1"}, cli.ExitFine, "#3", ""},
		"since":       {[]string{"--sink", "file:" + path, "--no-follow", "--since", "25m"}, cli.ExitFine, "#3", ""},
		"since a day": {[]string{"--sink", "file:" + path, "--no-follow", "--since", "24h"}, cli.ExitFine, "#2 #3", ""},
		"since a time": {
			[]string{"--sink", "file:" + path, "--no-follow", "--since", "2020-01-31T00:00:00Z"}, cli.ExitFine, "#1 #2 #3", "",
		},
		"since nothing": {
			[]string{"--since", "yesterday"},
			cli.ExitUsage, "",
			"flag --since: expected an age such as 1h, or a time such as 2026-01-31T00:00:00Z",
		},
		"since now": {[]string{"--since", "now"}, cli.ExitUsage, "", "flag --since: expected an age"},
		"both":      {[]string{"--since", "1h", "--last", "3"}, cli.ExitUsage, "", "expected one of them, found both"},
		"stream": {
			[]string{"--sink", "file:" + path, "--no-follow", "--stream", "suport"},
			cli.ExitUsage, "",
			"neither the configuration nor the sink has a stream of this name\n  → the nearest is support; the known streams are support; ",
		},
		"no file": {
			[]string{"--sink", "file:none.jsonl", "--no-follow"},
			cli.ExitFailed, "",
			"file none.jsonl: there is no such file\n  → name the file that the connector writes",
		},
		"folder": {[]string{"--sink", "file:" + dir}, cli.ExitFailed, "", "it is not a regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := finish(t, append([]string{"tail"}, c.args...)...)
			wantCode(t, code, c.code)
			if got := strings.Join(regexp.MustCompile(`#[0-9]+`).FindAllString(out, -1), " "); got != c.out {
				t.Errorf("%s is shown, want %s", got, c.out)
			}
			clitest.WantText(t, "tail", errOut, c.wants)
		})
	}
	waiting := start(t, "tail", "--sink", "file:later.jsonl")
	until(t, "that it says what it waits for", func() bool {
		return strings.Contains(waiting.err.String(), "waiting for the file later.jsonl, which does not exist yet")
	})
	wantCode(t, waiting.end(), cli.ExitFine)
}

func TestTail_SinkThatCannotBeRead(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 10})
	code, _, errOut := finish(t, "tail", "--config", configure(t, url, "stdout: {}"))
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "tail", errOut, "standard output: its contents cannot be read again",
		"\n  → check its reader")
	code, _, errOut = finish(t, "tail", "--config", configure(t, url, "jetstream: { url: 'nats://"+clitest.ClosedPort(t)+
		"' }"))
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "tail", errOut, "twochat-connector check")
}

func TestEventLine(t *testing.T) {
	at := time.Now().Add(-time.Hour).Local()
	stamp := at.Format("15:04:05")
	encoded, _ := at.UTC().MarshalText()
	event := func(kind, more, message string) string {
		return `{"type":"co.2chat.whatsapp.message.` + kind +
			`","source":"//2chat.co/whatsapp/a","subject":"zcphjmn4ttoycone","time":"` + string(encoded) + `",` + more +
			`"data":{"message":` + message + `}}`
	}
	for name, c := range map[string]struct{ event, want string }{
		"received": {
			event("received", `"sequence":"00000000000000000042",`, `{"text":"Hello"}`),
			stamp + "  a        #42  ← zcphjmn4  Hello\n",
		},
		"sent": {
			event("sent", ``, `{"text":"two\nlines\tand more"}`),
			stamp + "  a             → zcphjmn4  two lines and more\n",
		},
		"new":            {event("new", `"late":true,`, `{}`), stamp + "  a             · zcphjmn4  (late) (no text)\n"},
		"late in binary": {event("new", `"late":"true",`, `{}`), stamp + "  a             · zcphjmn4  (late) (no text)\n"},
		"media": {
			event("sent", ``, `{"media":{"type":"image"},"text":"x"}`),
			stamp + "  a             → zcphjmn4  [image] x\n",
		},
		"row": {
			`{"time":"` + string(encoded) + `","data":{"kind":"poll","text":"When?","item":"{}"}}`,
			stamp + "                ·   [poll] When?\n",
		},
		"row of a text": {
			`{"time":"` + string(encoded) + `","data":{"kind":"text","text":"Hi","media_url":null}}`,
			stamp + "                ·   Hi\n",
		},
		"terminal": {
			event("received", ``, `{"text":"\u001b[31mred\u0007\u202e\u009b"}`),
			stamp + "  a             ← zcphjmn4  \ufffd[31mred\ufffd\ufffd\ufffd\n",
		},
		"long": {
			event("received", ``, `{"text":"`+strings.Repeat("é", 200)+`"}`),
			stamp + "  a             ← zcphjmn4  " + strings.Repeat("é", 100) + "…\n",
		},
		"text no string": {event("received", ``, `{"text":5}`), stamp + "  a             ← zcphjmn4  (no text)\n"},
		"old": {`{"time":"2020-01-31T12:00:00Z"}`, time.Date(2020, 1, 31, 12, 0, 0, 0, time.UTC).Local().Format(
			"2006-01-02 15:04:05") + "                ·   (no text)\n"},
	} {
		if got := eventLine([]byte(c.event), 3); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzEventLine(f *testing.F) {
	f.Add([]byte(`{"type":"x.received","time":"2020-01-31T12:00:00Z","subject":"\u001b","data":{"message":{"text":"\r\n","media":{"type":"\u009b"}}}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		line, ends := strings.CutSuffix(eventLine(event, 5), "\n")
		if !ends || !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool {
			return !unicode.IsPrint(r) && r != ' '
		}) {
			t.Errorf("%q", line)
		}
	})
}
