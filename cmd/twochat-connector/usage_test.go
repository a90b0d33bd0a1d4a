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

// No command prints a secret that was written in the wrong place, wherever that is.
func TestUsage_SecretInTheWrongPlace(t *testing.T) {
	const canary = "UAKs3cret0123456789abcdef"
	_, url := fakeAPI(t, twochattest.Options{Seed: 8})
	dir := t.TempDir()
	t.Chdir(dir)
	good := configure(t, url, "file: { path: "+filepath.Join(dir, "events.jsonl")+" }")
	with := func(old, new string) string {
		path := configure(t, url, "file: { path: "+filepath.Join(dir, "events.jsonl")+" }")
		replace(t, path, old, new)
		return path
	}
	key := filepath.Join(filepath.Dir(good), "key")
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	keyed := filepath.Join(dir, "keyed.yaml")
	if err := os.WriteFile(keyed, []byte(strings.ReplaceAll(string(content), key, canary)), 0o600); err != nil {
		t.Fatal(err)
	}
	nats := func(more string) string {
		return configure(t, url, "jetstream: { url: 'nats://127.0.0.1:1', "+more+" }")
	}
	kafka := func(brokers, more string) string {
		return configure(t, url, "kafka: { brokers: ['"+brokers+"'], "+more+" }")
	}
	for name, args := range map[string][]string{
		"key file":       {"check", "--config", keyed},
		"key file, JSON": {"check", "--json", "--config", keyed},
		"base URL":       {"check", "--config", with("base_url: http://", "base_url: http://u:"+canary+"@")},
		"admin":          {"status", "--admin", "http://u:" + canary + "@127.0.0.1:1"},
		"admin path":     {"status", "--admin", "http://127.0.0.1:1/" + canary},
		"admin query":    {"status", "--admin", "http://127.0.0.1:1/?token=" + canary},
		"admin alone":    {"status", "--admin", canary},
		"admin listen":   {"run", "--config", with("127.0.0.1:0", canary+":0")},
		"sink":           {"check", "--config", good, "--sink", "nats://u:" + canary + "@127.0.0.1:1"},
		"sink alone":     {"check", "--config", good, "--sink", canary},
		"sink of Kafka":  {"check", "--config", good, "--sink", "kafka://" + canary + "@127.0.0.1:1/topic"},
		"creds file":     {"check", "--config", nats("creds_file: " + canary)},
		"nkey file":      {"check", "--config", nats("nkey_file: " + canary)},
		"token file":     {"check", "--config", nats("token_file: " + canary)},
		"TLS key":        {"check", "--config", nats("tls: { cert_file: " + key + ", key_file: " + canary + " }")},
		"URL of NATS":    {"check", "--config", configure(t, url, "jetstream: { url: 'nats://"+canary+"@127.0.0.1:1' }")},
		"password file": {
			"check", "--config",
			kafka("127.0.0.1:1", "sasl: { mechanism: plain, username: u, password_file: "+canary+" }"),
		},
		"token of Kafka": {"check", "--config", kafka("127.0.0.1:1", "sasl: { mechanism: oauthbearer, token_file: "+canary+
			" }")},
		"mechanism":    {"check", "--config", kafka("127.0.0.1:1", "sasl: { mechanism: "+canary+" }")},
		"compression":  {"check", "--config", kafka("127.0.0.1:1", "compression: "+canary)},
		"broker":       {"check", "--config", kafka(canary+"@127.0.0.1:1", "")},
		"number":       {"run", "--config", good, "--number", canary},
		"flag":         {"run", "--" + canary},
		"flag's value": {"tail", "--last", canary},
		"flag of bool": {"check", "--json=" + canary},
		"argument":     {"check", canary},
		"command":      {canary},
		"start":        {"check", "--config", good, "--start", canary},
		"privacy key file": {"check", "--config", with("sink:", "privacy: { identifiers: pseudonymous, key_file: "+canary+
			" }\nsink:")},
	} {
		t.Run(name, func(t *testing.T) {
			for _, env := range [][]string{nil, {"TWOCHAT_CONNECTOR_LOG_LEVEL=debug"}} {
				r := startWith(t, env, args...)
				if code := r.wait(); code == cli.ExitFine {
					t.Error("nothing is wrong")
				}
				if text := r.out.String() + r.err.String(); strings.Contains(text, canary) {
					t.Errorf("the secret is shown: %s", text)
				}
			}
		})
	}
}

func TestUsage_NamesWhatWasMeant(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"command":           {[]string{"chekc"}, "the nearest is check"},
		"flag":              {[]string{"check", "--confg", "x"}, "the nearest is --config"},
		"whole number":      {[]string{"tail", "--last", "many"}, "flag --last: expected a whole number"},
		"span":              {[]string{"demo", "--for", "long"}, "flag --for: expected a duration"},
		"no value":          {[]string{"check", "--config"}, "flag --config: expected a value"},
		"empty sink":        {[]string{"check", "--sink", ""}, "flag --sink: expected a value"},
		"form of a sink":    {[]string{"tail", "--sink", "redis://x"}, "tail: flag --sink: expected nats://host:4222"},
		"NATS's colons":     {[]string{"tail", "--sink", "nats://a:b:c:4222"}, "not the URL of a NATS server"},
		"stream of preview": {[]string{"preview", "--file", "x", "--stream", "suport"}, "flag --stream: expected"},
		"empty config":      {[]string{"explain", "--config="}, "flag --config: expected a value"},
		"empty number":      {[]string{"run", "--number", ""}, "flag --number: expected a number"},
		"user in a URL":     {[]string{"status", "--admin", "http://u@x"}, "without user, password"},
		"query in a URL":    {[]string{"status", "--admin", "http://x?y"}, "without user, password"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, errOut := finish(t, c.args...)
			wantCode(t, code, cli.ExitUsage)
			clitest.WantText(t, "stderr", errOut, c.want)
		})
	}
}

// With --json errors are JSON too, with a hint.
func TestUsage_ErrorsAsJSON(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, args := range map[string][]string{
		"status": {"status", "--json", "--admin", clitest.ClosedPort(t)}, "explain": {"explain", "--json"},
		"backfill": {"backfill", "--json"},
		"check":    {"check", "--json"}, "wrong flag": {"check", "--jsn", "--json"}, "argument": {"version", "--json", "x"},
		"demo":       {"demo", "--json", "--for", "-1s"},
		"no command": {"chekc", "--json"}, "tail": {"tail", "--json", "--last", "-1"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := finish(t, args...)
			if args[0] == "tail" {
				out, errOut = errOut, out
			}
			var got struct {
				Error cli.Failure `json:"error"`
			}
			if err := json.Unmarshal([]byte(out), &got); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got.Error.ExitCode != code || len(got.Error.Problems) == 0 || got.Error.Problems[0].Text == "" || errOut != "" {
				t.Errorf("exit code %d, stderr %q: %s", code, errOut, out)
			}
		})
	}
}
