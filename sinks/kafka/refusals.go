package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

func isMissing(err error) bool { return errors.Is(err, kafkago.UnknownTopicOrPartition) }

// goneTime is for how long a topic that was there must be unknown before it counts as deleted: brokers that start know no topic for
// some seconds.
const goneTime = 20 * time.Second

// missingTopics is which topics were there, and since when one of them is not.
type missingTopics struct {
	patience time.Duration // goneTime

	mu    sync.Mutex
	seen  map[string]bool
	since map[string]time.Time
}

// note takes down whether a topic is there, and says whether it is to be refused: it never was, or has been gone for long enough.
func (m *missingTopics) note(topic string, there bool, now time.Time) (deleted, refused bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if there {
		m.seen[topic] = true
		delete(m.since, topic)
		return false, false
	}
	if !m.seen[topic] {
		return false, true
	}
	if m.since[topic].IsZero() {
		m.since[topic] = now
	}
	return true, now.Sub(m.since[topic]) >= m.patience
}

// refuseMissing refuses a topic that is not there, or says that it may come back.
func (s *Sink) refuseMissing(ctx context.Context, topic string) error {
	deleted, refused := s.missing.note(topic, false, time.Now())
	switch {
	case !refused:
		return fmt.Errorf("%w: topic %s: %w", connector.ErrNotNow, topic, kafkago.UnknownTopicOrPartition)
	case deleted:
		return s.refuseLost(ctx, topic, "")
	}
	hint := s.createCommand(topic, s.replicasNow(ctx))
	if !s.config.Create {
		hint += " (or set `sink.kafka.create: true`)"
	}
	return &connector.Refusal{Thing: "topic " + topic, Cause: "it does not exist", Hint: hint}
}

// gone says of an error that a topic is unknown whether it is to be refused: most brokers do not know it, and have not for a while.
func (s *Sink) gone(ctx context.Context, cause error) error {
	v, err := s.cluster.settled(ctx, time.Now())
	if err != nil {
		return cause
	}
	for _, name := range s.topics.all() {
		if isMissing(v.topics[name].err) {
			return s.refuseMissing(ctx, name)
		}
	}
	return cause
}

// refuseLost refuses a topic that was there: while this instance ran, or when another of the topics was written to.
func (s *Sink) refuseLost(ctx context.Context, topic, other string) error {
	cause := "it was deleted while this instance ran"
	if other != "" {
		cause = fmt.Sprintf("it does not exist, but topic %s was written to together with it: it was deleted", other)
	}
	return &connector.Refusal{
		Thing: "topic " + topic, Cause: cause,
		Hint: "bring it back with its records, or make it anew and go on without them with `run --first-start`: " + s.createCommand(topic, s.replicasNow(ctx)),
	}
}

// judged makes a refusal of an error that only a person can mend: rights that are missing, credentials that are not taken.
func (s *Sink) judged(err error) error {
	var refusal *connector.Refusal
	if err == nil || errors.As(err, &refusal) {
		return err
	}
	for _, j := range []struct {
		code               kafkago.Error
		thing, cause, hint string
	}{
		{
			kafkago.TransactionalIDAuthorizationFailed, "transactional id twochat-connector.*", "the right to write under it is missing",
			s.aclCommand("--operation Write --operation Describe --transactional-id twochat-connector. --resource-pattern-type prefixed"),
		},
		{
			kafkago.TopicAuthorizationFailed, "topics " + s.topics.events + "*", "a right to them is missing",
			s.aclCommand("--operation Read --operation Write --operation Describe --operation DescribeConfigs --topic " + s.topics.events + " --resource-pattern-type prefixed"),
		},
		{
			kafkago.ClusterAuthorizationFailed, "sink.kafka", "the cluster refuses a right that is needed to write within transactions",
			s.aclCommand("--operation IdempotentWrite --operation DescribeConfigs --cluster"),
		},
		{
			kafkago.SASLAuthenticationFailed, "sink.kafka.sasl", "the brokers do not take the credentials",
			"see that user and secret are those that the brokers know; the file is read again for each connection",
		},
		{
			kafkago.UnsupportedSASLMechanism, "sink.kafka.sasl.mechanism", "the brokers do not know this mechanism on this listener",
			"choose one of the listener's sasl.enabled.mechanisms",
		},
		{
			kafkago.InvalidTransactionTimeout, "sink.kafka.transaction_timeout", "the brokers allow no transaction as long as this",
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
	if o := s.obstacle(err); o != nil {
		return o
	}
	return err
}

// errorText is the name of an error of Kafka's, as its documentation has it.
func errorText(err error) string {
	var code kafkago.Error
	if errors.As(err, &code) {
		return fmt.Sprintf("%s, %d", strings.ToLower(code.Title()), int(code))
	}
	return err.Error()
}

// aclCommand is the command that grants whom the connector authenticates as a right.
func (s *Sink) aclCommand(rest string) string {
	return fmt.Sprintf("kafka-acls.sh --bootstrap-server %s --add --allow-principal %s %s", s.config.Brokers[0], s.config.principal(), rest)
}

// principal is whom the brokers take the connector for.
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
