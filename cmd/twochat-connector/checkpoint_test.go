package main

import (
	"encoding/json"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/checkpoint"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// wantShown compares what checkpoint prints with testdata, except for what differs in each run.
func wantShown(t *testing.T, name, out string) {
	t.Helper()
	for expression, as := range map[string]string{
		`(less than )?\d+ s ago`: "1 s ago", `instance \S+`: "instance ABCDEFGH…", `source key \S+`: "source key 01234567…",
		`byte [\d,]+`: "byte 1", `127\.0\.0\.1:\d+`: "127.0.0.1:1",
	} {
		out = regexp.MustCompile(expression).ReplaceAllString(out, as)
	}
	wantGolden(t, name, out)
}

// The contents of a checkpoint are shown in words and as JSON, also with the sink alone, and without personal data.
func TestCheckpoint_Show(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 61, History: 300})
	fake.Poison("", twochattest.Poisons()[0])
	file := filepath.Join(t.TempDir(), "events.jsonl")
	path := configure(t, url, "file: { path: "+file+" }")
	code, out, _ := finish(t, "checkpoint", "show", "--config", path)
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "before anything is read", unfolded(out), "there is no "+file, "twochat-connector check")
	deliver(t, path, 300)

	code, out, _ = finish(t, "checkpoint", "show", "--config", path)
	wantCode(t, code, cli.ExitFine)
	wantShown(t, "checkpoint_show.txt", out)
	if strings.Contains(out, strings.TrimPrefix(twochattest.DefaultNumber, "+")) {
		t.Errorf("it shows the number: %s", out)
	}
	code, bySink, _ := finish(t, "checkpoint", "show", "--sink", "file:"+file, "--stream", "support")
	wantCode(t, code, cli.ExitFine)
	wantShown(t, "checkpoint_show.txt", bySink)
	code, out, _ = finish(t, "checkpoint", "show", "--config", path, "--json")
	wantCode(t, code, cli.ExitFine)
	var all []checkpoint.Shown
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	if s := all[0]; !s.Found || s.Sequence != 300 || s.Certified != 300 || s.Tail != 128 || s.Counters.Rejected != 1 ||
		s.Privacy != "hashed" || len(s.SourceKey) > 12 || s.Version != 1 || s.Wrong != "" {
		t.Errorf("%+v", s)
	}

	code, out, _ = finish(t, "checkpoint", "show", "--config", path, "--stream", "nobody")
	wantCode(t, code, cli.ExitWrong)
	wantShown(t, "checkpoint_show_none.txt", out)
	other := configure(t, "http://127.0.0.1:1", "file: { path: "+file+" }")
	code, out, _ = finish(t, "checkpoint", "show", "--config", other)
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "another list", out, "✗ wrong", "another list (other number, remote or base URL)", "→ ")
}

func TestCheckpoint_ShowOtherSinks(t *testing.T) {
	t.Parallel()
	_, url := fakeAPI(t, twochattest.Options{Seed: 62, History: 40})
	_, broker := fakeKafka(t)
	server := embeddedServer(t)
	for sink, want := range map[string]string{
		"jetstream: { url: '" + server + "' }":                                    "sequence      40",
		"kafka: { brokers: ['" + broker + "'], create: true, replicas: 1 }":       "chats are spread over 6 partitions",
		"nats: { url: '" + server + "', subject: x, state: " + t.TempDir() + " }": "sequence      40",
	} {
		path := configure(t, url, sink)
		deliver(t, path, 40)
		code, out, errOut := finish(t, "checkpoint", "show", "--config", path)
		if code != cli.ExitFine || !strings.Contains(out, want) {
			t.Errorf("%s: %d: %s%s", sink, code, out, errOut)
		}
	}
}

func TestCheckpoint_Usage(t *testing.T) {
	path := configure(t, "http://127.0.0.1:1", "file: { path: "+t.TempDir()+"/events.jsonl }")
	for args, want := range map[string]string{
		"":              "expected one of show, export, import, rename, move",
		"shw":           "the nearest is show",
		"show x":        "expected only flags after checkpoint show",
		"show --sink -": "keeps no checkpoint",
	} {
		code, out, errOut := finish(t, append([]string{"checkpoint", "--config", path}, strings.Fields(args)...)...)
		if code == cli.ExitFine || code == cli.ExitWrong || !strings.Contains(errOut, want) {
			t.Errorf("checkpoint %s ends with %d: %s%s", args, code, out, errOut)
		}
	}
	code, _, errOut := finish(t, "checkpoint", "show", "--sink", "nats://127.0.0.1:1")
	wantCode(t, code, cli.ExitUsage)
	clitest.WantText(t, "without a configuration", errOut, "expected --stream NAME")
}

// Who stops a checkpoint command while it waits for the sink reads what to do next.
func TestCheckpoint_Stopped(t *testing.T) {
	t.Parallel()
	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	_, api := fakeAPI(t, twochattest.Options{Seed: 3, History: 10})
	path := configure(t, api, "jetstream: { url: 'nats://"+hangs.Addr().String()+"' }")
	for _, args := range [][]string{{"show"}, {"rename", "support", "sales"}} {
		r := start(t, append(append([]string{"checkpoint"}, args...), "--config", path)...)
		if _, err := hangs.Accept(); err != nil { // it waits for an answer now
			t.Fatal(err)
		}
		wantCode(t, r.end(), cli.ExitFailed)
		clitest.WantText(t, args[0], r.err.String(), "stopped before the end", "run the same command again")
	}
}
