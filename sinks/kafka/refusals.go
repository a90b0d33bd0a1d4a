package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// hints turns errors that only a person can fix into refusals, with the commands that fix them.
type hints struct {
	config Config
	topics topics
}

// asRefusal turns an error that only a person can fix, such as missing rights or wrong credentials, into a refusal.
func (h hints) asRefusal(err error) error {
	var refusal *connector.Refusal
	if err == nil || errors.As(err, &refusal) {
		return err
	}
	for _, j := range []struct {
		code               kafkago.Error
		thing, cause, hint string
	}{
		{
			kafkago.TransactionalIDAuthorizationFailed, "transactional id twochat-connector.*",
			"the right to write under it is missing",
			h.aclCommand("--operation Write --operation Describe --transactional-id twochat-connector. " +
				"--resource-pattern-type prefixed"),
		},
		{
			kafkago.TopicAuthorizationFailed, "topics " + h.topics.events + "*", "a right to them is missing",
			h.aclCommand("--operation Read --operation Write --operation Describe --operation DescribeConfigs --topic " +
				h.topics.events + " --resource-pattern-type prefixed"),
		},
		{
			kafkago.GroupAuthorizationFailed, "group " + groupName(h.topics), "the right to take part in it is missing",
			h.groupRight(),
		},
		{
			kafkago.InconsistentGroupProtocol, "group " + groupName(h.topics), "another program takes part in it",
			"find it with `" + h.membersCommand() + "`, and give it a group id of its own",
		},
		{
			kafkago.InvalidSessionTimeout, "group " + groupName(h.topics),
			"the brokers do not allow a session of " + usualPace().session.String(),
			"set the brokers' group.min.session.timeout.ms to 6000, and group.max.session.timeout.ms to 1800000, as is usual",
		},
		{
			kafkago.ClusterAuthorizationFailed, "sink.kafka",
			"the cluster refuses a right that is needed to write within transactions",
			h.aclCommand("--operation IdempotentWrite --operation DescribeConfigs --cluster"),
		},
		{
			kafkago.SASLAuthenticationFailed, "sink.kafka.sasl", "the brokers do not accept the credentials",
			"check that the brokers know this user and secret; the file is read again for each connection",
		},
		{
			kafkago.UnsupportedSASLMechanism, "sink.kafka.sasl.mechanism",
			"the brokers do not know this mechanism on this listener",
			"choose one of the listener's sasl.enabled.mechanisms",
		},
		{
			kafkago.InvalidTransactionTimeout, "sink.kafka.transaction_timeout",
			"the brokers do not allow a transaction as long as this",
			"lower it below the brokers' transaction.max.timeout.ms",
		},
	} {
		if errors.Is(err, j.code) {
			return &connector.Refusal{Thing: j.thing, Cause: j.cause + " (" + errorText(j.code) + ")", Hint: j.hint}
		}
	}
	if errors.Is(err, errTooOld) {
		return &connector.Refusal{Thing: "brokers", Cause: errTooOld.Error(), Hint: "use Apache Kafka 3.9 or newer"}
	}
	if o := h.unavailable(err); o != nil {
		return o
	}
	return err
}

// errorText is the name of a Kafka error in Kafka's documentation.
func errorText(err error) string {
	var code kafkago.Error
	if errors.As(err, &code) {
		return fmt.Sprintf("%s, %d", strings.ToLower(code.Title()), int(code))
	}
	return err.Error()
}

// aclCommand is, as all commands of hints in backticks, the command that grants a right to the connector's user.
func (h hints) aclCommand(rest string) string {
	return fmt.Sprintf("`kafka-acls.sh --bootstrap-server %s --add --allow-principal %s %s`", h.config.Brokers[0],
		h.config.principal(), rest)
}

// groupRight is the command that grants the right to the groups in which replicas find each other.
func (h hints) groupRight() string {
	return h.aclCommand("--operation Read --operation Describe --group twochat-connector. --resource-pattern-type prefixed")
}

// membersCommand is the command that lists the members of the group.
func (h hints) membersCommand() string {
	return fmt.Sprintf("kafka-consumer-groups.sh --bootstrap-server %s --describe --members --group %s",
		h.config.Brokers[0], groupName(h.topics))
}

// describeCommand is the command that shows a topic.
func (h hints) describeCommand(topic string) string {
	return fmt.Sprintf("`kafka-topics.sh --bootstrap-server %s --describe --topic %s`", h.config.Brokers[0], topic)
}

// partitionsCommand is the command that gives a topic more partitions.
func (h hints) partitionsCommand(topic string, partitions int) string {
	return fmt.Sprintf("`kafka-topics.sh --bootstrap-server %s --alter --topic %s --partitions %d`", h.config.Brokers[0],
		topic, partitions)
}

// configureCommand is the command that changes a setting of a topic.
func (h hints) configureCommand(topic, setting string) string {
	return fmt.Sprintf("`kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s "+
		"--add-config %s`", h.config.Brokers[0], topic, setting)
}

// principal is the connector's user, as the brokers know it.
func (c Config) principal() string {
	switch {
	case c.SASL.Username != "":
		return "User:" + c.SASL.Username
	case c.SASL.Mechanism != "":
		return "User:NAME"
	case c.TLS.CertFile != "":
		if pair, err := tls.LoadX509KeyPair(c.TLS.CertFile, c.TLS.KeyFile); err == nil && len(pair.Certificate) > 0 {
			if leaf, err := x509.ParseCertificate(pair.Certificate[0]); err == nil {
				return "'User:" + leaf.Subject.String() + "'"
			}
		}
		return "User:NAME"
	}
	return "User:ANONYMOUS"
}
