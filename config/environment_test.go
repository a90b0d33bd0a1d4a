package config

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

func TestLoad_EnvironmentGoesOverTheFile(t *testing.T) {
	for _, test := range []struct {
		variable, value string
		get             func(c *Config) any
		want            any
	}{
		{"TWOCHAT_BASE_URL", "http://localhost:1", func(c *Config) any { return c.TwoChat.BaseURL }, "http://localhost:1"},
		{"TWOCHAT_API_KEY_FILE", "/run/key", func(c *Config) any { return c.TwoChat.APIKeyFile.String() }, "/run/key"},
		{
			"TWOCHAT_STREAMS", "+595981048470, +595981048471",
			func(c *Config) any { return c.TwoChat.Streams },
			[]StreamConfig{{Number: "+595981048470"}, {Number: "+595981048471"}},
		},
		{
			"TWOCHAT_STREAMS", `[{number: "+595981048470", remote: "+595981111111", name: desk}]`,
			func(c *Config) any { return c.TwoChat.Streams },
			[]StreamConfig{{Number: "+595981048470", Remote: "+595981111111", Name: "desk"}},
		},
		{"START", "24h", func(c *Config) any { return c.Start }, Start{Mode: StartAge, Age: 24 * time.Hour}},
		{"POLL_MIN_INTERVAL", "5s", func(c *Config) any { return c.Poll.MinInterval }, 5 * time.Second},
		{"POLL_SWEEP_EVERY", "0", func(c *Config) any { return c.Poll.Sweep.Every }, time.Duration(0)},
		{"POLL_REQUESTS_PER_MINUTE", "80", func(c *Config) any { return c.Poll.RequestsPerMinute }, 80},
		{"EVENTS_HEADERS", "true", func(c *Config) any { return c.Events.Headers }, true},
		{"EVENTS_DATA", "row", func(c *Config) any { return c.Events.Data }, DataRow},
		{"EVENTS_MODE", "binary", func(c *Config) any { return c.Events.Mode }, connector.ModeBinary},
		{"PRIVACY_DROP", "text,media", func(c *Config) any { return c.Privacy.Drop }, []string{"text", "media"}},
		{"PRIVACY_DROP", "[quoted]", func(c *Config) any { return c.Privacy.Drop }, []string{"quoted"}},
		{"PRIVACY_DROP", "", func(c *Config) any { return len(c.Privacy.Drop) }, 0},
		{"ADMIN_LISTEN", ":8080", func(c *Config) any { return c.Admin.Listen }, ":8080"},
		{"LOG_LEVEL", "debug", func(c *Config) any { return c.Log.Level }, "debug"},
		{"SINK_FILE_PATH", "12", func(c *Config) any { return c.Sink.File.Path }, "12"},
	} {
		t.Run(test.variable, func(t *testing.T) {
			c, err := Load("testdata/small.yaml", []string{"HOME=/root", "TWOCHAT_CONNECTOR_" + test.variable + "=" +
				test.value})
			if err != nil {
				t.Fatal(err)
			}
			if got := test.get(c); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %#v, want %#v", got, test.want)
			}
		})
	}
}

func TestLoad_EnvironmentAlone(t *testing.T) {
	c, err := Load("", []string{
		"TWOCHAT_API_KEY=UAKcanary", "TWOCHAT_CONNECTOR_TWOCHAT_STREAMS=+595981048477",
		"TWOCHAT_CONNECTOR_SINK_KAFKA_BROKERS=a:9092,b:9092",
	})
	if err != nil {
		t.Fatal(err)
	}
	if key, err := c.APIKey(); key != "UAKcanary" || err != nil {
		t.Errorf("APIKey = %q, %v", key, err)
	}
	if k := c.Sink.Kafka; k == nil || !reflect.DeepEqual(k.Brokers, []string{"a:9092", "b:9092"}) ||
		k.Topic != "whatsapp.messages" {
		t.Errorf("sink.kafka is %+v", k)
	}
}

