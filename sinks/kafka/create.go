package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/createtopics"

	"github.com/twochat-connector/twochat-connector/connector"
)

// partitions is the number of partitions of a new topic.
func (m *topicMaker) partitions(topic string) int {
	if topic == m.topics.events {
		return cmp.Or(m.config.Partitions, DefaultPartitions)
	}
	return 1
}

// topicMaker creates the sink's topics, and knows their settings.
type topicMaker struct {
	config  Config
	topics  topics
	cluster *cluster
	client  *client
	hints   hints
	logger  *slog.Logger
}

// setting is one of a topic's settings.
type setting struct{ name, value string }

// settings lists the settings of a new topic. A replica that lags must never lead a partition, as acknowledged records
// would be lost.
func (m *topicMaker) settings(topic string, replicas int) []setting {
	list := []setting{
		{"min.insync.replicas", strconv.Itoa(max(1, replicas-1))},
		{"unclean.leader.election.enable", "false"},
	}
	if topic == m.topics.checkpoints {
		return append(list, setting{"cleanup.policy", "compact"}, setting{"segment.bytes", strconv.Itoa(16 << 20)},
			setting{"segment.ms", "3600000"}, setting{"min.cleanable.dirty.ratio", "0.1"},
			setting{"max.message.bytes", strconv.Itoa(checkpointBytes)})
	}
	return append(list, setting{"cleanup.policy", "delete"},
		setting{"retention.ms", strconv.FormatInt(m.config.retentionMillis(), 10)})
}

func (m *topicMaker) create(ctx context.Context, dryRun bool) error {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	v, err := m.cluster.settled(ctx, time.Now())
	if err != nil {
		return fmt.Errorf("create topics: %w", m.hints.asRefusal(asNotNow(err)))
	}
	missing, err := m.absent(v)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := m.lostBeside(ctx, v, missing); err != nil {
		return err
	}
	replicas, err := m.replicas(ctx, v)
	if err != nil {
		return fmt.Errorf("create topics: %w", m.hints.asRefusal(asNotNow(err)))
	}
	request := &createtopics.Request{ValidateOnly: dryRun}
	for _, name := range missing {
		topic := createtopics.RequestTopic{
			Name: name, NumPartitions: int32(m.partitions(name)),
			ReplicationFactor: int16(replicas),
		}
		for _, setting := range m.settings(name, replicas) {
			topic.Configs = append(topic.Configs, createtopics.RequestConfig{Name: setting.name, Value: setting.value})
		}
		request.Topics = append(request.Topics, topic)
	}
	answers, err := m.client.createTopics(ctx, request)
	if err != nil {
		return fmt.Errorf("create topics: %w", m.hints.asRefusal(asNotNow(err)))
	}
	return m.created(answers, replicas, dryRun)
}

// createTimeout limits one Create: asking the brokers, and creating the topics.
const createTimeout = 30 * time.Second

// created handles the answer to the request for topics.
func (m *topicMaker) created(answers []createtopics.ResponseTopic, replicas int, dryRun bool) error {
	for _, t := range answers {
		err := codeError(t.ErrorCode)
		var text string
		if err != nil && t.ErrorMessage != "" {
			text = ": " + t.ErrorMessage
		}
		switch {
		case err == nil && dryRun:
		case err == nil:
			m.logger.Info("topic created", "topic", t.Name, "replicas", replicas)
		case errors.Is(err, kafkago.TopicAlreadyExists):
		case errors.Is(err, kafkago.TopicAuthorizationFailed), errors.Is(err, kafkago.ClusterAuthorizationFailed),
			errors.Is(err, kafkago.PolicyViolation):
			return &connector.Refusal{
				Thing: "topic " + t.Name, Cause: "it does not exist, and may not be created: " + errorText(err) + text,
				Hint: "have it created: " + m.createCommand(t.Name, replicas),
			}
		default:
			return fmt.Errorf("create topic %s: %w%s", t.Name, asNotNow(err), text)
		}
	}
	return nil
}

// absent lists the topics that do not exist.
func (m *topicMaker) absent(v *view) (missing []string, err error) {
	for _, name := range m.topics.all() {
		switch err := v.topics[name].err; {
		case isMissing(err), v.topics[name].partitions == nil && err == nil:
			missing = append(missing, name)
		case err != nil:
			return nil, fmt.Errorf("topic %s: %w", name, m.hints.asRefusal(asNotNow(err)))
		}
	}
	return missing, nil
}

