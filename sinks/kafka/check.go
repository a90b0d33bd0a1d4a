package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// inspection collects the findings of a check.
type inspection struct {
	sink  *Sink
	found []connector.Finding
	gone  error // Kafka went away during the check
}

func (i *inspection) ok(thing, format string, args ...any) {
	i.found = append(i.found, connector.Finding{Level: connector.FindingOK, Thing: thing, Text: fmt.Sprintf(format, args...)})
}

func (i *inspection) warn(thing, text, mend string) {
	i.found = append(i.found, connector.Finding{Level: connector.FindingWarning, Thing: thing, Text: text, Mend: mend})
}

func (i *inspection) refuse(thing, text, mend string) {
	i.found = append(i.found, connector.Finding{Level: connector.FindingRefused, Thing: thing, Text: text, Mend: mend})
}

// unread notes that something could not be looked at: a finding where Kafka itself says why, and no answer to the whole check
// where it is down or not ready.
func (i *inspection) unread(thing string, err error, mend string) {
	if gone := down(err); errors.Is(gone, connector.ErrNotNow) || errors.Is(err, context.DeadlineExceeded) {
		i.gone = gone
		return
	}
	i.refuse(thing, err.Error(), mend)
}

// Check looks at brokers, topics and rights.
func (s *Sink) Check(ctx context.Context, claims []connector.Claim) ([]connector.Finding, error) {
	i := &inspection{sink: s}
	answer, err := s.settledMetadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("check: metadata: %w", down(err))
	}
	i.ok("brokers", "%d of cluster %s answer", len(answer.Brokers), answer.ClusterID)
	missing := false
	for _, topic := range answer.Topics {
		if !i.topic(ctx, topic) {
			missing = true
		}
	}
	if i.gone != nil {
		return nil, fmt.Errorf("check: %w", i.gone)
	}
	if missing {
		return i.found, nil
	}
	for _, claim := range claims {
		i.stream(ctx, claim, len(answer.Topics[0].Partitions))
	}
	if i.gone != nil {
		return nil, fmt.Errorf("check: %w", i.gone)
	}
	return i.found, nil
}

// missingTime is for how long a topic must be unknown before it counts as missing: a broker that has just started knows no
// topic for some seconds.
const missingTime = 8 * time.Second

// settledMetadata is what the brokers say of the sink's topics, asked again while they do not know one of them.
func (s *Sink) settledMetadata(ctx context.Context) (*kafkago.MetadataResponse, error) {
	for until := time.Now().Add(missingTime); ; {
		answer, err := s.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: s.topics.all()})
		if err != nil || time.Now().After(until) || !slices.ContainsFunc(answer.Topics, func(t kafkago.Topic) bool { return isMissing(t.Error) }) {
			return answer, err
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// topic looks at one topic; false says that it cannot be used.
func (i *inspection) topic(ctx context.Context, topic kafkago.Topic) bool {
	thing := "topic " + topic.Name
	switch {
	case isMissing(topic.Error):
		i.found = append(i.found, connector.Finding{
			Level: connector.FindingRefused, Thing: thing, Text: "it does not exist", Mend: i.sink.createCommand(topic.Name) + " (or set `create: true`)", Missing: true,
		})
		return false
	case topic.Error != nil:
		i.unread(thing, mend(topic.Error), "see what the brokers' log says of it")
		return false
	}
	replicas, insync := math.MaxInt, math.MaxInt
	for _, p := range topic.Partitions {
		replicas, insync = min(replicas, len(p.Replicas)), min(insync, len(p.Isr))
	}
	if _, err := i.sink.extents(ctx, topic.Name, len(topic.Partitions), kafkago.ReadCommitted); err != nil {
		i.unread(thing, mend(fmt.Errorf("it cannot be read: %w", err)), "see that this machine reaches every broker under its advertised.listeners, and may read the topic")
		return false
	}
	settings, err := i.sink.settings(ctx, topic.Name)
	if err != nil {
		i.warn(thing, "its settings cannot be read: "+err.Error(), "grant DescribeConfigs: kafka-acls.sh --add --allow-principal User:NAME --operation DescribeConfigs --topic "+topic.Name)
		return true
	}
	i.replication(thing, topic.Name, replicas, insync, settings)
	i.cleanup(thing, topic.Name, settings)
	if limit, err := strconv.Atoi(settings["max.message.bytes"]); err == nil && limit < maxChunk {
		i.warn(thing, fmt.Sprintf("it takes records of up to %d bytes; larger messages go to quarantine", limit), i.configure(topic.Name, "max.message.bytes=1048588"))
	}
	if topic.Name == i.sink.topics.events {
		i.ok(thing, "%d partitions, %d replicas, kept for %s", len(topic.Partitions), replicas, retention(settings))
	}
	return true
}

func (i *inspection) replication(thing, name string, replicas, insync int, settings map[string]string) {
	minimum, err := strconv.Atoi(settings["min.insync.replicas"])
	switch {
	case err == nil && minimum > replicas:
		i.refuse(thing, fmt.Sprintf("min.insync.replicas is %d, but it has %d replicas: nothing can be written", minimum, replicas),
			i.configure(name, fmt.Sprintf("min.insync.replicas=%d", max(1, replicas-1))))
	case replicas == 1:
		i.warn(thing, "it has one replica: what is acknowledged is lost with that broker's disk", "raise it to 3 with kafka-reassign-partitions.sh, and "+i.configure(name, "min.insync.replicas=2"))
	case err == nil && minimum < 2:
		i.warn(thing, "min.insync.replicas is 1: what one broker alone acknowledged can be lost with it", i.configure(name, "min.insync.replicas=2"))
	case err == nil && insync < minimum:
		i.warn(thing, fmt.Sprintf("%d replicas are in sync, %d are needed: commits wait", insync, minimum), "bring the brokers back that are missing")
	}
	if settings["unclean.leader.election.enable"] == "true" {
		i.warn(thing, "a replica that lags may become leader, and what was acknowledged be lost", i.configure(name, "unclean.leader.election.enable=false"))
	}
}

func (i *inspection) cleanup(thing, name string, settings map[string]string) {
	policy, ok := settings["cleanup.policy"]
	if !ok {
		return
	}
	compacts, deletes := strings.Contains(policy, "compact"), strings.Contains(policy, "delete")
	switch {
	case name == i.sink.topics.checkpoints && (!compacts || deletes):
		i.refuse(thing, fmt.Sprintf("cleanup.policy is %q: checkpoints of quiet streams would be deleted", policy), i.configure(name, "cleanup.policy=compact"))
	case name != i.sink.topics.checkpoints && compacts:
		i.refuse(thing, fmt.Sprintf("cleanup.policy is %q: only the newest record of each key would stay", policy), i.configure(name, "cleanup.policy=delete"))
	}
}

func (i *inspection) configure(topic, setting string) string {
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config %s", i.sink.config.Brokers[0], topic, setting)
}

func retention(settings map[string]string) string {
	ms, err := strconv.ParseInt(settings["retention.ms"], 10, 64)
	text := "an unknown time"
	if err == nil && ms < 0 {
		text = "ever"
	} else if err == nil {
		text = (time.Duration(ms) * time.Millisecond).String()
	}
	if limit := settings["retention.bytes"]; limit != "" && limit != "-1" {
		text += ", or up to " + limit + " bytes a partition"
	}
	return text
}

// settings reads a topic's settings.
func (s *Sink) settings(ctx context.Context, topic string) (map[string]string, error) {
	answer, err := s.client.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{Resources: []kafkago.DescribeConfigRequestResource{
		{ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic},
	}})
	if err != nil {
		return nil, fmt.Errorf("describe settings: %w", err)
	}
	settings := make(map[string]string)
	for _, resource := range answer.Resources {
		if resource.Error != nil {
			return nil, fmt.Errorf("describe settings: %w", resource.Error)
		}
		for _, entry := range resource.ConfigEntries {
			settings[entry.ConfigName] = entry.ConfigValue
		}
	}
	return settings, nil
}