func TestLoad_BadEnvironment(t *testing.T) {
	for _, test := range []struct{ entry, want string }{
		{
			"TWOCHAT_CONNECTOR_SEEN_CAPACITY=canary",
			"environment TWOCHAT_CONNECTOR_SEEN_CAPACITY: seen.capacity: expected a whole number from 0, found other text",
		},
		{
			"TWOCHAT_CONNECTOR_SEEN_CAPACITY=9999",
			"environment TWOCHAT_CONNECTOR_SEEN_CAPACITY: seen.capacity: expected 10000 or more: a smaller memory delivers messages twice",
		},
		{
			"TWOCHAT_CONNECTOR_POLL_MIN_INTERVALL=1s",
			"environment TWOCHAT_CONNECTOR_POLL_MIN_INTERVALL: unknown variable; the nearest known one is TWOCHAT_CONNECTOR_POLL_MIN_INTERVAL",
		},
		{
			"TWOCHAT_CONNECTOR_TWOCHAT_API_KEY=canary",
			"environment TWOCHAT_CONNECTOR_TWOCHAT_API_KEY: unknown variable; the API key goes into TWOCHAT_API_KEY",
		},
		{"TWOCHAT_CONNECTOR_595981111111=1", "environment TWOCHAT_CONNECTOR_…: unknown variable"},
		{
			"TWOCHAT_API_KEY=canary\ncanary",
			"environment TWOCHAT_API_KEY: expected an API key, but the value has several lines, where only the secret is expected",
		},
		{
			"TWOCHAT_CONNECTOR_START=canary",
			"environment TWOCHAT_CONNECTOR_START: start: expected now, beginning, an age such as 24h, or a time such as 2026-01-31T00:00:00Z",
		},
		{
			"TWOCHAT_CONNECTOR_TWOCHAT_STREAMS=[canary",
			"environment TWOCHAT_CONNECTOR_TWOCHAT_STREAMS: twochat.streams: expected a list, as in YAML or with commas between its items",
		},
		{
			"TWOCHAT_CONNECTOR_TWOCHAT_STREAMS=canary",
			`environment TWOCHAT_CONNECTOR_TWOCHAT_STREAMS: twochat.streams[0].number: expected a number such as "+595981048477": a plus sign and 6 to 15 digits`,
		},
		{
			"TWOCHAT_CONNECTOR_TWOCHAT_STREAMS=[{numbr: canary}]",
			"environment TWOCHAT_CONNECTOR_TWOCHAT_STREAMS: twochat.streams[0].numbr: unknown key; the nearest known key is twochat.streams[0].number\n" +
				`environment TWOCHAT_CONNECTOR_TWOCHAT_STREAMS: twochat.streams[0].number: expected a number such as "+595981048477": a plus sign and 6 to 15 digits`,
		},
		{
			"TWOCHAT_CONNECTOR_SINK_STDOUT_STATE=canary",
			"environment TWOCHAT_CONNECTOR_SINK_STDOUT_STATE: sink.stdout: expected exactly one sink; sink.file is there too",
		},
	} {
		t.Run(test.entry, func(t *testing.T) {
			_, err := Load("testdata/small.yaml", []string{test.entry})
			if err == nil {
				t.Fatal("no problem")
			}
			got := strings.Split(err.Error(), "\n")
			want := strings.Split(test.want, "\n")
			if len(got) != len(want) {
				t.Fatalf("got  %v\nwant %v", err, test.want)
			}
			for _, line := range want {
				if !strings.Contains(err.Error()+"\n", line+"\n") {
					t.Errorf("got  %v\nwant %v", err, line)
				}
			}
		})
	}
}

// A Kubernetes Service named twochat-connector sets variables in the pod. They must not keep the pod from starting,
// and no key's variable may look like one of them.
func TestLoad_IgnoresServiceLinks(t *testing.T) {
	links := []string{
		"TWOCHAT_CONNECTOR_SERVICE_HOST=10.0.0.1", "TWOCHAT_CONNECTOR_SERVICE_PORT=8080",
		"TWOCHAT_CONNECTOR_SERVICE_PORT_HTTP=8080",
		"TWOCHAT_CONNECTOR_PORT=tcp://10.0.0.1:8080", "TWOCHAT_CONNECTOR_PORT_8080_TCP=tcp://10.0.0.1:8080",
		"TWOCHAT_CONNECTOR_PORT_8080_TCP_PROTO=tcp", "TWOCHAT_CONNECTOR_PORT_8080_TCP_PORT=8080",
		"TWOCHAT_CONNECTOR_PORT_8080_TCP_ADDR=10.0.0.1",
		"TWOCHAT_CONNECTOR_METRICS_SERVICE_HOST=10.0.0.1", "TWOCHAT_CONNECTOR_METRICS_PORT_8080_UDP_ADDR=10.0.0.1",
		"TWOCHAT_CONNECTOR_TEST_KAFKA=/opt/kafka", // not a service link, but a variable of this module's tests
	}
	if _, err := Load("testdata/small.yaml", links); err != nil {
		t.Error(err)
	}
	seen := map[string]string{}
	for _, path := range newLoader().leaves() {
		if serviceLink.MatchString(Variable(path)) || strings.HasPrefix(Variable(path), testVariables) {
			t.Errorf("%s would be ignored", Variable(path))
		}
		if other, taken := seen[Variable(path)]; taken {
			t.Errorf("%s stands for %s and %s", Variable(path), other, path)
		}
		seen[Variable(path)] = path
	}
}

