package kafka

import (
	"context"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// ReadBack reads each partition as a consumer of committed records does, up to its end at the beginning of the call,
// including transactions whose markers were still being written.
func (s *Sink) ReadBack(
	ctx context.Context, stream string, event func(connector.StoredRecord) error, reject func(reject []byte) error,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.life, cancel)()
	source := connector.Stream{Name: stream}.Source()
	place := func(p int) string { return fmt.Sprintf("topic %s, partition %d, offset", s.topics.events, p) }
	record := connector.StoredRecord{Position: connector.RecordPosition{Container: place(0)}}
	readEvent := func(p int, r *protocol.Record) error {
		of := string(attributeSource.of(r.Headers))
		if of != "" && of != source {
			return nil
		}
		value, err := protocol.ReadAll(r.Value)
		if err != nil {
			return err
		}
		if p != record.Part {
			record.Part, record.Position.Container = p, place(p)
		}
		record.Position.At = r.Offset
		record.Event, record.Fault = decodeEvent(r.Headers, value)
		record.Unclaimed = record.Fault != nil && of == ""
		return event(record)
	}
	if event != nil {
		if err := s.readTopic(ctx, s.topics.events, readEvent); err != nil {
			return wrap("read back", err)
		}
	}
	err := s.readTopic(ctx, s.topics.quarantine, func(_ int, r *protocol.Record) error {
		key, err := protocol.ReadAll(r.Key)
		if err != nil || stream != "" && string(key) != stream {
			return err
		}
		value, err := protocol.ReadAll(r.Value)
		if err != nil {
			return err
		}
		return reject(value)
	})
	return wrap("read back the quarantine", err)
}

// readTopic passes on each committed record of a topic, partition by partition. The markers of an acknowledged
// transaction may still be missing, and until they come its records are hidden; so a partition is read up to its high
// watermark.
func (s *Sink) readTopic(ctx context.Context, topic string, each func(p int, r *protocol.Record) error) error {
	count, err := s.partitions(ctx, topic)
	if err != nil {
		return err
	}
	ends, err := s.client.extents(ctx, topic, count, kafkago.ReadUncommitted)
	if err != nil {
		return err
	}
	for p, end := range ends {
		_, err := s.client.read(ctx, topicPartition{topic, int32(p)}, end.start, end.end, s.client.transactionEnd(),
			func(r *protocol.Record) error { return each(p, r) })
		if err != nil {
			return err
		}
	}
	return nil
}
