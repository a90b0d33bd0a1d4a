package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

func TestConfig_PrintsNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("UAKcanary"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load("testdata/full.yaml", []string{
		"TWOCHAT_API_KEY=UAKcanary", "TWOCHAT_CONNECTOR_PRIVACY_KEY_FILE=" + path,
		"TWOCHAT_CONNECTOR_PRIVACY_IDENTIFIERS=pseudonymous",
		`TWOCHAT_CONNECTOR_TWOCHAT_STREAMS=[{number: "+595981048477", remote: "+595981111111", name: desk}]`,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Privacy.KeyFile.Read(); err != nil { // reads it into memory
		t.Fatal(err)
	}
	c.Sink.JetStream.URL = "nats://user:UAKcanary@127.0.0.1:4222"
	var logged bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&logged, nil))
	logger.Info("configuration", "config", c, "value", *c, "streams", c.TwoChat.Streams, "key", c.Privacy.KeyFile)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("configuration", "config", c, "value", *c, "privacy", c.Privacy)
	marshalled, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	byValue, err := json.Marshal(*c)
	if err != nil || !bytes.Equal(byValue, marshalled) {
		t.Errorf("json of the value: %s, %v", byValue, err)
	}
	for _, text := range []string{
		c.String(), string(marshalled), logged.String(), fmt.Sprint(c, *c), fmt.Sprintf("%v %+v %#v %s", c, c, c, c),
		fmt.Sprintf("%+v %#v", *c, *c),
		fmt.Sprintf("%v %+v %#v", c.TwoChat, c.TwoChat, c.TwoChat), fmt.Sprintf("%v %+v %#v", c.Privacy, c.Privacy,
			c.Privacy),
	} {
		for _, secret := range []string{"UAKcanary", "5981048477", "5981111111"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is printed in %s", secret, text)
			}
		}
	}
	for _, want := range []string{
		`"name":"desk"`, `"number":"+[redacted]"`, `"max_interval":"1m"`, `"start":"now"`,
		`"url":"nats://[redacted]@127.0.0.1:4222"`,
	} {
		if !strings.Contains(string(marshalled), want) {
			t.Errorf("%s is missing in %s", want, marshalled)
		}
	}
}

// Load accepts what String prints, except for what is redacted.
func TestConfig_PrintsWhatLoadReads(t *testing.T) {
	c, err := Load("testdata/full.yaml", []string{
		"TWOCHAT_CONNECTOR_POLL_MAX_INTERVAL=1h0m5s",
		"TWOCHAT_CONNECTOR_PRIVACY_DROP=text",
	})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(write(t, c.String()), []string{`TWOCHAT_CONNECTOR_TWOCHAT_STREAMS=["+595981048477"]`})
	if err == nil {
		t.Fatalf("redacted numbers were read: %v", again)
	}
	printed := strings.Replace(c.String(), "+[redacted]", "+595981048477", 1)
	printed = strings.Replace(printed, "+[redacted]", "+595981048478", 1)
	printed = strings.Replace(printed, "+[redacted]", "+595981111111", 1)
	if again, err = Load(write(t, printed), nil); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, c) {
		t.Errorf("got %v\nwant %v", again, c)
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", time.Second: "1s", time.Minute: "1m", 60 * time.Hour: "60h", 90 * time.Minute: "1h30m",
		70 * time.Second: "1m10s",
		10 * time.Minute: "10m", 20 * time.Hour: "20h", time.Hour + time.Second: "1h0m1s", time.Millisecond: "1ms",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%d) = %s, want %s", d, got, want)
		}
	}
}

