package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks"
	"github.com/twochat-connector/twochat-connector/sinks/kafka"
)

func TestRun_DeliversUntilToldToStop(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 1, History: 250, Faults: faults(.1)})
	events := filepath.Join(t.TempDir(), "events.jsonl")
	path := configure(t, url, "file: { path: "+events+" }")

	r := start(t, "run", "--config", path)
	until(t, "the history", func() bool { return auditFile(t, fake, events).Clean() })
	fake.Insert("", 300)
	until(t, "the burst", func() bool { return auditFile(t, fake, events).Clean() })
	wantCode(t, r.end(), cli.ExitFine)
	if r.out.String() != "" {
		t.Errorf("the standard output has %q", r.out.String())
	}
	clitest.WantText(t, "the log", r.err.String(), `"promise":"Each message is in the file exactly once`,
		`"msg":"account's limits read"`, `"msg":"stopped"`)

	fake.Insert("", 120)
	r = start(t, "run", "--config", path)
	until(t, "what came while it was away", func() bool { return auditFile(t, fake, events).Clean() })
	wantCode(t, r.end(), cli.ExitFine)
	if report := auditFile(t, fake, events); !report.Clean() {
		t.Error(report)
	}
}

// faults are transient ones. A redirect is not among them: it is taken for a wrong configuration, and asked again only
// slowly.
func faults(rate float64) []twochattest.Chance {
	return slices.DeleteFunc(twochattest.PassingFaults(rate), func(c twochattest.Chance) bool {
		return c.Fault.Kind == twochattest.KindRedirect
	})
}

func TestRun_FromFlagsAlone(t *testing.T) {
	fake, url := fakeAPI(t, twochattest.Options{Seed: 2, History: 30})
	t.Chdir(t.TempDir())
	r := startWith(t, []string{
		"TWOCHAT_API_KEY=" + testKey, "TWOCHAT_CONNECTOR_TWOCHAT_BASE_URL=" + url,
		"TWOCHAT_CONNECTOR_ADMIN_LISTEN=127.0.0.1:0",
		"TWOCHAT_CONNECTOR_POLL_MIN_INTERVAL=1s",
	}, "run", "--number", twochattest.DefaultNumber, "--sink", "file:events.jsonl", "--start", "beginning")
	until(t, "the history", func() bool { return auditFile(t, fake, "events.jsonl").Clean() })
	wantCode(t, r.end(), cli.ExitFine)
	// The number is the stream's name, and occurs nowhere else.
	if text := strings.ReplaceAll(r.err.String(), `"stream":"15550100100"`, ""); strings.Contains(text, "15550100100") {
		t.Errorf("the log shows the number: %s", text)
	}
}

func TestRun_RefusesWithTheMend(t *testing.T) {
	t.Parallel()
	_, url := fakeAPI(t, twochattest.Options{Seed: 3})
	nats := embeddedServer(t)
	for name, c := range map[string]struct {
		sink string
		args []string
		want []string
	}{
		"stream missing": {
			"jetstream: { url: '" + nats + "', stream: MISSING, subject: missing }", nil,
			[]string{"does not exist", "nats stream add MISSING --subjects"},
		},
		"subject taken": {
			"jetstream: { url: '" + nats + "', stream: MISSING, create: true }", nil,
			[]string{"already has its subjects", "\n  → use that stream with `sink.jetstream.stream: "},
		},
		"folder without name": {"file: { path: /dev/null/events.jsonl }", nil, []string{
			"path: /dev/null is not a folder",
			"\n  → set another path",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			path := configure(t, url, c.sink, "log: { format: text }")
			code, _, errOut := finish(t, append([]string{"run", "--config", path}, c.args...)...)
			wantCode(t, code, cli.ExitFailed)
			clitest.WantText(t, "stderr", errOut, c.want...)
		})
	}
}

func TestRun_CreatesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, url := fakeAPI(t, twochattest.Options{Seed: 4, History: 20})
	nats := embeddedServer(t)
	path := configure(t, url, "jetstream: { url: '"+nats+"', stream: OTHER, subject: other }")
	code, out, _ := finish(t, "check", "--config", path)
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "check", out, "refused  JetStream stream OTHER",
		"→ create it with `sink.jetstream.create: true`, or: `nats stream add OTHER")

	r := start(t, "run", "--config", path, "--create")
	until(t, "readiness", func() bool { status, _ := get(t, r.admin()+"/readyz"); return status == 200 })
	wantCode(t, r.end(), cli.ExitFine)
	code, out, _ = finish(t, "check", "--config", path)
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "check", out, "ok       stream support: 20 messages on page 0", "Ready to run")
}

