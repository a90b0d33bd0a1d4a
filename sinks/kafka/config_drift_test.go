package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Topics are created with the settings, and check reports how an existing one differs.
func TestConfigDrift(t *testing.T) {
	b := fake(t, 3, kfake.BrokerConfigs(map[string]string{"auto.create.topics.enable": "false"}))
	made := Config{Topic: newTopic(), Create: true, Partitions: 4, Replicas: 2, Retention: 48 * time.Hour}
	s := openSink(t, b, made, connector.Encoding{})
	defer s.Close()
	if err := s.Create(within(t)); err != nil {
		t.Fatal(err)
	}
	v, err := s.cluster.settled(within(t), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]int{s.topics.events: 4, s.topics.checkpoints: 1, s.topics.quarantine: 1} {
		if got := len(v.topics[topic].partitions); got != want {
			t.Errorf("topic %s has %d partitions, want %d", topic, got, want)
		}
	}
	if command := s.maker.createCommand(s.topics.events, 2); !strings.Contains(command, " --partitions 4 ") {
		t.Error(command)
	}
	of := func(change func(*Config)) (texts, hints string) {
		t.Helper()
		config := made
		change(&config)
		s := openSink(t, b, config, connector.Encoding{})
		defer s.Close()
		found, err := s.Check(within(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if strings.Contains(f.Text, "sink.kafka.") {
				texts += f.Thing + ": " + f.Text + "\n"
				hints += f.Hint + "\n"
			}
			if f.Level == connector.FindingRefused {
				t.Errorf("%+v", f)
			}
		}
		return texts, hints
	}
	for name, c := range map[string]struct {
		change func(*Config)
		texts  int
		text   string
		hints  []string
	}{
		"as asked": {func(*Config) {}, 0, "", nil},
		"not asked": {func(c *Config) {
			c.Partitions, c.Replicas, c.Retention = 0, 0, 0
		}, 0, "", nil},
		"more partitions": {
			func(c *Config) { c.Partitions = 12 }, 1, ": it has 4 partitions, and sink.kafka.partitions is 12",
			[]string{"--alter --topic " + made.Topic + " --partitions 12", "--accept-partitions 12"},
		},
		"fewer partitions": {
			func(c *Config) { c.Partitions = 1 }, 1, ": it has 4 partitions, and sink.kafka.partitions is 1",
			[]string{"set `sink.kafka.partitions: 4`"},
		},
		"fewer replicas": {
			func(c *Config) { c.Replicas = 1 }, 3, ".quarantine: it has 2 replicas, and sink.kafka.replicas is 1",
			[]string{"set `sink.kafka.replicas: 2`"},
		},
		"more replicas, told already": {func(c *Config) { c.Replicas = 3 }, 0, "", nil},
		"more replicas than brokers": {
			func(c *Config) { c.Replicas = 5 }, 3, ": it has 2 replicas, and sink.kafka.replicas is 5",
			[]string{"set `sink.kafka.replicas: 2`"},
		},
		"kept for longer": {
			func(c *Config) { c.Retention = 72 * time.Hour }, 2,
			": it keeps records for 48h0m0s, and sink.kafka.retention is 72h0m0s",
			[]string{"retention.ms=259200000", "--entity-name " + made.Topic + ".quarantine"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			texts, hints := of(c.change)
			if n := strings.Count(texts, "\n"); n != c.texts || !strings.Contains(texts, c.text) {
				t.Errorf("%d warnings, want %d: %s", n, c.texts, texts)
			}
			for _, hint := range c.hints {
				if !strings.Contains(hints, hint) {
					t.Errorf("%q is not in %q", hint, hints)
				}
			}
		})
	}
}

// The words in the configuration are those that the sink knows.
func TestWords(t *testing.T) {
	for _, name := range Compressions() {
		if _, ok := compressionOf(name); !ok {
			t.Errorf("compression %s is none", name)
		}
	}
	for _, name := range Mechanisms() {
		s := SASL{Mechanism: name, Username: "u", PasswordFile: "p", TokenFile: "t"}
		s.validate(func(key, text, _ string) {
			if name != "" {
				t.Errorf("mechanism %s: %s %s", name, key, text)
			}
		})
	}
}
