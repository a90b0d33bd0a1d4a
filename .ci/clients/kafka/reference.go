package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// event is what a client has to print for a record: a line of JSON.
type event struct {
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	SHA256    string          `json:"sha256"` // of the record's value
	ID        string          `json:"id"`
	Source    string          `json:"source"`
	Type      string          `json:"type"`
	Subject   string          `json:"subject"`
	Sequence  string          `json:"sequence"`
	Time      *time.Time      `json:"time"` // null if the event has none
	Late      bool            `json:"late"`
	Repaired  bool            `json:"repaired"`
	Data      json.RawMessage `json:"data"` // the exact bytes in the value
}

// reference is what the topics hold, read from the wire by the rules of the binding alone.
type reference struct {
	records []*kgo.Record // the committed ones, with the markers of transactions
	events  map[place]event
	ends    map[string]map[int32]int64 // by topic and partition
	aborted map[place]bool             // what readers of uncommitted records get in addition
}

// read reads both topics to their ends.
func (w *world) read(ctx context.Context) (*reference, error) {
	r := &reference{events: map[place]event{}, ends: map[string]map[int32]int64{}, aborted: map[place]bool{}}
	for _, topic := range []string{modesTopic, codecsTopic} {
		ends, err := endsOf(ctx, w.client, topic)
		if err != nil {
			return nil, err
		}
		r.ends[topic] = ends
		committed, err := r.readTopic(ctx, w.broker, topic, kgo.ReadCommitted())
		if err != nil {
			return nil, err
		}
		for _, record := range committed {
			if record.Attrs.IsControl() {
				continue
			}
			e, err := eventOf(record)
			if err != nil {
				return nil, fmt.Errorf("%v: %w", placeOf(record), err)
			}
			r.events[placeOf(record)] = e
		}
		r.records = append(r.records, committed...)
		every, err := r.readTopic(ctx, w.broker, topic, kgo.ReadUncommitted())
		if err != nil {
			return nil, err
		}
		for _, record := range every {
			if _, is := r.events[placeOf(record)]; !is && !record.Attrs.IsControl() {
				r.aborted[placeOf(record)] = true
			}
		}
	}
	return r, nil
}

func placeOf(record *kgo.Record) place { return place{record.Topic, record.Partition, record.Offset} }

// readTopic reads a topic as far as readers of committed records get.
func (r *reference) readTopic(
	ctx context.Context, broker, topic string, isolation kgo.IsolationLevel,
) (records []*kgo.Record, err error) {
	at := map[int32]kgo.Offset{}
	left := map[int32]bool{}
	for partition, end := range r.ends[topic] {
		if end > 0 {
			at[partition], left[partition] = kgo.NewOffset().At(0), true
		}
	}
	if len(at) == 0 {
		return nil, nil
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(broker), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: at}),
		kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords(), kgo.FetchMaxWait(200*time.Millisecond),
	)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %s: %w", topic, err)
		}
		for _, record := range fetches.Records() {
			end := r.ends[topic][record.Partition]
			if record.Offset < end {
				records = append(records, record)
			}
			if record.Offset >= end-1 {
				delete(left, record.Partition)
			}
		}
	}
	return records, nil
}

// eventOf decodes a record by its content type.
func eventOf(record *kgo.Record) (event, error) {
	sum := sha256.Sum256(record.Value)
	headers := map[string]string{}
	for _, h := range record.Headers {
		headers[h.Key] = string(h.Value)
	}
	var e event
	switch headers["content-type"] {
	case "application/cloudevents+json; charset=utf-8":
		if err := json.Unmarshal(record.Value, &e); err != nil {
			return event{}, err
		}
	case "application/json":
		e = event{
			ID: headers["ce_id"], Source: headers["ce_source"], Type: headers["ce_type"], Subject: headers["ce_subject"],
			Sequence: headers["ce_sequence"], Late: headers["ce_late"] == "true", Repaired: headers["ce_repaired"] == "true",
			Data: record.Value,
		}
		if text := headers["ce_time"]; text != "" {
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return event{}, err
			}
			e.Time = &at
		}
	default:
		return event{}, fmt.Errorf("content type %q", headers["content-type"])
	}
	e.Partition, e.Offset, e.SHA256 = record.Partition, record.Offset, hex.EncodeToString(sum[:])
	return e, nil
}