func TestCheck_SaysThatRunMakesIt(t *testing.T) {
	t.Parallel()
	_, url := fakeAPI(t, twochattest.Options{Seed: 4})
	path := configure(t, url, "jetstream: { url: '"+embeddedServer(t)+"', stream: OTHER, subject: other, create: true }")
	code, out, _ := finish(t, "check", "--config", path)
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "check", out, "`run` creates it")
}

// If too few brokers of a cluster answer, the hint does not say that the cluster is down.
func TestCheck_NamesTheBrokersThatAreMissing(t *testing.T) {
	t.Parallel() // it waits for brokers
	_, url := fakeAPI(t, twochattest.Options{Seed: 4})
	_, address := fakeKafka(t)
	path := configure(t, url, "kafka: { brokers: ['"+address+"'], topic: alone, create: true }")
	code, out, _ := finish(t, "check", "--config", path)
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "check", out, "topics with 3 replicas, but only 1 of its brokers answer",
		"start the other brokers; if there are none, `sink.kafka.replicas: 1`")
	path = configure(t, url, "kafka: { brokers: ['"+address+"'], topic: alone, create: true, replicas: 1 }")
	code, out, _ = finish(t, "check", "--config", path)
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "check", out, "topic alone: it does not exist; `run` creates it")
}

// Only what is missing will be created. Any other refusal stays a refusal, whatever its words.
func TestWillBeMade(t *testing.T) {
	missing := connector.Finding{Level: connector.FindingRefused, Thing: "topic a", Text: "nobody knows it", Missing: true}
	other := connector.Finding{Level: connector.FindingRefused, Thing: "user", Text: "the user does not exist"}
	for name, test := range map[string]struct {
		create bool
		level  connector.FindingLevel
	}{"made": {true, connector.FindingOK}, "not made": {false, connector.FindingRefused}} {
		sink := sinks.Config{Kafka: &kafka.Config{Create: test.create}}
		got := willBeMade(sink, []connector.Finding{missing, other})
		if got[0].Level != test.level || test.create != strings.Contains(got[0].Text, "`run` creates it") || got[1] != other {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestRun_WaitsForTheSink(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 5, History: 20})
	address := clitest.ClosedPort(t)
	r := start(t, "run", "--config", configure(t, url, "jetstream: { url: 'nats://"+address+"', create: true }"))
	admin := r.admin()
	until(t, "the reason", func() bool {
		status, body := get(t, admin+"/readyz")
		return status == 503 && strings.Contains(body, "the sink is not reached yet: ")
	})
	if status, _ := get(t, admin+"/healthz"); status != 200 {
		t.Errorf("healthz answers %d, but only the sink is down", status)
	}
	if n := fake.Requests(); n != 0 {
		t.Errorf("%d calls were made for nothing", n)
	}
	embeddedServerAt(t, address)
	until(t, "readiness", func() bool { status, _ := get(t, admin+"/readyz"); return status == 200 })
	wantCode(t, r.end(), cli.ExitFine)
	if n := strings.Count(r.err.String(), "the sink cannot be reached"); n != 1 {
		t.Errorf("it says %d times that the sink cannot be reached", n)
	}
}

func TestRun_StopsWhileItWaitsForTheSink(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 5})
	r := start(t, "run", "--config", configure(t, url, "jetstream: { url: 'nats://"+clitest.ClosedPort(t)+"' }"))
	until(t, "the reason", func() bool { return strings.Contains(r.err.String(), "cannot be reached") })
	wantCode(t, r.end(), cli.ExitFine)
}

func TestRun_WaitsForTheAPI(t *testing.T) {
	path := configure(t, "http://"+clitest.ClosedPort(t), "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	replace(t, path, "poll: {", "poll: { requests_per_minute: 6000,")
	r := start(t, "run", "--config", path)
	until(t, "the reason", func() bool {
		status, body := get(t, r.admin()+"/readyz")
		return status == 503 && strings.Contains(body,
			"stream support: no successful poll yet (no answer from 2Chat): transient: connection: connection refused")
	})
	code, out, _ := finish(t, "status", "--admin", r.admin())
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "status", out, "not as it should be: no answer from 2Chat (stream support)",
		"transient: connection: connection refused", "next attempt in")
	code, out, _ = finish(t, "check", "--config", path)
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "check", out, "refused  2Chat API: page 0 of stream support cannot be read: connection: connection refused")
	wantCode(t, r.end(), cli.ExitFine)
}

func TestRun_SecondProcessOnOneFile(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 6, History: 20})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	first := start(t, "run", "--config", path)
	until(t, "the first", func() bool { status, _ := get(t, first.admin()+"/readyz"); return status == 200 })
	code, _, errOut := finish(t, "run", "--config", path)
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "stderr", errOut, "another process")
	wantCode(t, first.end(), cli.ExitFine)
}

