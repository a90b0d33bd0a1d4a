//go:build linux

package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/sinks"
)

// The backlog that is measured: the number of messages, the messages a page, and the time of a request.
const (
	backlogMessages = 50_000
	backlogPages    = backlogMessages / 100
	backlogLatency  = 20 * time.Millisecond
)

type runs struct {
	backlog, download, publish time.Duration
	cpu                        time.Duration
	heap, resident             uint64
	requests                   int64
	n                          int
}

func (r *runs) add(s spent, requests int64, download, publish time.Duration) {
	r.n++
	r.backlog, r.cpu, r.requests = r.backlog+s.wall, r.cpu+s.cpu, r.requests+requests
	r.heap, r.resident = max(r.heap, s.heap), max(r.resident, s.resident)
	r.download, r.publish = r.download+download, r.publish+publish
}

func (r *runs) report(b *testing.B) {
	b.Helper()
	n := float64(r.n)
	b.ReportMetric(0, "ns/op") // it would include the clean-up of the heap
	b.ReportMetric(r.backlog.Seconds()/n, "s/backlog")
	b.ReportMetric(r.download.Seconds()/n, "s/download")
	b.ReportMetric(r.publish.Seconds()/n, "s/publish")
	b.ReportMetric(r.backlog.Seconds()/max(r.download, r.publish).Seconds(), "x-slower")
	b.ReportMetric(float64(r.requests)/n/backlogPages, "requests/page")
	b.ReportMetric(float64(r.cpu.Microseconds())/n/backlogMessages, "cpu-us/message")
	b.ReportMetric(float64(r.heap)/1e6, "MB-peak-heap")
	b.ReportMetric(float64(r.resident)/1e6, "MB-peak-resident")
	b.Logf("load average: %s", load())
}

// runBacklog delivers the backlog into an empty sink, and returns what that took until the stream was at rest.
func runBacklog(b *testing.B, baseURL string, sink sinks.Config, inFlight int) (spent, int64) {
	b.Helper()
	c := benchConfig(baseURL, 1, 10*time.Millisecond)
	c.Poll.Concurrency = inFlight
	c.Sink = sink
	var w *atWork
	s := measure(b, func() {
		w = begin(b, c)
		w.rest(b, backlogMessages, 2*time.Millisecond)
	})
	requests := w.requests()
	w.end(b)
	return s, requests
}

// BenchmarkBacklogJetStream delivers 50,000 messages of history into JetStream. It measures from the start of the
// pipeline until the stream is at rest, when every message is in the sink and certified. In the same run it measures
// two yardsticks: the bare download of the same pages with as many requests in flight, and the bare asynchronous
// publish of the same messages to the same server.
func BenchmarkBacklogJetStream(b *testing.B) {
	for _, inFlight := range []int{4, 8, 16} {
		b.Run(fmt.Sprintf("in-flight=%d", inFlight), func(b *testing.B) { backlogIntoJetStream(b, inFlight) })
	}
}

func backlogIntoJetStream(b *testing.B, inFlight int) {
	b.Helper()
	api, _ := child(b, "2chat", apiRole{
		Numbers: []string{benchNumber(0)}, History: backlogMessages,
		Latency: backlogLatency,
	})
	var r runs
	for b.Loop() {
		url, end := child(b, "nats", natsRole{Dir: b.TempDir()})
		sink := *sinks.Defaults().JetStream
		sink.URL, sink.Create = url, true
		downloaded := download(b, api, backlogPages, inFlight)
		s, requests := runBacklog(b, api, sinks.Config{JetStream: &sink}, inFlight)
		published := publishAgain(b, url, sink.Stream, sink.Subject)
		end()
		r.add(s, requests, downloaded, published)
	}
	r.report(b)
}

// publishAgain reads the events back and publishes the same bytes into another stream.
func publishAgain(b *testing.B, url, stream, subject string) time.Duration {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	conn, err := natsgo.Connect(url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		b.Fatal(err)
	}
	messages := storedEvents(ctx, b, js, stream, subject)
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name:     "YARDSTICK",
		Subjects: []string{"yardstick.>"},
	}); err != nil {
		b.Fatal(err)
	}
	for _, m := range messages {
		m.Subject = "yardstick" + m.Subject[len(subject):]
	}
	began := time.Now()
	for _, m := range messages {
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		b.Fatal(ctx.Err())
	}
	took := time.Since(began)
	s, err := js.Stream(ctx, "YARDSTICK")
	if err != nil {
		b.Fatal(err)
	}
	if got := s.CachedInfo().State.Msgs; got != backlogMessages {
		b.Fatalf("%d messages published, expected %d", got, backlogMessages)
	}
	return took
}

// storedEvents reads the events of a stream, and checks that there are as many as there were messages.
func storedEvents(ctx context.Context, b *testing.B, js jetstream.JetStream, stream, subject string) []*natsgo.Msg {
	b.Helper()
	consumer, err := js.OrderedConsumer(ctx, stream,
		jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject + ".>"}})
	if err != nil {
		b.Fatal(err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		b.Fatal(err)
	}
	if info.NumPending != backlogMessages {
		b.Fatalf("%d events in the sink, expected %d", info.NumPending, backlogMessages)
	}
	iterator, err := consumer.Messages()
	if err != nil {
		b.Fatal(err)
	}
	defer iterator.Stop()
	messages := make([]*natsgo.Msg, backlogMessages)
	for i := range messages {
		m, err := iterator.Next(jetstream.NextContext(ctx))
		if err != nil {
			b.Fatal(err)
		}
		header := natsgo.Header{}
		for _, name := range []string{"Content-Type", "Nats-Msg-Id", "Twochat-Sequence"} {
			header[name] = m.Headers()[name]
		}
		messages[i] = &natsgo.Msg{Subject: m.Subject(), Header: header, Data: m.Data()}
	}
	return messages
}
