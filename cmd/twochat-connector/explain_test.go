package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

func TestExplain(t *testing.T) {
	for name, c := range map[string]struct {
		sink string
		more string
		want []string
	}{
		"jetstream": {
			"jetstream: { url: 'nats://nats:4222', stream: MINE, subject: mine }", "",
			[]string{
				"ONCE", "stream MINE exactly once, oldest first", "mine.> of the", "mine-checkpoint.>",
				"all that is listed is",
			},
		},
		"embedded": {"embedded: {}", "", []string{"ONCE", "embedded server", "whatsapp.> of the", "nats://127.0.0.1:4222"}},
		"kafka": {
			"kafka: { brokers: [kafka:9092] }", "",
			[]string{"ONCE", "isolation.level=read_committed; it holds events only"},
		},
		"nats":   {"nats: { state: state }", "", []string{"BEST EFFORT", "deliver everything twice"}},
		"stdout": {"stdout: {}", "", []string{"BEST EFFORT", "every start is a first start"}},
		"file": {
			"file: { path: events.jsonl }", "privacy: { drop: [text, media] }\nevents: { type_prefix: com.example }",
			[]string{
				"Every line of events.jsonl", "removed wherever it", "(files and their URLs) (privacy.drop)",
				"a sweep, which goes 60h back", "Late messages are searched for every 1h, or less often, down to every 24h", "seam",
				"--accept-history", "After that the flag has no effect",
			},
		},
		"no sweeps": {"file: {}", "", []string{"is never found: there are no sweeps"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			path := configure(t, "http://127.0.0.1:1", c.sink, c.more)
			if name == "no sweeps" {
				replace(t, path, "poll: {", "poll: { sweep: { every: 0 },")
			}
			code, out, errOut := finish(t, "explain", "--config", path)
			wantCode(t, code, cli.ExitFine)
			flat := strings.Join(strings.Fields(out), " ")
			for _, want := range c.want {
				if !strings.Contains(strings.ToLower(flat), strings.ToLower(want)) {
					t.Errorf("it lacks %q: %s", want, out)
				}
			}
			if errOut != "" {
				t.Errorf("stderr has %q", errOut)
			}
			finishAtTerminal(t, "explain", "--config", path)
			code, out, _ = finish(t, "explain", "--config", path, "--json")
			wantCode(t, code, cli.ExitFine)
			var e explanation
			if err := json.Unmarshal([]byte(out), &e); err != nil || e.Promise.Text == "" || len(e.Residue) == 0 {
				t.Errorf("%v: %s", err, out)
			}
			if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
				t.Errorf("it leaves %v behind, %v", left, err)
			}
		})
	}
}

func TestCost(t *testing.T) {
	c := config.Default()
	c.TwoChat.Streams = make([]config.StreamConfig, 3)
	for name, k := range map[string]struct {
		rate     int
		interval string
		calls    string
	}{
		"fast": {
			80, "every 10s while messages flow, every 1m when it is quiet",
			"about 139,299 calls a month while it is quiet, up to 1,251,246 if messages never cease",
		},
		"limited": {10, "every 18s while messages flow, every 1m when it is quiet, slowed down by the rate limit (10 requests a minute, streams: 3)", "about 139,299 calls a month while it is quiet, up to 432,000 if"},
		"tight":   {2, "every 1m30s, slowed", "about 86,400 calls a month while it is quiet, up to 86,400"},
	} {
		in := pipeline.CostOf(&c, k.rate)
		clitest.WantText(t, name, in.Interval(), k.interval)
		clitest.WantText(t, name, in.Calls(), k.calls)
	}
}

