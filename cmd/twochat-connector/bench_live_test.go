//go:build linux

package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/reader"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks"
)

const (
	liveInterval = 250 * time.Millisecond
	liveMessages = 40 // in each run
)

// BenchmarkLive lists one message after another, each at another moment of the interval, and reports how long it took
// until a consumer of JetStream had it. It also reports how much of that exceeds the interval, the longest that a
// message may wait for its poll. The yardstick is one request to 2Chat's fake.
func BenchmarkLive(b *testing.B) {
	fake, api := liveAPI(b)
	url, _ := child(b, "nats", natsRole{Dir: b.TempDir()})
	sink := *sinks.Defaults().JetStream
	sink.URL, sink.Create = url, true
	c := benchConfig(api, 1, liveInterval)
	c.Sink = sinks.Config{JetStream: &sink}
	w := begin(b, c)
	w.rest(b, 200, 5*time.Millisecond)
	defer w.end(b)

	ctx, stop := context.WithCancel(b.Context())
	arrived := make(chan string, 1000)
	followed := make(chan error, 1)
	go func() {
		followed <- w.Sink.Follow(ctx, connector.FollowOptions{}, func(event []byte) error {
			var e struct{ ID string }
			err := json.Unmarshal(event, &e)
			arrived <- e.ID
			return err
		})
	}()
	defer func() {
		stop()
		if err := <-followed; err != nil {
			b.Error(err)
		}
	}()
	next := func(uuid string) {
		timeout := time.NewTimer(20 * time.Second)
		defer timeout.Stop()
		for {
			select {
			case id := <-arrived:
				if id == uuid {
					return
				}
			case <-timeout.C:
				b.Fatal("a message does not arrive")
			}
		}
	}
	next(fake.Insert(benchNumber(0), 1)[0]) // the consumer is running
	var sum, longest time.Duration
	n := 0
	for b.Loop() {
		for i := range liveMessages {
			phase := time.NewTimer(liveInterval * time.Duration(i) / liveMessages)
			<-phase.C
			began := time.Now()
			next(fake.Insert(benchNumber(0), 1)[0])
			took := time.Since(began)
			sum, longest, n = sum+took, max(longest, took), n+1
		}
	}
	trip := download(b, api, 20, 1) / 20
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(sum.Microseconds())/1000/float64(n), "ms-mean")
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms-longest")
	b.ReportMetric(float64((longest-liveInterval).Microseconds())/1000, "ms-longest-above-interval")
	b.ReportMetric(float64(trip.Microseconds())/1000, "ms/request")
	b.Logf("load average: %s", load())
}

func liveAPI(b *testing.B) (*twochattest.Fake, string) {
	b.Helper()
	fake := twochattest.New(twochattest.Options{
		Numbers: []string{benchNumber(0)}, History: 200, Latency: backlogLatency,
		Credits: 1_000_000_000,
	})
	server, err := fake.Start()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.Close(); err != nil {
			b.Error(err)
		}
	})
	return fake, server.URL
}

// A poll costs one call if it finds nothing, and also if it finds a few messages. The calls are counted, not timed.
func TestPoll_CostsOneCall(t *testing.T) {
	fake := twochattest.New(twochattest.Options{Numbers: []string{benchNumber(0)}, History: 1000})
	c := benchConfig("https://2chat.invalid", 1, time.Second)
	c.Start = config.Start{Mode: config.StartNow}
	sink := *sinks.Defaults().File
	sink.Path = filepath.Join(t.TempDir(), "events.jsonl")
	s, err := sinks.Open(sinks.Config{File: &sink}, c.Encoding(), cli.QuietLogger())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	client, err := twochat.New(twochat.Config{
		BaseURL: c.TwoChat.BaseURL, Key: func() (string, error) {
			return testKey, nil
		}, Transport: fake.Transport(), Privacy: twochat.Privacy{Identifiers: "hashed"},
	})
	if err != nil {
		t.Fatal(err)
	}
	claim := pipeline.ClaimsOf(c, twochat.Privacy{}, "one", pipeline.Overrides{})[0]
	log := s.Log(claim)
	defer log.Close()
	session := reader.NewSession(client, log, reader.Reading{
		Stream: claim.Stream, Rules: pipeline.RulesOf(c), Events: c.EventSettings(), Workers: reader.Workers(4),
	}, c.Start.At(time.Now()))
	defer session.Close()
	poll := func() reader.Outcome {
		t.Helper()
		out, err := session.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for range 3 { // the first start, and what it leaves to be certified
		poll()
	}
	for i := range 100 {
		wanted := 0
		if i%10 == 5 {
			wanted = 3
			fake.Insert(benchNumber(0), wanted)
		}
		before := fake.PageRequests(benchNumber(0))
		out := poll()
		if calls := fake.PageRequests(benchNumber(0)) - before; calls != 1 || out.Delivered != wanted || !out.Rested {
			t.Fatalf("poll %d with %d new messages: %d calls, %+v", i, wanted, calls, out)
		}
		if unchanged := i > 0 && i%10 != 5; unchanged && !out.Unchanged {
			t.Fatalf("poll %d worked through a page that was the same as before", i)
		}
	}
}