// A key that is not there yet is waited for, and reported as missing.
func TestRun_WaitsForTheKey(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 13, History: 20})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	key := filepath.Join(filepath.Dir(path), "key")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	r := start(t, "run", "--config", path)
	until(t, "the reason", func() bool {
		_, body := get(t, r.admin()+"/readyz")
		return strings.Contains(body, "stream support: no successful poll yet (wrong key): key: ")
	})
	clitest.WantText(t, "the log", r.err.String(), `"thing":"twochat.api_key_file"`, `"hint":"put the API key into a file`)
	wantCode(t, r.end(), cli.ExitFine)
}

// A stream that is refused does not stop the others.
func TestRun_OneStreamRefused(t *testing.T) {
	t.Parallel()
	_, url := fakeAPI(t, twochattest.Options{Seed: 7, History: 20})
	nats := embeddedServer(t)
	sink := "jetstream: { url: '" + nats + "' }"
	r := start(t, "run", "--config", configure(t, url, sink))
	until(t, "the first", func() bool { status, _ := get(t, r.admin()+"/readyz"); return status == 200 })
	wantCode(t, r.end(), cli.ExitFine)

	// the same name for another list
	path := configure(t, url, sink)
	replace(t, path, "streams: [", `streams: [{ number: "+15550100999", name: other }, `)
	replace(t, path, twochattest.DefaultNumber, "+15550100998")
	r = start(t, "run", "--config", path)
	var body string
	until(t, "the refusal", func() bool {
		_, body = get(t, r.admin()+"/readyz")
		return strings.Contains(body, "stream support: refused: ") &&
			strings.Contains(body, "stream other: no successful poll yet (")
	})
	clitest.WantText(t, "readyz", body, "its name is in use in this sink")
	if status, _ := get(t, r.admin()+"/healthz"); status != 200 {
		t.Errorf("healthz answers %d", status)
	}
	wantCode(t, r.end(), cli.ExitFine)

	// A refused stream alone ends the program.
	replace(t, path, `{ number: "+15550100999", name: other }, `, "")
	code, _, errOut := finish(t, "run", "--config", path)
	wantCode(t, code, cli.ExitFailed)
	clitest.WantText(t, "stderr", errOut, `"msg":"ended","cause":"stream support: its name is in use in this sink`,
		`"hint":"give one of the two another name`)
	if strings.Contains(errOut, "\n    ") {
		t.Error("the log has lines that are no JSON")
	}
}

func TestRun_WrongUsage(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 8})
	dir := t.TempDir()
	t.Chdir(dir)
	good := configure(t, url, "file: { path: "+filepath.Join(dir, "events.jsonl")+" }")
	broken := configure(t, url, "file: { path: "+filepath.Join(dir, "events.jsonl")+" }",
		"starts: now\nlog: { level: loud }")
	busy := configure(t, url, "file: { path: "+filepath.Join(dir, "events.jsonl")+" }")
	replace(t, busy, "127.0.0.1:0", strings.TrimPrefix(url, "http://"))
	for name, c := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"nothing": {nil, cli.ExitUsage, []string{"Commands:", "Exit codes:"}},
		"unknown command": {[]string{"rnu"}, cli.ExitUsage, []string{
			"there is no such command; there are run, ",
			"explain",
		}},
		"unknown flag": {
			[]string{"run", "--sinks", "-"},
			cli.ExitUsage,
			[]string{"unknown flag: --sinks", "help run"},
		},
		"stray argument":     {[]string{"run", twochattest.DefaultNumber}, cli.ExitUsage, []string{"expected only flags"}},
		"no configuration":   {[]string{"run"}, cli.ExitUsage, []string{"there is no configuration: ", "run --number"}},
		"nothing to explain": {[]string{"explain"}, cli.ExitUsage, []string{"there is no configuration: "}},
		"nothing to follow": {
			[]string{"tail", "--sink", "nats://" + clitest.ClosedPort(t)},
			cli.ExitFailed,
			[]string{"twochat-connector check"},
		},
		"file missing": {
			[]string{"run", "--config", "missing.yaml"},
			cli.ExitUsage,
			[]string{"missing.yaml: no such file"},
		},
		"problems": {
			[]string{"run", "--config", broken},
			cli.ExitUsage,
			[]string{":10: starts: ", "log.level: expected debug"},
		},
		"partitions of a file": {
			[]string{"run", "--config", good, "--accept-partitions", "3"},
			cli.ExitUsage,
			[]string{"only the sink kafka has partitions"},
		},
		"partitions below zero": {
			[]string{"run", "--config", good, "--accept-partitions", "-3"},
			cli.ExitUsage,
			[]string{"--accept-partitions"},
		},
		"admin address in use": {
			[]string{"run", "--config", busy},
			cli.ExitFailed,
			[]string{"admin server", "address already in use", "admin.listen"},
		},
		"sink URL": {
			[]string{"run", "--config", good, "--sink", "amqp://somewhere"},
			cli.ExitUsage,
			[]string{"flag --sink", "kafka://host:9092/topic"},
		},
		"last":      {[]string{"tail", "--config", good, "--last", "-1"}, cli.ExitUsage, []string{"--last"}},
		"admin URL": {[]string{"status", "--admin", "ftp://x"}, cli.ExitUsage, []string{"--admin"}},
		"admin not there": {
			[]string{"status", "--admin", clitest.ClosedPort(t)},
			cli.ExitFailed,
			[]string{"connection refused", "--admin"},
		},
		"admin of another kind": {[]string{"status", "--admin", url}, cli.ExitFailed, []string{"404", "--admin"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := finish(t, c.args...)
			wantCode(t, code, c.code)
			clitest.WantText(t, "stderr", errOut, c.want...)
			if out != "" {
				t.Errorf("stdout has %q", out)
			}
			if strings.Contains(errOut, twochattest.DefaultNumber) {
				t.Errorf("stderr shows a number: %s", errOut)
			}
		})
	}
}

