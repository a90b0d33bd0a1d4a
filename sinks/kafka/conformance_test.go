package kafka

import (
	"log/slog"
	"maps"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

var quiet = slog.New(slog.DiscardHandler)

// openSink opens a sink on a broker. The test closes it.
func openSink(t testing.TB, b *broker, config Config, encoding connector.Encoding) *Sink {
	t.Helper()
	config.Brokers = []string{b.address}
	if encoding.TypePrefix == "" {
		encoding.TypePrefix = sinktest.TypePrefix
	}
	s, err := Open(config, encoding, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// createTopics creates the topics of a sink.
func createTopics(t testing.TB, b *broker, config Config) {
	t.Helper()
	s := openSink(t, b, config, connector.Encoding{})
	if err := s.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// tombstone deletes a key in a compacted topic.
func tombstone(t *testing.T, b *broker, topic, key string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Key: []byte(key)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// intrude produces a record without headers, like somebody who mistakes the topic for another.
func intrude(t *testing.T, b *broker, topic string, value []byte) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: value}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func conform(t *testing.T, newBroker func(t *testing.T) *broker, config Config, encoding connector.Encoding,
	oversized int,
) {
	sinktest.Run(t, sinktest.Suite{
		Promise: sinktest.AllOrNothing, Oversized: oversized, OversizedItem: 5 * oversized,
		New: func(t *testing.T) sinktest.Storage {
			b := newBroker(t)
			config := config
			config.Topic = newTopic()
			createTopics(t, b, config)
			storage := sinktest.Storage{
				Open: func(t *testing.T) sinktest.Sink { return openSink(t, b, config, encoding) },
				Read: func(t *testing.T, stream string) []sinktest.Stored { return storedEvents(t, b, config.Topic, stream) },
				Quarantined: func(t *testing.T, stream string) []sinktest.Quarantined {
					var list []sinktest.Quarantined
					records := readCommitted(t, b, config.Topic+".quarantine")
					for _, p := range slices.Sorted(maps.Keys(records)) {
						for _, r := range records[p] {
							if string(r.Key) == stream {
								list = append(list, sinktest.Quarantine(t, r.Value))
							}
						}
					}
					return list
				},
				Intrude: func(t *testing.T, _ string, record []byte) { intrude(t, b, config.Topic, record) },
				Forget:  func(t *testing.T, stream string) { tombstone(t, b, config.Topic+".checkpoints", stream) },
			}
			if b.script != nil {
				storage.Stop = func(t *testing.T) func(t *testing.T) {
					b.script(t, "kill")
					return func(t *testing.T) { b.script(t, "start") }
				}
			}
			return storage
		},
	})
}

func TestConformanceFake(t *testing.T) {
	newFake := func(t *testing.T) *broker { return fake(t, 3, kfake.DefaultNumPartitions(6)) }
	t.Run("structured", func(t *testing.T) {
		conform(t, newFake, Config{Compression: "none"}, connector.Encoding{Mode: connector.ModeStructured}, 2<<20)
	})
	t.Run("binary", func(t *testing.T) {
		conform(t, newFake, Config{}, connector.Encoding{Mode: connector.ModeBinary}, 0)
	})
	t.Run("structured with headers", func(t *testing.T) {
		conform(t, newFake, Config{Compression: "lz4"}, connector.Encoding{Mode: connector.ModeStructured, Headers: true}, 0)
	})
}

func TestConformanceReal(t *testing.T) {
	b := realBroker.real(t)
	if b == nil {
		return
	}
	one := func(*testing.T) *broker { return b }
	t.Run("structured", func(t *testing.T) {
		conform(t, one, Config{Compression: "none"}, connector.Encoding{Mode: connector.ModeStructured}, 2<<20)
	})
	t.Run("binary", func(t *testing.T) {
		conform(t, one, Config{}, connector.Encoding{Mode: connector.ModeBinary}, 0)
	})
}
