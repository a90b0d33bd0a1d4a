package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

func isMissing(err error) bool { return errors.Is(err, kafkago.UnknownTopicOrPartition) }

// goneTime is how long a topic that existed must be unknown before it counts as deleted: brokers that start know no
// topics for some seconds.
const goneTime = 20 * time.Second

// missingTopics records which topics existed, and since when one of them is missing.
type missingTopics struct {
	maker     *topicMaker
	goneAfter time.Duration // goneTime

	mu    sync.Mutex
	seen  map[string]bool
	since map[string]time.Time
}

func newMissingTopics(maker *topicMaker) *missingTopics {
	return &missingTopics{
		maker: maker, goneAfter: goneTime, seen: make(map[string]bool), since: make(map[string]time.Time),
	}
}

// note records whether a topic exists, and reports whether to refuse it: because it never existed, or has been gone for
// long enough.
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
	return true, now.Sub(m.since[topic]) >= m.goneAfter
}

// refuse refuses a topic that does not exist, or returns that it may come back.
func (m *missingTopics) refuse(ctx context.Context, topic string) error {
	deleted, refused := m.note(topic, false, time.Now())
	switch {
	case !refused:
		return fmt.Errorf("%w: topic %s: %w", connector.ErrNotNow, topic, kafkago.UnknownTopicOrPartition)
	case deleted:
		return m.maker.refuseLost(ctx, topic, "")
	}
	hint := m.maker.createCommand(topic, m.maker.replicasNow(ctx))
	if !m.maker.config.Create {
		hint += " (or set `sink.kafka.create: true`)"
	}
	return &connector.Refusal{Thing: "topic " + topic, Cause: "it does not exist", Hint: hint}
}

// asRefusal turns the error that a topic is unknown into a refusal, once most brokers have not known the topic for a
// while.
func (m *missingTopics) asRefusal(ctx context.Context, cause error) error {
	v, err := m.maker.cluster.settled(ctx, time.Now())
	if err != nil {
		return cause
	}
	for _, name := range m.maker.topics.all() {
		if isMissing(v.topics[name].err) {
			return m.refuse(ctx, name)
		}
	}
	return cause
}