// stream looks at what the sink holds of a stream, and at the right to write it.
func (i *inspection) stream(ctx context.Context, claim connector.Claim, partitions int) {
	s := i.sink
	thing := "stream " + claim.Stream.Name
	checkpoint, found, alias, err := s.checkpoints.newest(ctx, claim.Stream, false)
	switch {
	case err != nil:
		i.unread(thing, fmt.Errorf("its checkpoint cannot be read: %w", mend(err)), "see that the topic "+s.topics.checkpoints+" can be read")
	case found:
		i.known(claim, checkpoint, partitions)
	case alias != "":
		i.refusal(claim.RefuseAlias(alias))
	}
	// A producer that the broker does not know is refused after the rights were looked at, and nothing is begun.
	places := []place{{s.topics.events, 0}, {s.topics.checkpoints, 0}, {s.topics.quarantine, 0}}
	err = s.addPartitions(ctx, s.transactionalID(claim.Stream.Name), producer{math.MaxInt64, 0}, places)
	switch {
	case err == nil || fenced(err) || errors.Is(err, kafkago.InvalidProducerIDMapping):
	case errors.Is(err, kafkago.TransactionalIDAuthorizationFailed), errors.Is(err, kafkago.TopicAuthorizationFailed), errors.Is(err, kafkago.ClusterAuthorizationFailed):
		i.refuse(thing, "it may not be written: "+mend(err).Error(), "grant the right to whom the connector authenticates as")
	default:
		i.warn(thing, "the right to write it could not be checked: "+err.Error(), "try again, or see with `check --probe`")
	}
}

// known looks at a stream's checkpoint.
func (i *inspection) known(claim connector.Claim, checkpoint connector.Checkpoint, partitions int) {
	thing := "stream " + claim.Stream.Name
	if err := claim.Admit(checkpoint); err != nil {
		i.refusal(err)
		return
	}
	held, err := readPositions(checkpoint.Sink)
	switch {
	case err != nil:
		i.refuse(thing, err.Error(), "run the newer program")
	case held.Partitions > partitions:
		i.refuse(thing, fmt.Sprintf("topic %s has %d partitions, the stream was spread over %d", i.sink.topics.events, partitions, held.Partitions),
			fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --alter --topic %s --partitions %d", i.sink.config.Brokers[0], i.sink.topics.events, held.Partitions))
	case held.Partitions < partitions:
		i.warn(thing, fmt.Sprintf("topic %s has %d partitions, the stream uses the first %d, so that chats stay where they are", i.sink.topics.events, partitions, held.Partitions),
			fmt.Sprintf("none needed; run --accept-partitions %d uses them all and moves chats", partitions))
	default:
		i.ok(thing, "known, at sequence %d", checkpoint.Sequence)
	}
}

func (i *inspection) refusal(err error) {
	var refusal *connector.Refusal
	if errors.As(err, &refusal) {
		i.refuse(refusal.Thing, refusal.Cause, refusal.Mend)
	}
}
