package kafka

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// backlog makes events of about 700 bytes of data that hardly compress, of 200 chats.
func backlog(stream connector.Stream, from uint64, n int) []connector.Event {
	random := rand.New(rand.NewPCG(1, from))
	raw := make([]byte, 480)
	events := sinktest.Events(stream, from, n)
	for i := range events {
		for j := range raw {
			raw[j] = byte(random.Uint32())
		}
		events[i].Chat = connector.HashToken([16]byte{byte(random.IntN(200))})
		events[i].Data = fmt.Appendf(nil, `{"uuid":%q,"text":%q}`, events[i].ID, base64.StdEncoding.EncodeToString(raw))
	}
	return events
}

// benchBroker is the real broker where there is one, else the fake, which proves little about speed.
func benchBroker(b *testing.B) *broker {
	if real := realBroker.real(b); real != nil {
		return real
	}
	return fake(b, 1)
}

// BenchmarkCommit writes a backlog in the largest commits; BenchmarkProduce is its yardstick: the same bytes by an idempotent
// producer of franz-go, without transactions, checkpoints or order among partitions.
func BenchmarkCommit(b *testing.B) {
	broker := benchBroker(b)
	for _, compression := range []string{"zstd", "lz4", "none"} {
		b.Run(compression, func(b *testing.B) {
			config := Config{Topic: newTopic(), Compression: compression}
			createTopics(b, broker, config)
			s := openSink(b, broker, config, connector.Encoding{Mode: connector.ModeStructured})
			defer s.Close()
			claim := sinktest.Claim("595981048477", "one")
			log := s.Log(claim)
			defer log.Close()
			state, err := log.Acquire(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			events := backlog(claim.Stream, 1, log.Limits().Messages)
			next := state.Checkpoint
			b.ResetTimer()
			began := time.Now()
			total := 0
			for b.Loop() {
				for i := range events {
					events[i].Sequence = next.Sequence + uint64(i) + 1
				}
				next = sinktest.Next(next, events, nil, next.Sequence+uint64(len(events)))
				if err := log.Commit(b.Context(), events, nil, next); err != nil {
					b.Fatal(err)
				}
				total += len(events)
			}
			b.ReportMetric(float64(total)/time.Since(began).Seconds(), "messages/s")
		})
	}
}

func BenchmarkProduce(b *testing.B) {
	broker := benchBroker(b)
	for name, codec := range map[string]kgo.CompressionCodec{"zstd": kgo.ZstdCompression(), "lz4": kgo.Lz4Compression(), "none": kgo.NoCompression()} {
		b.Run(name, func(b *testing.B) {
			config := Config{Topic: newTopic()}
			createTopics(b, broker, config)
			client, err := kgo.NewClient(kgo.SeedBrokers(broker.address), kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(0))
			if err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			events := backlog(sinktest.Stream("595981048477"), 1, (&log{}).Limits().Messages)
			produce := func() {
				records := make([]*kgo.Record, len(events))
				for i := range events {
					r := eventRecord(&events[i], connector.Encoding{Mode: connector.ModeStructured})
					records[i] = &kgo.Record{Topic: config.Topic, Key: r.key, Value: r.value}
					for _, h := range r.headers {
						records[i].Headers = append(records[i].Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
					}
				}
				if err := client.ProduceSync(b.Context(), records...).FirstErr(); err != nil {
					b.Fatal(err)
				}
			}
			produce() // the client learns where the partitions are
			b.ResetTimer()
			began := time.Now()
			total := 0
			for b.Loop() {
				produce()
				total += len(events)
			}
			b.ReportMetric(float64(total)/time.Since(began).Seconds(), "messages/s")
		})
	}
}
