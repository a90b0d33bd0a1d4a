// Command franz-go reads a topic of twochat-connector to its end with franz-go and the CloudEvents SDK for Go:
// go run . BROKERS TOPIC GROUP
package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	if err := read(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(ctx context.Context, brokers, topic, group string) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(brokers, ",")...),
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), // not the default
		kgo.KeepControlRecords(),                     // only to stop at the end: a partition ends with the marker of a transaction
		kgo.DisableAutoCommit(),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListCommittedOffsets(ctx, topic)
	if err != nil {
		return err
	}
	left := map[int32]int64{}
	ends.Each(func(end kadm.ListedOffset) {
		if end.Offset > 0 {
			left[end.Partition] = end.Offset
		}
	})
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, record := range fetches.Records() {
			if record.Offset+1 >= left[record.Partition] {
				delete(left, record.Partition)
			}
			if record.Attrs.IsControl() {
				continue
			}
			line, err := lineOf(record)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%s\n", line)
		}
	}
	return client.CommitUncommittedOffsets(ctx) // after the work is done
}

// eventOf is the CloudEvent in a record. The SDK has no binding for franz-go; this is all of it.
func eventOf(record *kgo.Record) (cloudevents.Event, error) {
	event := cloudevents.New()
	headers := map[string]string{}
	for _, h := range record.Headers {
		headers[h.Key] = string(h.Value)
	}
	if strings.HasPrefix(headers["content-type"], "application/cloudevents+json") {
		return event, json.Unmarshal(record.Value, &event)
	}
	for name, value := range headers {
		switch name, attribute := strings.CutPrefix(name, "ce_"); {
		case !attribute:
		case name == "id":
			event.SetID(value)
		case name == "source":
			event.SetSource(value)
		case name == "type":
			event.SetType(value)
		case name == "subject":
			event.SetSubject(value)
		case name == "dataschema":
			event.SetDataSchema(value)
		case name == "time":
			at, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return event, err
			}
			event.SetTime(at)
		case name != "specversion":
			event.SetExtension(name, value)
		}
	}
	return event, event.SetData(headers["content-type"], record.Value)
}

func lineOf(record *kgo.Record) ([]byte, error) {
	event, err := eventOf(record)
	if err != nil {
		return nil, err
	}
	var at *time.Time // nil where the message has none that can be read
	if !event.Time().IsZero() {
		at = new(event.Time())
	}
	sum := sha256.Sum256(record.Value)
	extensions := event.Extensions()
	return json.Marshal(map[string]any{
		"partition": record.Partition,
		"offset":    record.Offset,
		"id":        event.ID(), // with source: what to de-duplicate on
		"source":    event.Source(),
		"type":      event.Type(),
		"subject":   event.Subject(),
		"sequence":  extensions["sequence"],
		"time":      at,
		// A Boolean in structured mode, a text in binary mode. What is late belongs further up in its chat, by time.
		"late":     fmt.Sprint(extensions["late"]) == "true",
		"repaired": fmt.Sprint(extensions["repaired"]) == "true",
		"data":     json.RawMessage(event.Data()), // the very bytes, numbers of any size as they came
		"sha256":   hex.EncodeToString(sum[:]),
	})
}
