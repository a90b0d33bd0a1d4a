package main

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/config"
)

// init writes a correct file for each sink, with what was asked for.
func TestInit(t *testing.T) {
	for sink, want := range map[string][]string{
		"": {"  embedded:\n", "    listen: 127.0.0.1:4222\n", "    dir: ./twochat-data\n"},
		"nats://a:4222,b:4222": {
			"  jetstream:\n", "    url: nats://a:4222,nats://b:4222\n", "    create: true\n", "    # stream: WHATSAPP\n",
		},
		"kafka://a:9092,b:9092/t": {"  kafka:\n", "    brokers: [a:9092, b:9092]\n", "    topic: t\n", "    create: true\n"},
		"file:events.jsonl":       {"  file:\n", "    path: events.jsonl\n"},
		"-":                       {"  stdout:\n", "    # state: \"\"\n"},
	} {
		t.Run(sink, func(t *testing.T) {
			t.Chdir(t.TempDir())
			args := []string{"init", "--number", "+15555550100", "--number", "+15555550101", "--start", "24h"}
			if sink != "" {
				args = append(args, "--sink", sink)
			}
			code, out, errOut := finish(t, args...)
			wantCode(t, code, cli.ExitFine)
			if out != "twochat-connector.yaml was written. Next:\n  export TWOCHAT_API_KEY=…\n  twochat-connector check\n"+
				"  twochat-connector run\n" || errOut != "" {
				t.Errorf("it says %q, %q", out, errOut)
			}
			content, err := os.ReadFile("twochat-connector.yaml")
			if err != nil {
				t.Fatal(err)
			}
			text := string(content)
			clitest.WantText(t, "the file", text, append(want, "    - number: \"+15555550100\"\n",
				"    - number: \"+15555550101\"\n", "\nstart: 24h\n", "\npoll:\n  # time between polls")...)
			for line := range strings.Lines(text) {
				if utf8.RuneCountInString(line) > 81 {
					t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
				}
			}
			for _, key := range config.Reference() {
				chosen := "sink." + strings.Trim(want[0], " :\n")
				if strings.HasPrefix(key.Path, "sink.") && !strings.HasPrefix(key.Path, chosen) {
					continue
				}
				if name := key.Path[strings.LastIndexByte(key.Path, '.')+1:]; !strings.Contains(text, name+":") {
					t.Errorf("the file lacks %s", key.Path)
				}
			}
			code, out, errOut = finish(t, "check", "--offline")
			wantCode(t, code, cli.ExitFine)
			clitest.WantText(t, "check", out+errOut, "configuration: twochat-connector.yaml; streams: 2", "start: 24h",
				"The configuration is right.")
		})
	}
}

func TestInit_Places(t *testing.T) {
	t.Chdir(t.TempDir())
	code, out, _ := finish(t, "init")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "init", out, "put your connected number into twochat.streams, in place of the example")
	first, err := os.ReadFile("twochat-connector.yaml")
	if err != nil {
		t.Fatal(err)
	}
	code, _, errOut := finish(t, "init", "--sink", "-")
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "init", errOut, "twochat-connector init: file twochat-connector.yaml: it exists already\n  → ", "--force")
	if now, err := os.ReadFile("twochat-connector.yaml"); err != nil || string(now) != string(first) {
		t.Errorf("the file was touched: %v", err)
	}
	code, _, _ = finish(t, "init", "--force", "--sink", "file:events.jsonl")
	wantCode(t, code, cli.ExitFine)
	now, err := os.ReadFile("twochat-connector.yaml")
	if err != nil || !strings.Contains(string(now), "path: events.jsonl") || strings.Contains(string(now), "embedded") {
		t.Errorf("it was not replaced: %v\n%s", err, now)
	}
	code, out, _ = finish(t, "init", "--config", "other.yaml")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "init", out, "other.yaml was written.", "twochat-connector run --config other.yaml\n")
	for _, args := range [][]string{{"-"}, {"--config", "-"}, {"--force", "-"}, {"-", "--force"}} {
		code, out, errOut = finish(t, append([]string{"init"}, args...)...)
		wantCode(t, code, cli.ExitFine)
		if out != string(first) || errOut != "" {
			t.Errorf("%v prints %.300s%s", args, out, errOut)
		}
	}
	for want, c := range map[string]struct {
		code int
		args []string
	}{
		"file x/y.yaml: it cannot be written: no such file": {cli.ExitFailed, []string{"--config", "x/y.yaml"}},
		"file .: it is not a regular file":                  {cli.ExitFailed, []string{"--config", ".", "--force"}},
		"expected nats://host:4222":                         {cli.ExitUsage, []string{"--sink", "amqp://x"}},
		"expected a number":                                 {cli.ExitUsage, []string{"--number", "595"}},
		"expected now, beginning":                           {cli.ExitUsage, []string{"--start", "soon"}},
		"expected only flags":                               {cli.ExitUsage, []string{"file"}},
	} {
		code, out, errOut := finish(t, append([]string{"init"}, c.args...)...)
		wantCode(t, code, c.code)
		clitest.WantText(t, strings.Join(c.args, " "), errOut, want)
		if out != "" {
			t.Errorf("%v prints %s", c.args, out)
		}
	}
}

// A start in the future is not a mistake of the form, but a warning.
func TestCheck_StartInTheFuture(t *testing.T) {
	t.Chdir(t.TempDir())
	code, out, _ := finish(t, "check", "--offline", "--number", "+15555550100", "--start", "2999-01-31T00:00:00Z")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "check", out, "warning  start: 2999-01-31T00:00:00Z is in the future: a stream's first start "+
		"delivers none of the messages listed then\n         → set start: now")
	_, out, _ = finish(t, "check", "--offline", "--number", "+15555550100", "--start", "2020-01-31T00:00:00Z")
	if strings.Contains(out, "future") {
		t.Errorf("the past is taken for the future: %s", out)
	}
}
