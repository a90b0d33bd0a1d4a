package kafka

import (
	"fmt"
	"strconv"
)

// drift warns if an existing topic differs from the settings for new topics, which do not change existing ones.
func (i *inspection) drift(thing, name string, topic seenTopic, brokers int, settings map[string]string) {
	c, s := i.sink.config, i.sink
	count := len(topic.partitions)
	if want := c.Partitions; name == s.topics.events && want > 0 && want != count {
		hint := fmt.Sprintf("set `sink.kafka.partitions: %d`, as Kafka cannot remove partitions", count)
		if want > count {
			hint = fmt.Sprintf("%s (existing streams stay in the first %d, until "+
				"`twochat-connector run --accept-partitions %d` moves their chats); or set `sink.kafka.partitions: %d`",
				s.hints.partitionsCommand(name, want), count, want, count)
		}
		i.warn(thing, fmt.Sprintf("it has %d partitions, and sink.kafka.partitions is %d", count, want), hint)
	}
	replicas, _ := topic.least()
	told := replicas < wantedReplicas && brokers > replicas // already warned about
	if want := c.Replicas; want > 0 && want != replicas && !(told && want == min(brokers, wantedReplicas)) {
		hint := fmt.Sprintf("set `sink.kafka.replicas: %d`", replicas)
		if want > replicas && want <= brokers {
			hint = i.reassign(name, topic, want) + ", then " +
				s.hints.configureCommand(name, fmt.Sprintf("min.insync.replicas=%d", max(1, want-1))) + "; or " + hint
		}
		i.warn(thing, fmt.Sprintf("it has %d replicas, and sink.kafka.replicas is %d", replicas, want), hint)
	}
	kept, found := settings["retention.ms"]
	want := strconv.FormatInt(c.retentionMillis(), 10)
	if name != s.topics.checkpoints && c.Retention > 0 && found && kept != want {
		i.warn(thing, fmt.Sprintf("it keeps records for %s, and sink.kafka.retention is %v", retention(settings), c.Retention),
			s.hints.configureCommand(name, "retention.ms="+want)+"; or set sink.kafka.retention to the topic's")
	}
}
