package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A secret may be written by mistake into any key that names a file. Neither the messages about it nor the printed
// configuration show it.
func TestConfig_SecretWhereAPathBelongs(t *testing.T) {
	const canary = "UAK0canary/9x+/w=="
	sinkOf := map[string][]string{
		"sink.jetstream": {"SINK_JETSTREAM_URL=tls://nats.example.com:4222"},
		"sink.nats":      {"SINK_NATS_URL=tls://nats.example.com:4222", "SINK_NATS_STATE=./state"},
		"sink.kafka": {
			"SINK_KAFKA_BROKERS=kafka.example.com:9092", "SINK_KAFKA_SASL_MECHANISM=plain",
			"SINK_KAFKA_TLS_ENABLED=true",
		},
	}
	keys := 0
	for _, key := range Reference() {
		if !namesFile(key.Path) {
			continue
		}
		keys++
		t.Run(key.Path, func(t *testing.T) {
			env, path, variable := []string{VariablePrefix + "TWOCHAT_STREAMS=+595981048477"}, key.Path, key.Variable
			if name, listed := strings.CutPrefix(key.Path, "accounts[]."); listed {
				env, path = nil, "accounts[0]."+name
				variable = fmt.Sprintf("%s=[{ name: shop, streams: [{ number: \"+595981048477\" }], %s: \"%s\" }]#",
					Variable("accounts"), name, canary)
			}
			settings := []string{"SINK_FILE_PATH=events.jsonl"}
			for sink, of := range sinkOf {
				if strings.HasPrefix(key.Path, sink+".") {
					settings = of
				}
			}
			if key.Path == "privacy.key_file" {
				settings = append(settings, "PRIVACY_IDENTIFIERS=pseudonymous")
			}
			for _, setting := range settings {
				env = append(env, VariablePrefix+setting)
			}
			env = append(env, variable+"="+canary)
			var shown strings.Builder
			c, err := FromFlags(Flags{}, env)
			if err != nil { // other keys are required beside it
				fmt.Fprintln(&shown, err)
				l := newLoader()
				l.readEnvironment(env)
				c = l.config
			}
			fmt.Fprintln(&shown, c, c.GoString())
			text, err := c.MarshalJSON()
			fmt.Fprintln(&shown, string(text), err)
			said := false
			for _, f := range c.Findings() {
				fmt.Fprintln(&shown, f)
				said = said || f.Thing == path && f.Level == "refused"
			}
			if !said {
				t.Error("nothing is said of a file that is not there")
			}
			if strings.Contains(shown.String(), canary) {
				t.Errorf("the secret is shown: %s", shown.String())
			}
		})
	}
	if keys < 15 {
		t.Errorf("only %d keys name files", keys)
	}
}

// A bad API key is described the same way from a file and from the environment, and never quoted.
func TestConfig_APIKeyAsPeopleWriteIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for name, c := range map[string]struct{ content, wrong string }{
		"newline": {"UAKcanary\r\n", ""}, "mark": {"\xef\xbb\xbfUAKcanary\n", ""}, "blanks": {" UAKcanary ", ""},
		"word": {"Bearer UAKcanary", "without a word such as Bearer"}, "quotes": {`"UAKcanary"`, "in quotes"},
		"lines":  {"UAKcanary\nshop", "several lines"},
		"accent": {"UAKcanaryé", "unprintable"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, variable := range []string{Variable("twochat.api_key_file") + "=" + path, APIKeyVariable + "=" + c.content} {
				got, err := Load("testdata/small.yaml", []string{variable})
				key := ""
				if err == nil {
					key, err = got.APIKey()
				}
				switch {
				case c.wrong == "" && (key != "UAKcanary" || err != nil):
					t.Errorf("the key is %q, %v", key, err)
				case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong) ||
					strings.Contains(err.Error(), "canary")):
					t.Errorf("the error is %v, want %s", err, c.wrong)
				}
			}
		})
	}
}