func TestFromFlags(t *testing.T) {
	env := []string{"TWOCHAT_API_KEY=UAKcanary"}
	number := []string{"+595981048477"}
	for _, test := range []struct {
		name  string
		flags Flags
		env   []string
		sink  string
		check func(c *Config) bool
	}{
		{"number alone is embedded", Flags{Numbers: number}, nil, "embedded", func(c *Config) bool {
			return c.Sink.Embedded.Dir == "./twochat-data"
		}},
		{"embedded makes its stream anyway", Flags{Numbers: number, Create: true}, nil, "embedded", func(*Config) bool {
			return true
		}},
		{
			"number keeps the environment's sink",
			Flags{Numbers: number},
			[]string{"TWOCHAT_CONNECTOR_SINK_FILE_PATH=a"},
			"file", func(c *Config) bool { return c.Sink.File.Path == "a" },
		},
		{"jetstream", Flags{Numbers: number, Sink: "nats://nats.example.com:4222"}, nil, "jetstream", func(c *Config) bool {
			return c.Sink.JetStream.URL == "nats://nats.example.com:4222" && c.Sink.JetStream.Stream == "WHATSAPP" &&
				!c.Sink.JetStream.Create
		}},
		{
			"jetstream with TLS, made",
			Flags{Numbers: number, Sink: "tls://nats.example.com", Create: true},
			nil, "jetstream",
			func(c *Config) bool {
				return c.Sink.JetStream.URL == "tls://nats.example.com" && c.Sink.JetStream.Create
			},
		},
		{
			"kafka",
			Flags{Numbers: number, Sink: "kafka://a:9092,b:9092/messages", Create: true},
			nil, "kafka",
			func(c *Config) bool {
				return reflect.DeepEqual(c.Sink.Kafka.Brokers, []string{"a:9092", "b:9092"}) && c.Sink.Kafka.Topic == "messages" &&
					c.Sink.Kafka.Create
			},
		},
		{"kafka without a topic", Flags{Numbers: number, Sink: "kafka://a:9092"}, nil, "kafka", func(c *Config) bool {
			return c.Sink.Kafka.Topic == "whatsapp.messages"
		}},
		{"file", Flags{Numbers: number, Sink: "file:events.jsonl"}, nil, "file", func(c *Config) bool {
			return c.Sink.File.Path == "events.jsonl"
		}},
		{"file URL", Flags{Numbers: number, Sink: "file:///tmp/e.jsonl"}, nil, "file", func(c *Config) bool {
			return c.Sink.File.Path == "/tmp/e.jsonl"
		}},
		{"stdout", Flags{Numbers: number, Sink: "-"}, nil, "stdout", func(*Config) bool { return true }},
		{"over a file", Flags{Config: "testdata/full.yaml", Sink: "-", Start: "24h"}, nil, "stdout", func(c *Config) bool {
			return c.Start.Age == 24*time.Hour && len(c.TwoChat.Streams) == 2
		}},
		{
			"number over a file",
			Flags{Config: "testdata/full.yaml", Numbers: []string{"+595981048400"}},
			nil, "jetstream",
			func(c *Config) bool {
				return len(c.TwoChat.Streams) == 1 && c.TwoChat.Streams[0].Number == "+595981048400"
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := FromFlags(test.flags, append(test.env, env...))
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Sink.Chosen(); !reflect.DeepEqual(got, []string{test.sink}) || !test.check(c) {
				t.Errorf("sinks %v in %v", got, c)
			}
		})
	}
}