func TestCheck_FindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	fake, url := fakeAPI(t, twochattest.Options{Seed: 12, History: 5})
	path := configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }")
	for name, c := range map[string]struct {
		faults []twochattest.Fault
		info   []twochattest.Fault
		code   int
		want   []string
	}{
		"fine": {
			nil, nil, cli.ExitFine,
			[]string{"ok       API key: accepted", "ok       stream support: 5 messages on page 0"},
		},
		"key": {
			[]twochattest.Fault{twochattest.Status(401, twochattest.BodyDetail)},
			[]twochattest.Fault{twochattest.Status(401, twochattest.BodyDetail)},
			cli.ExitWrong,
			[]string{"refused  API key: the API key is wrong (HTTP 401)", "→ put the account's API key"},
		},
		"number": {
			[]twochattest.Fault{twochattest.Status(404, twochattest.BodyDetail)},
			nil, cli.ExitWrong,
			[]string{"refused  stream support: the number is not connected", "→ connect the number"},
		},
		"credits": {
			[]twochattest.Fault{twochattest.Status(402, twochattest.BodyDetail)},
			nil, cli.ExitWrong,
			[]string{"→ top up the account"},
		},
		"in pass": {[]twochattest.Fault{
			twochattest.Status(503, twochattest.BodyDetail),
			{Kind: twochattest.KindTruncated},
		}, nil, cli.ExitFine, []string{"5 messages"}},
		"for longer": {
			[]twochattest.Fault{
				twochattest.Status(503, ""), twochattest.Status(503, ""),
				twochattest.Status(503, ""),
			},
			nil, cli.ExitWrong,
			[]string{"refused  stream support: the server has a problem (HTTP 503)"},
		},
		"no page": {[]twochattest.Fault{
			{Kind: twochattest.KindHTML},
			{Kind: twochattest.KindHTML},
			{Kind: twochattest.KindHTML},
		}, nil, cli.ExitWrong, []string{"--learn` shows"}},
		"empty": {
			[]twochattest.Fault{{Kind: twochattest.KindEmptyPage}},
			nil, cli.ExitFine,
			[]string{"warning  stream support: it can be read, and lists no messages"},
		},
		"info not offered": {
			nil,
			[]twochattest.Fault{twochattest.Status(404, twochattest.BodyDetail)},
			cli.ExitFine,
			[]string{
				"warning  account: its limits and usage cannot be read, so `run` uses 10 requests a minute",
				"5 messages", "Ready to run",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			fake.Next(c.faults...)
			fake.NextInfo(c.info...)
			code, out, _ := finish(t, "check", "--config", path)
			wantCode(t, code, c.code)
			clitest.WantText(t, "check", out, c.want...)
		})
	}
	code, out, _ := finish(t, "check", "--json", "--config", path, "--probe")
	wantCode(t, code, cli.ExitFine)
	var answer struct {
		Fine     bool
		Findings []struct{ Level, Thing, Text string }
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil || !answer.Fine || len(answer.Findings) < 4 {
		t.Errorf("%v: %s", err, out)
	}
	code, out, _ = finish(t, "check", "--learn", "--config", path)
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "--learn` says", out, "API, echo: the answer for page 0 has its page_number", "API, shape: {")
}

func TestVersion(t *testing.T) {
	code, out, _ := finish(t, "version")
	wantCode(t, code, cli.ExitFine)
	clitest.WantText(t, "version", out, "twochat-connector ", "go1.")
	code, out, _ = finish(t, "version", "--json")
	wantCode(t, code, cli.ExitFine)
	var b cli.Build
	if err := json.Unmarshal([]byte(out), &b); err != nil || b.Version == "" || b.Go == "" || b.Platform == "" {
		t.Errorf("%v: %s", err, out)
	}
}

// The printed sweep interval is what the budget allows, or the text says on what it depends.
func TestExplain_SweepsInForce(t *testing.T) {
	for monthly, want := range map[string]string{
		"100000": "as the month's budget of calls does not allow more (poll.sweep.every: 1h)",
		"0":      "if the month's budget of calls is short: `twochat-connector",
	} {
		path := configure(t, "http://127.0.0.1:1", "file: {}")
		replace(t, path, "monthly_credits: 1000000000", "monthly_credits: "+monthly)
		code, out, _ := finish(t, "explain", "--config", path)
		wantCode(t, code, cli.ExitFine)
		said := strings.Join(strings.Fields(out), " ")
		clitest.WantText(t, "explain", said, want)
		if found := strings.Contains(said, "every 1h, as"); found {
			t.Errorf("with %s calls a month it promises a sweep an hour", monthly)
		}
	}
}
