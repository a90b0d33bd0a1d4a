package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// formerType is the content type of every record in earlier versions.
const formerType = "application/cloudevents+json; charset=UTF-8"

// former is a record in structured mode as earlier versions wrote it.
func former(e *connector.Event) []kgo.RecordHeader {
	headers := []kgo.RecordHeader{
		{Key: "ce_id", Value: []byte(e.ID)},
		{Key: "ce_source", Value: []byte(e.Source)},
		{Key: "ce_sequence", Value: []byte(connector.FormatSequence(e.Sequence))},
	}
	if e.Late {
		headers = append(headers, kgo.RecordHeader{Key: "ce_late", Value: []byte("true")})
	}
	return append(headers, kgo.RecordHeader{Key: "content-type", Value: []byte(formerType)})
}

// TestFormerRecords takes over a log that an earlier version wrote, reads all of it back, continues it, and follows
// both parts.
func TestFormerRecords(t *testing.T) {
	const before, after = 30, 12
	b := fake(t, 1)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	claim := sinktest.Claim("595981048477", "one")
	events := sinktest.Events(claim.Stream, 1, before)
	held := sinktest.Next(claim.TakeOver(connector.Checkpoint{}, time.Now()), events, nil, before)
	held.Tail, held.TailLate = nil, nil // so that only the records show what was delivered
	p := positions{Partitions: DefaultPartitions, Next: make([]int64, DefaultPartitions)}
	var err error
	if held.Sink, err = p.encode(); err != nil {
		t.Fatal(err)
	}
	checkpoint, err := held.AppendJSON(nil, sinktest.TypePrefix)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	home := newPartitioner(DefaultPartitions)
	records := make([]*kgo.Record, 0, before+1)
	for i := range events {
		e := &events[i]
		records = append(records, &kgo.Record{
			Topic: config.Topic, Partition: home.of([]byte(e.Chat)), Key: []byte(e.Chat), Value: e.AppendJSON(nil),
			Headers: former(e),
		})
	}
	records = append(records, &kgo.Record{
		Topic: config.Topic + ".checkpoints", Key: []byte(claim.Stream.Name), Value: checkpoint,
		Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte(formerType)}},
	})
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}

	w := newWriter(t, b, config, "two")
	state, err := w.log.Acquire(within(t))
	if err != nil {
		t.Fatal(err)
	}
	sinktest.WantSeen(t, state, events)
	w.next = state.Checkpoint
	if err := w.commit(after); err != nil {
		t.Fatal(err)
	}
	if state, err = w.log.Acquire(within(t)); err != nil {
		t.Fatal(err)
	}
	events = sinktest.Events(claim.Stream, 1, before+after)
	sinktest.WantSeen(t, state, events)
	sinktest.WantFollowed(t, w.sink, claim.Stream.Name, events)
	for _, list := range readCommitted(t, b, config.Topic) {
		for _, r := range list {
			written := recordHeader(r, "twochat_id") != ""
			for _, h := range r.Headers {
				if written && strings.HasPrefix(h.Key, "ce_") {
					t.Fatalf("a record in structured mode has the header %s", h.Key)
				}
			}
		}
	}
}
