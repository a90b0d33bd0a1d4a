package kafka

import (
	"errors"
	"fmt"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

func isMissing(err error) bool { return errors.Is(err, kafkago.UnknownTopicOrPartition) }

func (s *Sink) refuseMissing(topic string) error {
	return &connector.Refusal{Thing: "topic " + topic, Cause: "it does not exist", Mend: s.createCommand(topic) + " (or set `create: true`)"}
}

// createCommand is the command that makes one of the sink's topics with the right settings.
func (s *Sink) createCommand(topic string) string {
	command := fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions %d --replication-factor 3 --config min.insync.replicas=2",
		s.config.Brokers[0], topic, s.topics.partitions(topic))
	for _, setting := range s.topics.settings(topic) {
		command += " --config " + setting.ConfigName + "=" + setting.ConfigValue
	}
	return command
}

// mend adds the command that grants a missing right.
func mend(err error) error {
	switch {
	case errors.Is(err, kafkago.TransactionalIDAuthorizationFailed):
		return fmt.Errorf("%w; grant it: kafka-acls.sh --add --allow-principal User:NAME --operation Write --operation Describe --transactional-id twochat-connector. --resource-pattern-type prefixed", err)
	case errors.Is(err, kafkago.TopicAuthorizationFailed):
		return fmt.Errorf("%w; grant it: kafka-acls.sh --add --allow-principal User:NAME --operation Read --operation Write --operation Describe --topic TOPIC --resource-pattern-type prefixed", err)
	case errors.Is(err, kafkago.InvalidTransactionTimeout):
		return fmt.Errorf("%w; lower sink.kafka.transaction_timeout below the brokers' transaction.max.timeout.ms", err)
	}
	return err
}
