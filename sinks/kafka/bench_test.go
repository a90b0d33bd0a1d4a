package kafka

import (
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// backlog makes events with about 700 bytes of data that hardly compress, of 200 chats.
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

// benchBroker is the real broker if there is one, else the fake, which shows little about speed, and whose allocations
// are counted with ours.
func benchBroker(b *testing.B) *broker {
	if real := realBroker.real(b); real != nil {
		return real
	}
	return fake(b, 1)
}

// perMessage reports the cost of do for each of n messages.
func perMessage(b *testing.B, n int, do func()) {
	b.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began, total := time.Now(), 0
	for b.Loop() {
		do()
		total += n
	}
	took := time.Since(began)
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(total)/took.Seconds(), "messages/s")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(total), "B/message")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(total), "allocs/message")
}

// BenchmarkCommit writes a backlog in the largest commits. BenchmarkProduce is its baseline: the same bytes by an
// idempotent producer of franz-go, without transactions, checkpoints or an order across partitions.
func BenchmarkCommit(b *testing.B) {
	broker := benchBroker(b)
	for _, compression := range []string{"gzip", "zstd", "lz4", "none"} {
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
			perMessage(b, len(events), func() {
				for i := range events {
					events[i].Sequence = next.Sequence + uint64(i) + 1
				}
				next = sinktest.Next(next, events, nil, next.Sequence+uint64(len(events)))
				if err := log.Commit(b.Context(), events, nil, next); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkSmallCommits commits one event at a time in each of sixty streams, all at once: what a sink takes of a fleet.
func BenchmarkSmallCommits(b *testing.B) {
	broker, config := benchBroker(b), Config{Topic: newTopic()}
	createTopics(b, broker, config)
	s := openSink(b, broker, config, connector.Encoding{Mode: connector.ModeStructured})
	defer s.Close()
	var logs []connector.Log
	var at []connector.Checkpoint
	var streams []connector.Stream
	for i := range 60 {
		claim := sinktest.Claim(fmt.Sprintf("stream-%d", i), "one")
		log := s.Log(claim)
		defer log.Close()
		state, err := log.Acquire(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		logs, at, streams = append(logs, log), append(at, state.Checkpoint), append(streams, claim.Stream)
	}
	for b.Loop() {
		var all sync.WaitGroup
		for i, log := range logs {
			all.Go(func() {
				events := backlog(streams[i], at[i].Sequence+1, 1)
				at[i] = sinktest.Next(at[i], events, nil, at[i].Sequence+1)
				if err := log.Commit(b.Context(), events, nil, at[i]); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
	}
	b.ReportMetric(float64(b.N*len(logs))/b.Elapsed().Seconds(), "commits/s")
}

func BenchmarkProduce(b *testing.B) {
	broker := benchBroker(b)
	for _, c := range []struct {
		name  string
		codec kgo.CompressionCodec
	}{
		{"gzip", kgo.GzipCompression().WithLevel(1)},
		{"zstd", kgo.ZstdCompression().WithLevel(1)},
		{"lz4", kgo.Lz4Compression()},
		{"none", kgo.NoCompression()},
	} {
		b.Run(c.name, func(b *testing.B) {
			config := Config{Topic: newTopic()}
			createTopics(b, broker, config)
			client, err := kgo.NewClient(kgo.SeedBrokers(broker.address), kgo.ProducerBatchCompression(c.codec),
				kgo.ProducerLinger(0))
			if err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			events := backlog(sinktest.Stream("595981048477"), 1, (&log{}).Limits().Messages)
			records := make([]*kgo.Record, len(events))
			for i := range events {
				r := new(draft).of(&events[i], connector.Encoding{Mode: connector.ModeStructured})
				records[i] = &kgo.Record{Topic: config.Topic, Key: r.key, Value: r.value}
				for _, h := range r.headers {
					records[i].Headers = append(records[i].Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
				}
			}
			produce := func() {
				if err := client.ProduceSync(b.Context(), records...).FirstErr(); err != nil {
					b.Fatal(err)
				}
			}
			produce() // the client learns where the partitions are
			perMessage(b, len(events), produce)
		})
	}
}

// BenchmarkEncode makes the batches of a backlog. Its baseline is the mere compression of the same bytes. No broker is
// involved.
func BenchmarkEncode(b *testing.B) {
	events := backlog(sinktest.Stream("595981048477"), 1, 50_000)
	encoding := connector.Encoding{Mode: connector.ModeStructured}
	var plain []byte
	all := partitionBatch{}
	for i := range events {
		all.events = append(all.events, &events[i])
		plain = appendRecord(plain, new(draft).of(&events[i], encoding), i)
	}
	for _, name := range []string{"gzip", "zstd", "lz4", "none"} {
		compression, _ := compressionOf(name)
		b.Run(name, func(b *testing.B) {
			e := encoder{compressor: compressor{compression: compression}}
			b.SetBytes(int64(len(plain)))
			size := 0
			perMessage(b, len(events), func() {
				size = 0
				for rest := all; rest.left() > 0; {
					batch, n, err := e.encode(rest.next(&e.draft, encoding), maxChunk, time.Now())
					if err != nil {
						b.Fatal(err)
					}
					size += len(batch)
					rest.stored(n)
				}
			})
			b.ReportMetric(float64(size)/1e6, "MB")
		})
		if name == "none" {
			continue // its baseline would do nothing
		}
		b.Run(name+" bare", func(b *testing.B) {
			c := compressor{compression: compression}
			b.SetBytes(int64(len(plain)))
			perMessage(b, len(events), func() {
				for part := range slices.Chunk(plain, maxChunk) {
					w, err := c.open(io.Discard)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := w.Write(part); err != nil {
						b.Fatal(err)
					}
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
