package kafka

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"
	"github.com/segmentio/kafka-go/protocol/deletetopics"
	"github.com/segmentio/kafka-go/protocol/describeconfigs"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// transactionsTopic is where the brokers keep their transactions.
const transactionsTopic = "__transaction_state"

// describe asks for a topic that is not in the cluster's view; a topic that does not exist has no partitions.
func (c *client) describe(ctx context.Context, topic string) (metadata.ResponseTopic, error) {
	answer, err := answerAs[*metadata.Response](c.cluster.any(ctx, &metadata.Request{TopicNames: []string{topic}}))
	if err == nil && len(answer.Topics) != 1 {
		err = errNoAnswer
	}
	if err != nil {
		return metadata.ResponseTopic{}, fmt.Errorf("describe topic %s: %w", topic, err)
	}
	return answer.Topics[0], nil
}

// topicSettings reads a topic's settings.
func (c *client) topicSettings(ctx context.Context, topic string) (map[string]string, error) {
	return readSettings(answerAs[*describeconfigs.Response](
		c.cluster.any(ctx, settingsOf(kafkago.ResourceTypeTopic, topic))))
}

// brokerSettings reads a broker's settings.
func (c *client) brokerSettings(ctx context.Context, id int32) (map[string]string, error) {
	return readSettings(answerAs[*describeconfigs.Response](
		c.cluster.to(ctx, id, tryTime, settingsOf(kafkago.ResourceTypeBroker, strconv.Itoa(int(id))))))
}

func settingsOf(kind kafkago.ResourceType, name string) *describeconfigs.Request {
	return &describeconfigs.Request{Resources: []describeconfigs.RequestResource{{
		ResourceType: int8(kind),
		ResourceName: name,
	}}}
}

func readSettings(answer *describeconfigs.Response, err error) (map[string]string, error) {
	if err != nil {
		return nil, fmt.Errorf("describe settings: %w", err)
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

// topicIDs returns the ids of topics by name, and none if the brokers do not support ids.
func (c *client) topicIDs(ctx context.Context, names []string) (map[string]string, error) {
	request := &identities{request: kmsg.NewMetadataRequest()}
	request.request.SetVersion(identityVersion)
	for _, name := range names {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(name)
		request.request.Topics = append(request.request.Topics, topic)
	}
	ids := make(map[string]string)
	answer, err := c.cluster.any(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("read the topics' ids: %w", err)
	}
	if got, ok := answer.(*identities); ok && got.answer != nil {
		for _, t := range got.answer.Topics {
			if t.Topic != nil && t.ErrorCode == 0 && t.TopicID != [16]byte{} {
				ids[*t.Topic] = base64.RawURLEncoding.EncodeToString(t.TopicID[:]) // in the form of Kafka's tools
			}
		}
	}
	return ids, nil
}

// createTopics asks for topics to be created or, if the request is only validated, whether they could be.
func (c *client) createTopics(
	ctx context.Context, request *createtopics.Request,
) ([]createtopics.ResponseTopic, error) {
	request.TimeoutMs = int32(callTimeout.Milliseconds())
	answer, err := answerAs[*createtopics.Response](c.cluster.controlled(ctx, request))
	if err != nil {
		return nil, err
	}
	return answer.Topics, nil
}

// deleteTopic asks for a topic to be deleted.
func (c *client) deleteTopic(ctx context.Context, name string) error {
	request := &deletetopics.Request{TopicNames: []string{name}, TimeoutMs: int32(callTimeout.Milliseconds())}
	answer, err := answerAs[*deletetopics.Response](c.cluster.controlled(ctx, request))
	if err != nil {
		return err
	}
	for _, t := range answer.Responses {
		err = codeError(t.ErrorCode)
	}
	return err
}
