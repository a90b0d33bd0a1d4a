package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
)

// partitionCount is how many partitions Create gives the events topic.
const partitionCount = 6

// partitions is how many partitions a topic is made with.
func (t topics) partitions(topic string) int {
	if topic == t.events {
		return partitionCount
	}
	return 1
}

// settings are what a topic is made with beside its partitions and replicas.
func (t topics) settings(topic string) []kafkago.ConfigEntry {
	switch topic {
	case t.checkpoints:
		return []kafkago.ConfigEntry{
			{ConfigName: "cleanup.policy", ConfigValue: "compact"},
			{ConfigName: "segment.bytes", ConfigValue: strconv.Itoa(16 << 20)},
			{ConfigName: "segment.ms", ConfigValue: "3600000"},
			{ConfigName: "min.cleanable.dirty.ratio", ConfigValue: "0.1"},
			{ConfigName: "max.message.bytes", ConfigValue: strconv.Itoa(checkpointBytes)},
		}
	case t.quarantine:
		return []kafkago.ConfigEntry{{ConfigName: "cleanup.policy", ConfigValue: "delete"}}
	}
	return []kafkago.ConfigEntry{{ConfigName: "cleanup.policy", ConfigValue: "delete"}, {ConfigName: "unclean.leader.election.enable", ConfigValue: "false"}}
}

// Create makes the topics that are missing. It changes nothing that is there.
func (s *Sink) Create(ctx context.Context) error {
	answer, err := s.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: s.topics.all()})
	if err != nil {
		return fmt.Errorf("create topics: metadata: %w", down(err))
	}
	replicas := min(3, max(1, len(answer.Brokers)))
	request := &kafkago.CreateTopicsRequest{}
	for _, t := range answer.Topics {
		if t.Error == nil {
			continue
		}
		if !isMissing(t.Error) {
			return fmt.Errorf("create topics: topic %s: %w", t.Name, mend(down(t.Error)))
		}
		settings := append(s.topics.settings(t.Name),
			kafkago.ConfigEntry{ConfigName: "min.insync.replicas", ConfigValue: strconv.Itoa(max(1, replicas-1))})
		request.Topics = append(request.Topics, kafkago.TopicConfig{
			Topic: t.Name, NumPartitions: s.topics.partitions(t.Name),
			ReplicationFactor: replicas, ConfigEntries: settings,
		})
	}
	if len(request.Topics) == 0 {
		return nil
	}
	made, err := s.client.CreateTopics(ctx, request)
	if err != nil {
		return fmt.Errorf("create topics: %w", down(err))
	}
	for topic, err := range made.Errors {
		if err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w; make it yourself: %s", topic, err, s.createCommand(topic))
		}
		s.logger.Info("topic created", "topic", topic, "replicas", replicas)
	}
	return nil
}
