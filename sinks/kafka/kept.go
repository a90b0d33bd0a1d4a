package kafka

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Week and a day, in milliseconds, are what the commands of Kept set: closed segments are kept for the one, and a segment
// is closed after the other.
const (
	weekMillis = 7 * 24 * 3600 * 1000
	dayMillis  = 24 * 3600 * 1000
)

// Kept says how long the brokers keep events that are to go, of which newest holds the newest offset in each partition,
// and how that is shortened. Kafka removes no single record of a topic whose cleanup.policy is delete.
func (s *Sink) Kept(ctx context.Context, newest map[int]int64, rejects bool) ([]connector.Finding, error) {
	var kept []connector.Finding
	say := func(topic string) error {
		settings, err := s.client.topicSettings(ctx, topic)
		if err != nil {
			return s.hints.asRefusal(err)
		}
		finding := connector.Finding{
			Level: connector.FindingWarning, Thing: "topic " + topic,
			Text: fmt.Sprintf("Kafka removes no single record (cleanup.policy is %s); it keeps them for %s. With these "+
				"settings everybody's records go a week after they were written, or up to a day later",
				settings["cleanup.policy"], retention(settings)),
			Hint: s.hints.configureCommand(topic, fmt.Sprintf("retention.ms=%d,segment.ms=%d", weekMillis, dayMillis)),
		}
		kept = append(kept, finding)
		return nil
	}
	if len(newest) > 0 {
		if err := say(s.topics.events); err != nil {
			return nil, err
		}
		kept = append(kept, connector.Finding{
			Level: connector.FindingWarning, Thing: "topic " + s.topics.events,
			Text: "at once, and with them all older records of " + partitionsOf(newest) + ", of everybody. What goes so is " +
				"not delivered again: `audit` counts it as no longer in the log, and its repair leaves it",
			Hint: s.hints.deleteCommand(s.topics.events, newest),
		})
	}
	if rejects {
		if err := say(s.topics.quarantine); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// partitionsOf names partitions.
func partitionsOf(newest map[int]int64) string {
	list := make([]string, 0, len(newest))
	for _, p := range slices.Sorted(maps.Keys(newest)) {
		list = append(list, fmt.Sprint(p))
	}
	if len(list) == 1 {
		return "partition " + list[0]
	}
	return "the partitions " + strings.Join(list, ", ")
}

// deleteCommand is the command that removes all records of some partitions up to an offset.
func (h hints) deleteCommand(topic string, newest map[int]int64) string {
	parts := make([]string, 0, len(newest))
	for _, p := range slices.Sorted(maps.Keys(newest)) {
		parts = append(parts, fmt.Sprintf(`{"topic":"%s","partition":%d,"offset":%d}`, topic, p, newest[p]+1))
	}
	return "`" + fmt.Sprintf(`echo '{"partitions":[%s],"version":1}' >offsets.json && kafka-delete-records.sh `+
		"--bootstrap-server %s --offset-json-file offsets.json", strings.Join(parts, ","), h.config.Brokers[0]) + "`"
}
