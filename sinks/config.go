package sinks

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/embedded"
	"github.com/twochat-connector/twochat-connector/sinks/file"
	"github.com/twochat-connector/twochat-connector/sinks/jetstream"
	"github.com/twochat-connector/twochat-connector/sinks/kafka"
	"github.com/twochat-connector/twochat-connector/sinks/nats"
)

// Config is the union of all sinks' configurations. In a valid configuration exactly one field is set. A field's key is
// the sink's name.
type Config struct {
	JetStream *jetstream.Config  `yaml:"jetstream"`
	Kafka     *kafka.Config      `yaml:"kafka"`
	Embedded  *embedded.Config   `yaml:"embedded"`
	NATS      *nats.Config       `yaml:"nats"`
	File      *file.Config       `yaml:"file"`
	Stdout    *file.StdoutConfig `yaml:"stdout"`
}

// Defaults returns the default section of every sink.
func Defaults() Config {
	return Config{
		JetStream: &jetstream.Config{
			Connection: nats.Connection{URL: "nats://127.0.0.1:4222"},
			Stream:     jetstream.DefaultStream, Subject: jetstream.DefaultSubject, Timeout: jetstream.DefaultTimeout,
		},
		Kafka:    new(kafka.Config{}.WithDefaults()),
		Embedded: &embedded.Config{Listen: embedded.DefaultListen, Dir: embedded.DefaultDir},
		NATS:     &nats.Config{Connection: nats.Connection{URL: "nats://127.0.0.1:4222"}, Subject: "whatsapp"},
		File:     &file.Config{Path: "events.jsonl"},
		Stdout:   &file.StdoutConfig{},
	}
}

// Open makes the one sink that is configured. It contacts no other machine; the embedded server is running when Open
// returns.
func Open(c Config, encoding connector.Encoding, logger *slog.Logger) (Sink, error) {
	if chosen := c.Chosen(); len(chosen) != 1 {
		return nil, fmt.Errorf("open sink: expected exactly one of %s, found %d", strings.Join(Names(), ", "), len(chosen))
	}
	for _, finding := range c.Validate() {
		if finding.Level == connector.FindingRefused {
			return nil, fmt.Errorf("open sink: %w",
				&connector.Refusal{Thing: finding.Thing, Cause: finding.Text, Hint: finding.Hint})
		}
	}
	switch {
	case c.JetStream != nil:
		return opened(jetstream.Open(*c.JetStream, encoding, logger))
	case c.Kafka != nil:
		return opened(kafka.Open(*c.Kafka, encoding, logger))
	case c.Embedded != nil:
		return opened(embedded.Open(*c.Embedded, encoding, logger))
	case c.NATS != nil:
		return opened(nats.Open(*c.NATS, encoding, logger))
	case c.File != nil:
		return opened(file.Open(*c.File, encoding, logger))
	case c.Stdout != nil:
		return opened(file.OpenStdout(*c.Stdout, encoding, logger))
	}
	return nil, fmt.Errorf("open sink: %s has no case", c.Chosen()[0])
}

// opened returns a nil interface, rather than one with a nil pointer, for a sink that did not open.
func opened[S Sink](sink S, err error) (Sink, error) {
	if err != nil {
		return nil, fmt.Errorf("open sink: %w", err)
	}
	return sink, nil
}

// Names returns the names of all sinks.
func Names() []string {
	var names []string
	for f := range reflect.TypeFor[Config]().Fields() {
		names = append(names, f.Tag.Get("yaml"))
	}
	return names
}

// Chosen returns the names of the sinks that are configured: one, if the configuration is valid.
func (c Config) Chosen() []string {
	var chosen []string
	for i, name := range Names() {
		if !reflect.ValueOf(c).Field(i).IsNil() {
			chosen = append(chosen, name)
		}
	}
	return chosen
}

// Shared reports whether several processes can write to the chosen sink at the same time, each its own streams.
func (c Config) Shared() bool { return c.JetStream != nil || c.Kafka != nil }

// Address is where the chosen sink is, without credentials and options: a server's URL, brokers, a file.
func (c Config) Address() string {
	for _, section := range reflect.ValueOf(c).Fields() {
		if !section.IsNil() {
			return section.Interface().(interface{ Address() string }).Address()
		}
	}
	return ""
}

// Words returns the allowed values of each key that takes one of a few words, by the key's path below `sink`.
func Words() map[string][]string {
	return map[string][]string{
		"kafka.compression":    append(kafka.Compressions(), ""), // an empty one is the default
		"kafka.sasl.mechanism": kafka.Mechanisms(),
	}
}

// Validate returns what each chosen sink finds wrong or weak in its own settings. It does no I/O.
func (c Config) Validate() []connector.Finding {
	var findings []connector.Finding
	for _, section := range reflect.ValueOf(c).Fields() {
		if !section.IsNil() {
			findings = append(findings, section.Interface().(interface{ Validate() []connector.Finding }).Validate()...)
		}
	}
	return findings
}
