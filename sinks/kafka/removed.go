package kafka

import (
	"context"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Removed tells which partition of the topic a chat's events go to under a checkpoint, and whether the partition has lost
// its oldest records: to retention, which goes partition by partition, or to kafka-delete-records.
func (s *Sink) Removed(ctx context.Context, of connector.Checkpoint) (func(chat string) (part int, removed bool), error) {
	held, err := readPositions(of.Sink)
	if err != nil {
		return nil, err
	}
	if held.Partitions == 0 { // nothing was written yet
		return func(string) (int, bool) { return 0, false }, nil
	}
	extents, err := s.client.extents(ctx, s.topics.events, held.Partitions, kafkago.ReadCommitted)
	if err != nil {
		return nil, fmt.Errorf("read where topic %s begins: %w", s.topics.events, err)
	}
	spread := newPartitioner(held.Partitions)
	return func(chat string) (int, bool) {
		part := spread.of([]byte(chat))
		return int(part), extents[part].start > 0
	}, nil
}