// A secret in the wrong place is never repeated, whatever key it is under.
func TestLoad_QuotesNoValue(t *testing.T) {
	const canary = "UAKcanary-5981048477@example"
	var names []string
	for _, key := range Reference() {
		if !strings.Contains(key.Path, "[]") {
			names = append(names, key.Path)
		}
	}
	names = append(names, "twochat.api_key", "twochat.streams[0]", "sink.kafka.sasl.password", "sink.jetstream.password",
		"sink.jetstream.token", "privacy.key", "password", "poll.sweep.key")
	said := 0
	for _, path := range names {
		for _, value := range []string{
			canary, "{ " + canary + ": " + canary + " }", "[ " + canary + " ]", "[[" + canary +
				"]]", "*" + canary, "!" + canary + " x", "&" + canary + " x", "nats://" + canary + ":1", "{ <<: " + canary + "}",
			"\"" + canary,
		} {
			content := nested(strings.Split(strings.ReplaceAll(path, "[0]", ""), "."), value)
			for _, env := range [][]string{nil, {Variable(path) + "=" + canary}, {Variable(path) + "=[" + canary}} {
				l := newLoader()
				if l.readYAML("config.yaml", []byte(content)) {
					l.readEnvironment(env)
					l.config.validate(l.wrong)
				}
				if len(l.problems) > 0 {
					said++
				}
				if text := l.problems.Error(); strings.Contains(text, "UAK") || strings.Contains(text, "5981048477@") {
					if !quotesWords[path] {
						t.Errorf("%s: %s\n%s", path, value, text)
					}
				}
			}
		}
	}
	if said < 1000 {
		t.Errorf("only %d configurations were refused: the test tests nothing", said)
	}
}

// quotesWords are keys that accept one of a few words and repeat a wrong one. They are not tested, because secrets are
// unlikely there.
var quotesWords = map[string]bool{"sink.kafka.compression": true, "sink.kafka.sasl.mechanism": true}

func nested(path []string, value string) string {
	if len(path) == 1 {
		return path[0] + ": " + value + "\n"
	}
	inner := strings.TrimRight(nested(path[1:], value), "\n")
	return path[0] + ":\n  " + strings.ReplaceAll(inner, "\n", "\n  ") + "\n"
}

func TestReference_IsComplete(t *testing.T) {
	keys := Reference()
	known := map[string]bool{}
	for _, key := range keys {
		if key.Doc == "" {
			t.Errorf("%s has no meaning: give it a doc tag, or a line in sinkdocs.go", key.Path)
		}
		if key.Type == "" {
			t.Errorf("%s has a type that the decoder does not know", key.Path)
		}
		if known[key.Path] {
			t.Errorf("%s stands twice", key.Path)
		}
		known[key.Path] = true
	}

	// The design's example has every key except those that only sinks add, and contains no unknown key.
	given := map[string]bool{}
	for _, example := range []string{"testdata/full.yaml", "testdata/accounts.yaml"} {
		content, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		var document yaml.Node
		if err := yaml.Unmarshal(content, &document); err != nil {
			t.Fatal(err)
		}
		leavesOf(document.Content[0], "", given)
	}
	for path := range given {
		if !known[path] && !strings.HasSuffix(path, ".tls") {
			t.Errorf("%s is in the example, not in the reference", path)
		}
	}
	for path := range known {
		if !given[path] && !strings.HasPrefix(path, "sink.") && path != "twochat.streams" &&
			path != "accounts" && path != "accounts[].streams" {
			t.Errorf("%s is in the reference, not in the example", path)
		}
	}
}

func leavesOf(n *yaml.Node, path string, into map[string]bool) {
	switch {
	case n.Kind == yaml.MappingNode && len(n.Content) > 0:
		for i := 0; i < len(n.Content); i += 2 {
			leavesOf(n.Content[i+1], join(path, n.Content[i].Value), into)
		}
	case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
		for _, item := range n.Content {
			leavesOf(item, path+"[]", into)
		}
	default:
		into[path] = true
	}
}

// sinkDocs may not keep text for keys that no sink has any more: every line of it has to describe a key.
func TestReference_OfSinks(t *testing.T) {
	said := map[string]bool{}
	for _, key := range Reference() {
		said[key.Doc] = true
	}
	for _, doc := range sinkDocs {
		if !said[doc] {
			t.Errorf("no key has the meaning %q", doc)
		}
	}
}