func TestFromFlags_Bad(t *testing.T) {
	for _, test := range []struct {
		flags Flags
		want  string
	}{
		{
			Flags{Sink: "nats://user:canary@host:4222"},
			"flag --sink: expected neither credentials nor options in the URL: they belong into the configuration file, secrets into separate files",
		},
		{
			Flags{Sink: "kafka://host/topic?canary=1"},
			"flag --sink: expected neither credentials nor options in the URL: they belong into the configuration file, secrets into separate files",
		},
		{Flags{Sink: "redis://canary:1"}, "flag --sink: " + sinkForms},
		{Flags{Sink: "canary"}, "flag --sink: " + sinkForms},
		{Flags{Sink: "kafka:///topic"}, "flag --sink: " + sinkForms},
		{Flags{Sink: "kafka://a:1/b/c"}, "flag --sink: " + sinkForms},
		{Flags{Sink: "nats://host:4222/canary"}, "flag --sink: " + sinkForms},
		{Flags{Sink: "file:"}, "flag --sink: expected file:events.jsonl, file:/path or file:///path"},
		{Flags{Sink: "file://canary/e"}, "flag --sink: expected file:events.jsonl, file:/path or file:///path"},
		{Flags{Sink: "-", Create: true}, "flag --create: the sink stdout has nothing to create"},
		{
			Flags{Sink: "-", Start: "canary"},
			"flag --start: expected now, beginning, an age such as 24h, or a time such as 2026-01-31T00:00:00Z",
		},
		{
			Flags{Sink: "-", Numbers: []string{"595981048477"}},
			`flag --number: twochat.streams[0].number: expected a number such as "+595981048477": a plus sign and 6 to 15 digits`,
		},
	} {
		test.flags.Config = "testdata/small.yaml"
		_, err := FromFlags(test.flags, nil)
		var problems Problems
		if !errors.As(err, &problems) || err.Error() != test.want {
			t.Errorf("%+v:\ngot  %v\nwant %v", test.flags, err, test.want)
		}
	}
}

// A missing key is not blamed on the variable or flag that set another key of its section.
func TestLoad_WhatIsMissingBlamesNobody(t *testing.T) {
	for _, test := range []struct {
		flags Flags
		env   []string
		want  []string
	}{
		{Flags{Numbers: []string{"123"}}, nil, []string{
			`flag --number: twochat.streams[0].number: expected a number such as "+595981048477": a plus sign and 6 to 15 digits`,
			"configuration: twochat.api_key_file: expected a file with the API key, or the key in the environment variable TWOCHAT_API_KEY",
		}},
		{Flags{Numbers: []string{"+595981048477"}}, nil, []string{
			"configuration: twochat.api_key_file: expected a file with the API key, or the key in the environment variable TWOCHAT_API_KEY",
		}},
		{Flags{Numbers: []string{"+595981048477"}}, []string{
			"TWOCHAT_API_KEY=key",
			"TWOCHAT_CONNECTOR_SINK_NATS_URL=nats://127.0.0.1:4222",
		}, []string{
			"configuration: sink.nats.state: core NATS stores nothing, so a folder for the checkpoints is required; set a path like ./whatsapp.state, or use the sink jetstream",
		}},
		{Flags{Sink: "-", Numbers: []string{"+595981048477"}}, []string{
			"TWOCHAT_API_KEY=key",
			"TWOCHAT_CONNECTOR_PRIVACY_IDENTIFIERS=pseudonymous",
		}, []string{
			"configuration: privacy.key_file: expected a file with a key, as privacy.identifiers is pseudonymous",
			"flag --number: twochat.streams[0].name: expected a name, as privacy.identifiers is pseudonymous",
		}},
	} {
		_, err := FromFlags(test.flags, test.env)
		if err == nil {
			t.Errorf("%+v: no error", test.flags)
			continue
		}
		got := strings.Split(err.Error(), "\n")
		slices.Sort(got)
		slices.Sort(test.want)
		if !slices.Equal(got, test.want) {
			t.Errorf("%+v, %v:\n%s\nwant:\n%s", test.flags, test.env, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
		}
	}
}