func TestRun_ConfiguredByTheEnvironment(t *testing.T) {
	t.Chdir(t.TempDir())
	r := startWith(t, []string{"TWOCHAT_CONNECTOR_TWOCHAT_STREAMS=" + twochattest.DefaultNumber, "TWOCHAT_API_KEY=" +
		testKey}, "run")
	wantCode(t, r.wait(), cli.ExitUsage)
	clitest.WantText(t, "stderr", r.err.String(), "the environment has these problems",
		"\nconfiguration: sink: expected exactly one of", "\n  → write twochat-connector.yaml")
	// Commands that ask 2Chat nothing need no key.
	r = startWith(t, []string{
		"TWOCHAT_CONNECTOR_TWOCHAT_STREAMS=" + twochattest.DefaultNumber,
		"TWOCHAT_CONNECTOR_SINK_FILE_PATH=events.jsonl",
	}, "explain")
	wantCode(t, r.wait(), cli.ExitFine)
	clitest.WantText(t, "explain", r.out.String(), "stream 15550100100", "events.jsonl")
	r = startWith(t, []string{"TWOCHAT_CONNECTOR_ADMIN_LISTEN=:1"}, "status")
	wantCode(t, r.wait(), cli.ExitFailed)
	clitest.WantText(t, "status", r.err.String(), "http://127.0.0.1:1:")
}

func TestHelp(t *testing.T) {
	for _, c := range commands() {
		for _, args := range [][]string{{"help", c.name}, {c.name, "--help"}} {
			code, out, errOut := finish(t, args...)
			wantCode(t, code, cli.ExitFine)
			clitest.WantText(t, fmt.Sprint(args), out, "twochat-connector "+c.name)
			if errOut != "" {
				t.Errorf("%v: stderr has %q", args, errOut)
			}
		}
	}
	for _, args := range [][]string{{"help"}, {"--help"}, {"-h"}} {
		code, out, _ := finish(t, args...)
		wantCode(t, code, cli.ExitFine)
		clitest.WantText(t, "help", out, "Commands:", "explain")
	}
}

// Help fits a terminal of 80 columns, and tells the default of each flag.
func TestHelp_Layout(t *testing.T) {
	for _, c := range append(commands(), command{}) {
		_, out, _ := finish(t, strings.Fields("help "+c.name)...)
		for line := range strings.Lines(out) {
			if width := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); width > cli.HelpWidth {
				t.Errorf("help %s: %d columns: %s", c.name, width, line)
			}
		}
	}
	for command, wants := range map[string][]string{
		"tail":     {"begin with (default 10)"},
		"demo":     {"is until ctrl-c (default 0s)", "at the start (default 12)", "for tables\n        (default item)"},
		"fake":     {"(default 127.0.0.1:9900)", "it has (default 1)"},
		"audit":    {"\n    twochat-connector audit "},
		"backfill": {"\n    twochat-connector backfill "},
	} {
		_, out, _ := finish(t, "help", command)
		clitest.WantText(t, "help "+command, out, wants...)
		if strings.Contains(out, "(default )") || strings.Contains(out, "(default false)") {
			t.Errorf("help %s has a default that is none: %s", command, out)
		}
	}
}
