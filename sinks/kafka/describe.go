package kafka

import (
	"context"
	"fmt"
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/metadata"
)

// transactionsTopic is where the brokers keep what they know of transactions.
const transactionsTopic = "__transaction_state"

// describe asks for a topic that is none of the sink's; one that does not exist has no partitions.
func (s *Sink) describe(ctx context.Context, topic string) (metadata.ResponseTopic, error) {
	response, err := s.cluster.any(ctx, &metadata.Request{TopicNames: []string{topic}})
	if err != nil {
		return metadata.ResponseTopic{}, fmt.Errorf("describe topic %s: %w", topic, err)
	}
	answer, ok := response.(*metadata.Response)
	if !ok || len(answer.Topics) != 1 {
		return metadata.ResponseTopic{}, fmt.Errorf("describe topic %s: %w", topic, errNoAnswer)
	}
	return answer.Topics[0], nil
}

// topicSettings reads a topic's settings.
func (s *Sink) topicSettings(ctx context.Context, topic string) (map[string]string, error) {
	response, err := s.cluster.any(ctx, settingsOf(kafkago.ResourceTypeTopic, topic))
	if err != nil {
		return nil, fmt.Errorf("describe settings: %w", err)
	}
	return readSettings(response)
}

// brokerSettings reads a broker's settings.
func (s *Sink) brokerSettings(ctx context.Context, id int32) (map[string]string, error) {
	response, err := s.cluster.to(ctx, id, tryTime, settingsOf(kafkago.ResourceTypeBroker, strconv.Itoa(int(id))))
	if err != nil {
		return nil, fmt.Errorf("describe settings: %w", err)
	}
	return readSettings(response)
}

func settingsOf(kind kafkago.ResourceType, name string) *describeconfigs.Request {
	return &describeconfigs.Request{Resources: []describeconfigs.RequestResource{{ResourceType: int8(kind), ResourceName: name}}}
}

func readSettings(response protocol.Message) (map[string]string, error) {
	answer, ok := response.(*describeconfigs.Response)
	if !ok {
		return nil, fmt.Errorf("describe settings: %w", errNoAnswer)
	}
	settings := make(map[string]string)
	for _, resource := range answer.Resources {
		if resource.ErrorCode != 0 {
			return nil, fmt.Errorf("describe settings: %w", kafkago.Error(resource.ErrorCode))
		}
		for _, entry := range resource.ConfigEntries {
			settings[entry.ConfigName] = entry.ConfigValue
		}
	}
	return settings, nil
}
