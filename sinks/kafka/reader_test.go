package kafka

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// lastStable returns the last stable offset of each partition of a topic.
func lastStable(t testing.TB, client *kgo.Client, topic string) map[int32]int64 {
	t.Helper()
	return endsOf(t, client, topic, 1)
}

// endsOf returns where each partition of a topic ends for readers of committed records (isolation level 1), or of all
// (0).
func endsOf(t testing.TB, client *kgo.Client, topic string, isolation int8) map[int32]int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		meta := kmsg.NewPtrMetadataRequest()
		name := kmsg.NewMetadataRequestTopic()
		name.Topic = kmsg.StringPtr(topic)
		meta.Topics = append(meta.Topics, name)
		found, err := meta.RequestWith(ctx, client)
		if err == nil {
			err = kerr.ErrorForCode(found.Topics[0].ErrorCode)
		}
		ends := make(map[int32]int64)
		if err == nil {
			request := kmsg.NewPtrListOffsetsRequest()
			request.ReplicaID, request.IsolationLevel = -1, isolation
			asked := kmsg.NewListOffsetsRequestTopic()
			asked.Topic = topic
			for _, p := range found.Topics[0].Partitions {
				part := kmsg.NewListOffsetsRequestTopicPartition()
				part.Partition, part.Timestamp = p.Partition, -1
				asked.Partitions = append(asked.Partitions, part)
			}
			request.Topics = append(request.Topics, asked)
			for _, shard := range client.RequestSharded(ctx, request) {
				if err = shard.Err; err != nil {
					break
				}
				for _, answer := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
					for _, p := range answer.Partitions {
						if err = kerr.ErrorForCode(p.ErrorCode); err == nil {
							ends[p.Partition] = p.Offset
						}
					}
				}
			}
		}
		if err == nil && len(ends) == len(found.Topics[0].Partitions) {
			return ends
		}
		if connector.Sleep(ctx, 100*time.Millisecond) != nil {
			t.Fatalf("the end of %s: %v", topic, err)
		}
	}
}

// settled is the last stable offset of each partition, once it has reached what is written: the markers of a commit
// arrive in the partitions after it was acknowledged, on a busy machine some time later. No transaction may stay open.
func settled(t testing.TB, client *kgo.Client, topic string) map[int32]int64 {
	t.Helper()
	written, ctx := endsOf(t, client, topic, 0), within(t)
	for {
		ends, behind := lastStable(t, client, topic), 0
		for p, end := range written {
			if ends[p] < end {
				behind++
			}
		}
		if behind == 0 {
			return ends
		}
		if connector.Sleep(ctx, 20*time.Millisecond) != nil {
			t.Fatalf("a transaction in %s stays open: %v is stable of %v", topic, ends, written)
		}
	}
}

// resting is the last stable offset of each partition, once it no longer moves: some transactions may stay open.
func resting(t testing.TB, client *kgo.Client, topic string) map[int32]int64 {
	t.Helper()
	for ends := lastStable(t, client, topic); ; {
		if connector.Sleep(t.Context(), 100*time.Millisecond) != nil {
			return ends
		}
		again := lastStable(t, client, topic)
		if maps.Equal(ends, again) {
			return ends
		}
		ends = again
	}
}

// readCommitted reads everything that franz-go, reading committed records, finds in a topic, by partition in order.
func readCommitted(t testing.TB, b *broker, topic string) map[int32][]*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	return readTo(t, b, topic, settled(t, client, topic))
}

// readTo reads each partition up to an offset.
func readTo(t testing.TB, b *broker, topic string, upTo map[int32]int64) map[int32][]*kgo.Record {
	t.Helper()
	ends := maps.Clone(upTo)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxWait(200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	records := make(map[int32][]*kgo.Record)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		for p, end := range ends {
			if end == 0 {
				delete(ends, p)
			}
		}
		if len(ends) == 0 {
			return records
		}
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("reading %s back: partitions that do not come to their end: %v", topic, ends)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset >= ends[r.Partition]-1 {
				delete(ends, r.Partition)
			}
			if !r.Attrs.IsControl() && r.Offset < upTo[r.Partition] {
				records[r.Partition] = append(records[r.Partition], r)
			}
		})
	}
}

func recordHeader(r *kgo.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// storedOf decodes an event in either mode, by the rules of the CloudEvents binding alone.
func storedOf(t *testing.T, r *kgo.Record) sinktest.Stored {
	t.Helper()
	if kind := recordHeader(r, "content-type"); strings.HasPrefix(kind, "application/cloudevents+json") {
		stored := sinktest.Structured(t, r.Value)
		for _, h := range r.Headers {
			if name, ok := strings.CutPrefix(h.Key, "ce_"); ok && stored.Attributes[name] != string(h.Value) {
				t.Fatalf("header %s: %q, in the event %q", h.Key, h.Value, stored.Attributes[name])
			}
		}
		return stored
	}
	attributes := make(map[string]string)
	for _, h := range r.Headers {
		if name, ok := strings.CutPrefix(h.Key, "ce_"); ok {
			attributes[name] = string(h.Value)
		} else if h.Key == "content-type" {
			attributes["datacontenttype"] = string(h.Value)
		}
	}
	return sinktest.Binary(t, attributes, r.Value)
}

// storedEvents lists a stream's events by sequence, and checks that each chat stays in one partition, in order.
func storedEvents(t *testing.T, b *broker, topic, stream string) []sinktest.Stored {
	t.Helper()
	var list []sinktest.Stored
	homes := make(map[string]int32)
	for p, records := range readCommitted(t, b, topic) {
		newest := make(map[string]uint64)
		for _, r := range records {
			s := storedOf(t, r)
			if s.Source != (connector.Stream{Name: stream}).Source() {
				continue
			}
			chat := s.Attributes["partitionkey"]
			if string(r.Key) != chat {
				t.Fatalf("the key of sequence %d is not its chat", s.Sequence)
			}
			if home, ok := homes[chat]; ok && home != p {
				t.Fatalf("a chat is in partitions %d and %d", home, p)
			}
			homes[chat] = p
			if s.Sequence <= newest[chat] {
				t.Fatalf("sequence %d of a chat after %d", s.Sequence, newest[chat])
			}
			newest[chat] = s.Sequence
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b sinktest.Stored) int { return int(int64(a.Sequence) - int64(b.Sequence)) })
	return list
}