// lostBeside refuses to create the topic of events or checkpoints if the other one has been written to.
func (m *topicMaker) lostBeside(ctx context.Context, v *view, missing []string) error {
	pairs := map[string]string{m.topics.events: m.topics.checkpoints, m.topics.checkpoints: m.topics.events}
	for _, name := range missing {
		other, ok := pairs[name]
		if !ok || v.topics[other].err != nil || len(v.topics[other].partitions) == 0 {
			continue
		}
		ends, err := m.client.extents(ctx, other, len(v.topics[other].partitions), kafkago.ReadUncommitted)
		if err != nil {
			return fmt.Errorf("topic %s: %w", other, m.hints.asRefusal(asNotNow(err)))
		}
		for _, end := range ends {
			if end.end > 0 {
				return m.refuseLost(ctx, name, other)
			}
		}
	}
	return nil
}

// refuseLost refuses a topic that existed before: while this instance ran, or when another of the topics was written
// to.
func (m *topicMaker) refuseLost(ctx context.Context, topic, other string) error {
	cause := "it was deleted while this instance was running"
	if other != "" {
		cause = fmt.Sprintf("it does not exist, but topic %s was written to together with it: it was deleted", other)
	}
	return &connector.Refusal{
		Thing: "topic " + topic, Cause: cause,
		Hint: "restore it with its records, or create it again and continue without them with `twochat-connector run --first-start`: " +
			m.createCommand(topic, m.replicasNow(ctx)),
	}
}

// wantedReplicas is how many replicas a topic should have if the cluster has that many brokers.
const wantedReplicas = 3

// replicas is the number of replicas of new topics: three, or as many as the cluster has brokers. The number of brokers
// that answer now is not sufficient: one may be down, and a topic keeps the number of replicas that it was created
// with. The replicas of the brokers' own topic of transactions show how many there should be.
func (m *topicMaker) replicas(ctx context.Context, v *view) (int, error) {
	if m.config.Replicas > 0 {
		return m.config.Replicas, nil
	}
	alive := len(v.brokers)
	if alive >= wantedReplicas {
		return wantedReplicas, nil
	}
	meant, err := m.meantReplicas(ctx, v)
	switch {
	case err != nil:
		return 0, err
	case meant == 0:
		return 0, &connector.Refusal{
			Thing: "sink.kafka.create",
			Cause: fmt.Sprintf("%d brokers answer, but it is not known how many the cluster has; topics could permanently get "+
				"too few replicas", alive),
			Hint: fmt.Sprintf("set `sink.kafka.replicas: %d`, or 3 once three brokers are running", alive),
		}
	case alive < meant:
		return 0, fmt.Errorf("%w: %w", connector.ErrNotNow, &fewBrokersError{meant, alive})
	}
	return max(1, min(wantedReplicas, meant)), nil
}

// fewBrokersError means that fewer brokers are running than topics should have replicas.
type fewBrokersError struct{ meant, alive int }

func (e *fewBrokersError) Error() string {
	return fmt.Sprintf("the cluster is set up for topics with %d replicas, but only %d of its brokers answer; "+
		"waiting for the others (or set sink.kafka.replicas)", e.meant, e.alive)
}

// Hint is what to do. There is nothing wrong with the brokers that answer.
func (e *fewBrokersError) Hint() string {
	return fmt.Sprintf("start the other brokers; if there are none, `sink.kafka.replicas: %d` creates topics for "+
		"those that answer", e.alive)
}

// meantReplicas is the number of replicas that the cluster is set up for, at most three; 0 if it is not known.
func (m *topicMaker) meantReplicas(ctx context.Context, v *view) (int, error) {
	meant := 0
	for id := range v.brokers {
		settings, err := m.client.brokerSettings(ctx, id)
		if err != nil {
			if gone := asNotNow(err); errors.Is(gone, connector.ErrNotNow) {
				return 0, gone
			}
			break // no right to read it
		}
		for _, name := range []string{"transaction.state.log.replication.factor", "default.replication.factor"} {
			if n, err := strconv.Atoi(settings[name]); err == nil {
				meant = max(meant, n)
			}
		}
		break // those are the cluster's
	}
	own, err := m.client.describe(ctx, transactionsTopic)
	if err != nil {
		return 0, err
	}
	for _, p := range own.Partitions {
		meant = max(meant, len(p.ReplicaNodes))
	}
	return min(meant, wantedReplicas), nil
}

// createCommand is the command that creates one of the sink's topics with the right settings.
func (m *topicMaker) createCommand(topic string, replicas int) string {
	command := fmt.Sprintf("`kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions %d "+
		"--replication-factor %d",
		m.config.Brokers[0], topic, m.partitions(topic), replicas)
	for _, setting := range m.settings(topic, replicas) {
		command += " --config " + setting.name + "=" + setting.value
	}
	return command + "`"
}

// replicasNow is the number of replicas for a command that is printed: the one of Create, or what the brokers that
// answer allow.
func (m *topicMaker) replicasNow(ctx context.Context) int {
	v, err := m.cluster.known(ctx)
	if err != nil {
		return wantedReplicas
	}
	if n, err := m.replicas(ctx, v); err == nil {
		return n
	}
	return max(1, min(wantedReplicas, len(v.brokers)))
}
