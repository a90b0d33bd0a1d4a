package sinks_test

import (
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// only is the configuration of one sink, without the other sections.
func only(all sinks.Config, name string) sinks.Config {
	var c sinks.Config
	i := slices.Index(sinks.Names(), name)
	reflect.ValueOf(&c).Elem().Field(i).Set(reflect.ValueOf(all).Field(i))
	return c
}

func TestConfig_KnowsEverySink(t *testing.T) {
	if got, want := sinks.Names(), []string{"jetstream", "kafka", "embedded", "nats", "file", "stdout"}; !slices.Equal(got,
		want) {
		t.Errorf("names are %v, want %v", got, want)
	}
	if got := sinks.Defaults().Chosen(); !slices.Equal(got, sinks.Names()) {
		t.Errorf("defaults have %v", got)
	}
	if got := (sinks.Config{}).Chosen(); got != nil {
		t.Errorf("an empty configuration has %v", got)
	}
}

// A sink's defaults are refused only for what the operator alone can know.
func TestDefaults_AreRight(t *testing.T) {
	missing := map[string]string{"kafka": "brokers", "nats": "state"}
	for _, name := range sinks.Names() {
		var refused []string
		for _, finding := range only(sinks.Defaults(), name).Validate() {
			if finding.Level == connector.FindingRefused {
				refused = append(refused, finding.Thing)
			}
		}
		want := missing[name]
		if want == "" && len(refused) > 0 || want != "" && (len(refused) != 1 || !strings.HasSuffix(refused[0], want)) {
			t.Errorf("%s: refused for %q, want %q", name, refused, want)
		}
	}
}

func TestOpen_Refuses(t *testing.T) {
	logger, encoding := slog.New(slog.DiscardHandler), connector.Encoding{
		Mode:       connector.ModeStructured,
		TypePrefix: "co.2chat.whatsapp",
	}
	for name, c := range map[string]sinks.Config{
		"none": {},
		"all":  sinks.Defaults(),
		// The interface has to be nil too, or a caller would close a sink that does not exist.
		"no brokers": only(sinks.Defaults(), "kafka"),
		"no state":   only(sinks.Defaults(), "nats"),
	} {
		if sink, err := sinks.Open(c, encoding, logger); err == nil || sink != nil ||
			!strings.HasPrefix(err.Error(), "open sink: ") {
			t.Errorf("%s: Open = %v, %v", name, sink, err)
		}
	}
}

// Open handles every sink, and a sink closes without having been used.
func TestOpen_EverySink(t *testing.T) {
	t.Chdir(t.TempDir())
	logger, encoding := slog.New(slog.DiscardHandler), connector.Encoding{
		Mode:       connector.ModeStructured,
		TypePrefix: "co.2chat.whatsapp",
	}
	all := sinks.Defaults()
	all.Kafka.Brokers = []string{"127.0.0.1:1"}
	all.Embedded.Listen = "127.0.0.1:0"
	all.NATS.State = "nats.state"
	for _, name := range sinks.Names() {
		sink, err := sinks.Open(only(all, name), encoding, logger)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if sink.Promise().Text == "" {
			t.Errorf("%s: it promises nothing", name)
		}
		if err := sink.Close(); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
	}
}