// audit compares the events with what the fake has listed.
func (r *reference) audit(fake *twochattest.Fake) error {
	if err := r.ordered(); err != nil {
		return err
	}
	for _, s := range streams {
		mine := r.of(s)
		audit := twochattest.Audit{}
		repaired, kinds := 0, map[string]int{}
		for _, e := range mine {
			data := []byte(e.Data)
			if s.row {
				var row struct{ Item string }
				if err := json.Unmarshal(data, &row); err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				data = []byte(row.Item)
			}
			var sequence uint64
			if _, err := fmt.Sscanf(e.Sequence, "%d", &sequence); err != nil {
				return fmt.Errorf("%s: sequence %q", s.name, e.Sequence)
			}
			audit.See(twochattest.Event{ID: e.ID, Sequence: sequence, Late: e.Late, Chat: e.Subject, Data: data})
			kinds[kindOf(data)]++
			if e.Repaired {
				repaired++
			}
			if bytes.Contains(data, []byte(`\ufffd`)) != e.Repaired {
				return fmt.Errorf("%s: event %s says repaired: %t", s.name, e.Sequence, e.Repaired)
			}
		}
		report := audit.Report(fake.Truth(s.number))
		late := 0
		for _, m := range fake.Truth(s.number) {
			if m.Late {
				late++
			}
		}
		if !report.Clean() || report.LateMissing > 0 || report.Late != late {
			return fmt.Errorf("%s: %s", s.name, report)
		}
		for _, kind := range shapes {
			if kinds[kind] == 0 {
				return fmt.Errorf("%s: no message is of the shape %s: choose another seed", s.name, kind)
			}
		}
		if repaired == 0 {
			return fmt.Errorf("%s: no message was repaired: choose another seed", s.name)
		}
	}
	return nil
}

// begun checks that both topics have events.
func (r *reference) begun() error {
	topics := map[string]bool{}
	for at := range r.events {
		topics[at.Topic] = true
	}
	if len(topics) < 2 {
		return errors.New("not both topics hold events yet")
	}
	return nil
}

// ordered checks that a stream's events are in the order of their sequence, in each partition.
func (r *reference) ordered() error {
	type lane struct {
		topic, source string
		partition     int32
	}
	last := map[lane]string{}
	for _, record := range r.records {
		e, is := r.events[placeOf(record)]
		if !is {
			continue
		}
		in := lane{record.Topic, e.Source, e.Partition}
		if e.Sequence <= last[in] {
			return fmt.Errorf("%v has the sequence %s after %s", placeOf(record), e.Sequence, last[in])
		}
		last[in] = e.Sequence
	}
	return nil
}

// of returns the events of a stream, by sequence.
func (r *reference) of(s written) []event {
	source := "//2chat.co/whatsapp/" + strings.TrimPrefix(s.number, "+")
	var mine []event
	for at, e := range r.events {
		if at.Topic == s.topic && e.Source == source {
			mine = append(mine, e)
		}
	}
	slices.SortFunc(mine, func(a, b event) int { return strings.Compare(a.Sequence, b.Sequence) })
	return mine
}

// markers counts the transaction markers among the events.
func (r *reference) markers() (count int) {
	for _, record := range r.records {
		if record.Attrs.IsControl() {
			count++
		}
	}
	return count
}

// shapes are the forms of a message that the fake knows.
var shapes = []string{
	"text", "quoted", "image", "ptt", "video", "document", "sticker", "order", "contact", "empty", "null", "string",
	"audio", "location", "poll", "list reply", "button reply", "unknown",
}

// kindOf names the shape of an item.
func kindOf(item []byte) string {
	var message struct{ Message json.RawMessage }
	if json.Unmarshal(item, &message) != nil {
		return "broken"
	}
	var text string
	var members map[string]json.RawMessage
	switch {
	case string(message.Message) == "null":
		return "null"
	case json.Unmarshal(message.Message, &text) == nil:
		return "string"
	case json.Unmarshal(message.Message, &members) != nil:
		return "broken"
	case len(members) == 0:
		return "empty"
	}
	for member, kind := range map[string]string{
		"order": "order", "contacts": "contact", "quoted_msg": "quoted", "pin": "location", "poll": "poll",
		"list_reply": "list reply", "button_reply": "button reply", "call_log": "unknown",
	} {
		if members[member] != nil {
			return kind
		}
	}
	var media struct{ Type string }
	if members["media"] != nil && json.Unmarshal(members["media"], &media) == nil {
		return media.Type
	}
	return "text"
}

// endsOf returns where the partitions of a topic end.
func endsOf(ctx context.Context, client *kgo.Client, topic string) (map[int32]int64, error) {
	metadata := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = kmsg.StringPtr(topic)
	metadata.Topics = append(metadata.Topics, asked)
	found, err := metadata.RequestWith(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", topic, err)
	}
	request := kmsg.NewPtrListOffsetsRequest()
	request.ReplicaID, request.IsolationLevel = -1, 1
	list := kmsg.NewListOffsetsRequestTopic()
	list.Topic = topic
	for _, p := range found.Topics[0].Partitions {
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.Timestamp = p.Partition, -1
		list.Partitions = append(list.Partitions, part)
	}
	if len(list.Partitions) == 0 {
		return nil, errors.New(topic + " is not there yet")
	}
	request.Topics = append(request.Topics, list)
	ends := map[int32]int64{}
	for _, shard := range client.RequestSharded(ctx, request) {
		if shard.Err != nil {
			return nil, fmt.Errorf("ask where %s ends: %w", topic, shard.Err)
		}
		for _, answer := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range answer.Partitions {
				ends[p.Partition] = p.Offset
			}
		}
	}
	return ends, nil
}
