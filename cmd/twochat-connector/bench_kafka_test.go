//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// BenchmarkBacklogKafka is BenchmarkBacklogJetStream into a real Apache Kafka of one node, exactly once, with eight
// requests in flight. Its yardstick
// is the bare idempotent produce of the same records by franz-go. TWOCHAT_CONNECTOR_TEST_KAFKA names the Kafka, as for
// the tests of sinks/kafka.
func BenchmarkBacklogKafka(b *testing.B) {
	jars := os.Getenv("TWOCHAT_CONNECTOR_TEST_KAFKA")
	if jars == "" {
		b.Skip("BenchmarkBacklogKafka needs a real Kafka: set TWOCHAT_CONNECTOR_TEST_KAFKA to a version, such as 4.1.0, or a folder with its jars")
	}
	const inFlight = 8
	address := benchKafka(b, jars)
	api, _ := child(b, "2chat", apiRole{
		Numbers: []string{benchNumber(0)}, History: backlogMessages,
		Latency: backlogLatency,
	})
	// A first delivery is not measured, so that the broker's virtual machine has compiled its hot code.
	deliver := func(topic string) (spent, int64, time.Duration) {
		sink := *sinks.Defaults().Kafka
		sink.Brokers, sink.Topic, sink.Create = []string{address}, topic, true
		s, requests := runBacklog(b, api, sinks.Config{Kafka: &sink}, inFlight)
		return s, requests, produceAgain(b, address, topic, "yardstick-"+topic)
	}
	deliver("warm-up")
	var r runs
	for b.Loop() {
		downloaded := download(b, api, backlogPages, inFlight)
		s, requests, produced := deliver(fmt.Sprintf("messages-%d", r.n))
		r.add(s, requests, downloaded, produced)
	}
	r.report(b)
}

// benchKafka starts a broker that lives as long as the benchmark.
func benchKafka(b *testing.B, jars string) (address string) {
	b.Helper()
	script := func(args ...string) string {
		command := exec.Command("../../.ci/kafka/kafka.sh", args...)
		var out strings.Builder
		command.Stdout, command.Stderr = &out, os.Stderr
		if err := command.Run(); err != nil {
			b.Fatalf("kafka.sh %s: %v", args[0], err)
		}
		return strings.TrimSpace(out.String())
	}
	folder, port := b.TempDir(), 0
	for port == 0 { // the broker's controller listens on the next port
		one, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		try := one.Addr().(*net.TCPAddr).Port
		if two, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", try+1)); err == nil {
			_ = two.Close()
			port = try
		}
		_ = one.Close()
	}
	b.Logf("Apache Kafka %s", script("version", jars))
	script("start", jars, folder, fmt.Sprint(port))
	b.Cleanup(func() { script("kill", folder) })
	address = fmt.Sprintf("127.0.0.1:%d", port)
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for { // it answers before it can create topics
		err := createTopics(ctx, b, address, "first")
		if err == nil {
			return address
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			b.Fatalf("Kafka makes no topics: %v", err)
		}
	}
}

// createTopics creates the topics as the connector does.
func createTopics(ctx context.Context, b *testing.B, address, topic string) error {
	b.Helper()
	c := *sinks.Defaults().Kafka
	c.Brokers, c.Topic, c.Create = []string{address}, topic, true
	sink, err := sinks.Open(sinks.Config{Kafka: &c}, benchConfig("", 0, 0).Encoding(), cli.QuietLogger())
	if err != nil {
		b.Fatal(err)
	}
	return errors.Join(sink.Create(ctx), sink.Close())
}

func kafkaClient(b *testing.B, options ...kgo.Opt) *kgo.Client {
	b.Helper()
	client, err := kgo.NewClient(options...)
	if err != nil {
		b.Fatal(err)
	}
	return client
}

// produceAgain reads the committed events back and produces the same records into another topic.
func produceAgain(b *testing.B, address, topic, beside string) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	consumer := kafkaClient(b, kgo.SeedBrokers(address), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	defer consumer.Close()
	records := make([]*kgo.Record, 0, backlogMessages)
	for len(records) < backlogMessages {
		fetches := consumer.PollFetches(ctx)
		if ctx.Err() != nil {
			b.Fatalf("%d events in the sink, expected %d", len(records), backlogMessages)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			records = append(records, &kgo.Record{Topic: beside, Key: r.Key, Value: r.Value, Headers: r.Headers})
		})
	}
	if len(records) != backlogMessages {
		b.Fatalf("%d events in the sink, expected %d", len(records), backlogMessages)
	}
	producer := kafkaClient(b, kgo.SeedBrokers(address), kgo.ProducerBatchCompression(kgo.ZstdCompression().WithLevel(1)))
	defer producer.Close()
	if err := createTopics(ctx, b, address, beside); err != nil {
		b.Fatal(err)
	}
	// The client learns where the partitions are before the measurement, as the connector's client does.
	if err := producer.ProduceSync(ctx, &kgo.Record{
		Topic: beside, Key: records[0].Key,
		Value: []byte("first"),
	}).FirstErr(); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := producer.ProduceSync(ctx, records...).FirstErr(); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}
