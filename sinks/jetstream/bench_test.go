package jetstream

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// benchEvents makes events with 700 bytes of data, of a hundred chats.
func benchEvents(stream connector.Stream, from uint64, n int) []connector.Event {
	events := make([]connector.Event, n)
	for i := range events {
		sequence := from + uint64(i)
		id := fmt.Sprintf("MSG00000000-0000-4000-8000-%012d", sequence)
		body := fmt.Sprintf(`{"uuid":%q,"text":"%s"}`, id, strings.Repeat("x", 700-70))
		m := connector.Message{
			UUID: id, Key: connector.MessageKey(id), SentBy: "user",
			Chat: connector.HashToken([16]byte{byte(sequence % 100)}), Data: []byte(body),
		}
		events[i] = connector.NewEvent(stream, m, connector.EventSettings{TypePrefix: sinktest.TypePrefix},
			time.Unix(1_700_000_000, 0), sequence, false)
	}
	return events
}

// BenchmarkCommit writes batches of 998 events of 700 bytes, and compares with a baseline: the same messages, published
// asynchronously one by one.
func BenchmarkCommit(b *testing.B) {
	for _, synced := range []bool{false, true} {
		for _, socket := range []bool{true, false} {
			b.Run(fmt.Sprintf("batch/sync=%v/socket=%v", synced, socket), func(b *testing.B) {
				s := startServer(b, func(o *server.Options) { o.SyncAlways = synced })
				c := config(s.url())
				if !socket {
					c.Connection = natssink.Connection{InProcess: s.server}
				}
				create(b, c)
				log := openLog(b, openSink(b, c, connector.ModeStructured), sinktest.Claim("bench", "one"))
				checkpoint := acquire(b, log).Checkpoint
				for b.Loop() {
					b.StopTimer()
					events := benchEvents(log.claim.Stream, checkpoint.Sequence+1, maxMessages)
					b.StartTimer()
					checkpoint = commit(b, log, checkpoint, events)
				}
				b.ReportMetric(float64(b.N*maxMessages)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
	b.Run("yardstick/async", func(b *testing.B) {
		s := startServer(b, nil)
		create(b, config(s.url()))
		conn, err := natsgo.Connect(s.url())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(conn.Close)
		js, err := jetstream.New(conn)
		if err != nil {
			b.Fatal(err)
		}
		stream, sequence := sinktest.Stream("bench"), uint64(1)
		for b.Loop() {
			b.StopTimer()
			events := benchEvents(stream, sequence, maxMessages)
			sequence += maxMessages
			b.StartTimer()
			for i := range events {
				if _, err := js.PublishMsgAsync(natssink.Message("whatsapp", &events[i],
					connector.Encoding{Mode: connector.ModeStructured})); err != nil {
					b.Fatal(err)
				}
			}
			<-js.PublishAsyncComplete()
		}
		b.ReportMetric(float64(b.N*maxMessages)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkSmallCommits commits one event at a time in each of sixty streams, all at once: what a sink takes of a fleet.
func BenchmarkSmallCommits(b *testing.B) {
	s := startServer(b, nil)
	c := config(s.url())
	create(b, c)
	sink := openSink(b, c, connector.ModeStructured)
	var logs []*Log
	var at []connector.Checkpoint
	for i := range 60 {
		logs = append(logs, openLog(b, sink, sinktest.Claim(fmt.Sprintf("stream-%d", i), "one")))
		at = append(at, acquire(b, logs[i]).Checkpoint)
	}
	for b.Loop() {
		var all sync.WaitGroup
		for i, log := range logs {
			all.Go(func() { at[i] = commit(b, log, at[i], benchEvents(log.claim.Stream, at[i].Sequence+1, 1)) })
		}
		all.Wait()
	}
	b.ReportMetric(float64(b.N*len(logs))/b.Elapsed().Seconds(), "commits/s")
}

// BenchmarkAcquire takes over 1,000 quiet streams, one after the other.
func BenchmarkAcquire(b *testing.B) {
	for _, events := range []int{20, 300} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			s := startServer(b, nil)
			c := config(s.url())
			create(b, c)
			first := openSink(b, c, connector.ModeStructured)
			started := time.Now()
			for i := range 1000 {
				log := openLog(b, first, sinktest.Claim(fmt.Sprintf("stream-%d", i), "one"))
				commit(b, log, acquire(b, log).Checkpoint, benchEvents(log.claim.Stream, 1, events))
			}
			b.Logf("1,000 first starts with one commit: %s", time.Since(started))
			for b.Loop() {
				sink := openSink(b, c, connector.ModeStructured)
				for i := range 1000 {
					log := openLog(b, sink, sinktest.Claim(fmt.Sprintf("stream-%d", i), "two"))
					if got := len(acquire(b, log).Seen); got != events {
						b.Fatalf("%d events, want %d", got, events)
					}
				}
			}
		})
	}
}
