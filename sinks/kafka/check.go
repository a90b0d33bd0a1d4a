package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	gone  error // Kafka became unreachable during the check
}

func (i *inspection) ok(thing, format string, args ...any) {
	i.found = append(i.found,
		connector.Finding{Level: connector.FindingOK, Thing: thing, Text: fmt.Sprintf(format, args...)})
}

func (i *inspection) warn(thing, text, hint string) {
	i.found = append(i.found, connector.Finding{Level: connector.FindingWarning, Thing: thing, Text: text, Hint: hint})
}

func (i *inspection) refuse(thing, text, hint string) {
	i.found = append(i.found, connector.Finding{Level: connector.FindingRefused, Thing: thing, Text: text, Hint: hint})
}

// unread records that something could not be read. If Kafka itself gives the reason, it is a finding; if Kafka is down
// or not ready, the whole check fails.
func (i *inspection) unread(thing string, err error, hint string) {
	gone := asNotNow(i.sink.hints.asRefusal(err))
	var refusal *connector.Refusal
	switch {
	case errors.As(gone, &refusal):
		i.refuse(refusal.Thing, refusal.Cause, refusal.Hint)
	case errors.Is(gone, connector.ErrNotNow):
		i.gone = gone
	default:
		i.refuse(thing, err.Error(), hint)
	}
}

// Check checks the brokers, topics and rights.
func (s *Sink) Check(ctx context.Context, claims []connector.Claim) ([]connector.Finding, error) {
	i := &inspection{sink: s}
	v, err := s.settledTopics(ctx)
	if err != nil {
		return i.refusal(fmt.Errorf("check: %w", s.hints.asRefusal(asNotNow(err))))
	}
	i.ok("brokers", "%d of cluster %s answer", len(v.answered), v.id)
	if need := strangers(s.config.Compression); need != "" {
		i.warn("sink.kafka.compression", s.config.Compression+" stops some consumers at the first record: "+need,
			"set `sink.kafka.compression: gzip` if such consumers read the topic, or install the package for them")
	}
	missing := false
	for _, topic := range s.topics.all() {
		if !i.topic(ctx, v, topic) {
			missing = true
		}
	}
	i.transactions(ctx, v)
	if missing && i.gone == nil {
		i.beside(ctx, v)
	}
	if !missing {
		i.group(ctx)
		for _, claim := range claims {
			i.stream(ctx, claim, len(v.topics[s.topics.events].partitions))
		}
	}
	if i.gone != nil {
		return nil, fmt.Errorf("check: %w", i.gone)
	}
	return i.found, nil
}

// refusal adds an error to the findings if it is a refusal; any other error ends the check.
func (i *inspection) refusal(err error) ([]connector.Finding, error) {
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) {
		return nil, err
	}
	i.refuse(refusal.Thing, refusal.Cause, refusal.Hint)
	return i.found, nil
}

// missingTime is how long a topic must be unknown before it counts as missing: a broker that has just started knows no
// topics for some seconds.
const missingTime = 8 * time.Second

// settledTopics is what the brokers report of the sink's topics. It asks again while they do not know one of them.
func (s *Sink) settledTopics(ctx context.Context) (*view, error) {
	for until := time.Now().Add(missingTime); ; {
		v, err := s.cluster.settled(ctx, time.Now())
		passing := errors.Is(err, connector.ErrNotNow) ||
			err == nil && slices.ContainsFunc(s.topics.all(), func(name string) bool { return isMissing(v.topics[name].err) })
		if !passing || time.Now().After(until) {
			return v, err
		}
		if err := connector.Sleep(ctx, 500*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// topic checks one topic, and returns false if it cannot be used.
func (i *inspection) topic(ctx context.Context, v *view, name string) bool {
	thing := "topic " + name
	topic := v.topics[name]
	switch {
	case isMissing(topic.err), topic.err == nil && len(topic.partitions) == 0:
		hint := i.sink.maker.createCommand(name, i.sink.maker.replicasNow(ctx))
		if !i.sink.config.Create {
			hint += " (or set `sink.kafka.create: true`)"
		}
		i.found = append(i.found, connector.Finding{
			Level: connector.FindingRefused, Thing: thing, Text: "it does not exist", Hint: hint, Missing: true,
		})
		return false
	case topic.err != nil:
		i.unread(thing, topic.err, "see what the brokers' log says about it")
		return false
	}
	if _, err := i.sink.client.extents(ctx, name, len(topic.partitions), kafkago.ReadCommitted); err != nil {
		i.unread(thing, fmt.Errorf("it cannot be read: %w", err),
			"check that the topic has leaders: "+i.sink.hints.describeCommand(name))
		return false
	}
	settings, err := i.sink.client.topicSettings(ctx, name)
	if err != nil {
		i.unseen(thing, name, err)
		return true
	}
	i.replication(thing, name, topic, len(v.brokers), settings)
	i.drift(thing, name, topic, len(v.brokers), settings)
	i.cleanup(thing, name, settings)
	if limit, err := strconv.Atoi(settings["max.message.bytes"]); err == nil && limit < maxChunk {
		i.warn(thing, fmt.Sprintf("it accepts records of up to %d bytes; larger messages go to the quarantine", limit),
			i.sink.hints.configureCommand(name, "max.message.bytes=1048588"))
	}
	if name == i.sink.topics.events {
		replicas, _ := topic.least()
		i.ok(thing, "%d partitions, %d replicas, kept for %s", len(topic.partitions), replicas, retention(settings))
	}
	return true
}

// unseen records that a topic's settings could not be read.
func (i *inspection) unseen(thing, name string, err error) {
	if gone := asNotNow(err); errors.Is(gone, connector.ErrNotNow) {
		i.gone = gone
		return
	}
	i.warn(thing, "its settings cannot be read: "+errorText(err),
		i.sink.hints.aclCommand("--operation DescribeConfigs --topic "+name))
}

// beside checks whether a missing topic existed when another one was written to.
func (i *inspection) beside(ctx context.Context, v *view) {
	missing, err := i.sink.maker.absent(v)
	if err == nil {
		err = i.sink.maker.lostBeside(ctx, v, missing)
	}
	var refusal *connector.Refusal
	switch {
	case errors.As(err, &refusal):
		i.found = slices.DeleteFunc(i.found, func(f connector.Finding) bool { return f.Missing && f.Thing == refusal.Thing })
		i.refuse(refusal.Thing, refusal.Cause, refusal.Hint)
	case err != nil:
		i.gone = err
	}
}

// least returns the smallest number of replicas of any partition, and the smallest number of replicas in sync.
func (t seenTopic) least() (replicas, insync int) {
	replicas, insync = math.MaxInt, math.MaxInt
	for _, p := range t.partitions {
		replicas, insync = min(replicas, len(p.replicas)), min(insync, len(p.isr))
	}
	return replicas, insync
}

func (i *inspection) replication(thing, name string, topic seenTopic, brokers int, settings map[string]string) {
	replicas, insync := topic.least()
	minimum, err := strconv.Atoi(settings["min.insync.replicas"])
	switch {
	case err == nil && minimum > replicas:
		i.refuse(thing, fmt.Sprintf("min.insync.replicas is %d, but it has %d replicas: nothing can be written", minimum,
			replicas),
			i.sink.hints.configureCommand(name, fmt.Sprintf("min.insync.replicas=%d", max(1, replicas-1))))
	case replicas == 1 && brokers == 1:
		i.warn(thing, "it has one replica: acknowledged records are lost with that broker's disk",
			"add two brokers, and give it three replicas")
	case replicas < wantedReplicas && brokers > replicas:
		i.warn(thing, fmt.Sprintf("it has %d of the %d possible replicas: acknowledged records can be lost "+
			"with that many brokers", replicas, min(brokers, wantedReplicas)),
			i.reassign(name, topic, wantedReplicas)+" && "+
				i.sink.hints.configureCommand(name, fmt.Sprintf("min.insync.replicas=%d", min(brokers, wantedReplicas)-1)))
	case err == nil && minimum < 2 && replicas > 2:
		i.warn(thing, "min.insync.replicas is 1: records that only one broker acknowledged can be lost with it",
			i.sink.hints.configureCommand(name, "min.insync.replicas=2"))
	case err == nil && insync < minimum:
		i.warn(thing, fmt.Sprintf("%d replicas are in sync, %d are needed: commits wait", insync, minimum),
			"restart the missing brokers")
	}
	if settings["unclean.leader.election.enable"] == "true" {
		i.warn(thing, "a replica that lags may become leader, and acknowledged records be lost",
			i.sink.hints.configureCommand(name, "unclean.leader.election.enable=false"))
	}
}

// reassign is the command that gives each partition of a topic so many replicas, or as many as there are brokers.
func (i *inspection) reassign(name string, topic seenTopic, wanted int) string {
	known, err := i.sink.cluster.known(context.Background()) // what was read a moment ago
	if err != nil {
		return i.sink.hints.describeCommand(name)
	}
	ids := slices.Sorted(maps.Keys(known.brokers))
	var parts []string
	for _, p := range slices.Sorted(maps.Keys(topic.partitions)) {
		replicas := slices.Clone(topic.partitions[p].replicas)
		for n := range ids { // each partition begins with another broker, so that they are spread
			id := ids[(n+int(p))%len(ids)]
			if len(replicas) < wanted && !slices.Contains(replicas, id) {
				replicas = append(replicas, id)
			}
		}
		list := strings.Trim(strings.ReplaceAll(fmt.Sprint(replicas), " ", ","), "[]")
		parts = append(parts, fmt.Sprintf(`{"topic":"%s","partition":%d,"replicas":[%s]}`, name, p, list))
	}
	return "`" + fmt.Sprintf(`echo '{"version":1,"partitions":[%s]}' > reassign.json && `+
		`kafka-reassign-partitions.sh --bootstrap-server %s --reassignment-json-file reassign.json --execute`,
		strings.Join(parts, ","), i.sink.config.Brokers[0]) + "`"
}

// transactions checks the topic in which the brokers keep their transactions: if it is lost, nothing fences a former
// owner.
func (i *inspection) transactions(ctx context.Context, v *view) {
	thing := "topic " + transactionsTopic
	found, err := i.sink.client.describe(ctx, transactionsTopic)
	if err != nil || found.ErrorCode != 0 || len(found.Partitions) == 0 {
		return // it is created with the first transaction, or may not be seen by us
	}
	topic := seenTopic{}.with(found)
	replicas, _ := topic.least()
	if replicas < wantedReplicas && len(v.brokers) > replicas {
		i.warn(thing, fmt.Sprintf("it has %d of the %d possible replicas: without it no commit is possible",
			replicas, min(len(v.brokers), wantedReplicas)),
			i.reassign(transactionsTopic, topic, wantedReplicas))
	}
	settings, err := i.sink.client.topicSettings(ctx, transactionsTopic)
	if err != nil {
		return
	}
	if n, err := strconv.Atoi(settings["min.insync.replicas"]); err == nil && n < 2 && replicas > 2 {
		i.warn(thing, "min.insync.replicas is 1: the fencing of a former owner can be lost with one broker",
			i.sink.hints.configureCommand(transactionsTopic, "min.insync.replicas=2"))
	}
	if settings["unclean.leader.election.enable"] == "true" {
		i.warn(thing, "a replica that lags may become leader, and then two owners write at the same time",
			i.sink.hints.configureCommand(transactionsTopic, "unclean.leader.election.enable=false"))
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
		i.refuse(thing, fmt.Sprintf("cleanup.policy is %q: checkpoints of quiet streams would be deleted", policy),
			i.sink.hints.configureCommand(name, "cleanup.policy=compact"))
	case name != i.sink.topics.checkpoints && compacts:
		i.refuse(thing, fmt.Sprintf("cleanup.policy is %q: only the newest record of each key would stay", policy),
			i.sink.hints.configureCommand(name, "cleanup.policy=delete"))
	}
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

// stream checks what the sink holds of a stream, and the right to write it.
func (i *inspection) stream(ctx context.Context, claim connector.Claim, partitions int) {
	s := i.sink
	thing := "stream " + claim.Stream.Name
	seen, err := s.checkpoints.newest(ctx, claim.Stream, false)
	switch {
	case err != nil:
		i.unread(thing, fmt.Errorf("its checkpoint cannot be read: %w", err),
			"check the topic: "+i.sink.hints.describeCommand(s.topics.checkpoints))
	case seen.found:
		i.known(claim, seen.checkpoint, partitions)
	case seen.alias != "":
		_, _ = i.refusal(claim.RefuseAlias(seen.alias))
	}
	// A producer that the broker does not know is refused only after the rights were checked, and nothing is started.
	targets := []topicPartition{{s.topics.events, 0}, {s.topics.checkpoints, 0}, {s.topics.quarantine, 0}}
	err = s.client.addPartitions(ctx, s.transactionalID(claim.Stream.Name), producer{math.MaxInt64, 0}, targets)
	switch {
	case err == nil || isFenced(err) || errors.Is(err, kafkago.InvalidProducerIDMapping):
	default:
		i.unwritable(thing, err)
	}
}

// unwritable records why the right to write could not be verified.
func (i *inspection) unwritable(thing string, err error) {
	var refusal *connector.Refusal
	switch judged := i.sink.hints.asRefusal(err); {
	case errors.As(judged, &refusal):
		i.refuse(thing, "it may not be written: "+refusal.Thing+": "+refusal.Cause, refusal.Hint)
	case errors.Is(asNotNow(err), connector.ErrNotNow):
		i.gone = asNotNow(err)
	default:
		i.warn(thing, "the right to write it could not be checked: "+err.Error(),
			"try again, or test it with `twochat-connector check --probe`")
	}
}

// known checks a stream's checkpoint.
func (i *inspection) known(claim connector.Claim, checkpoint connector.Checkpoint, partitions int) {
	thing := "stream " + claim.Stream.Name
	if err := claim.Admit(checkpoint); err != nil {
		_, _ = i.refusal(err)
		return
	}
	held, err := readPositions(checkpoint.Sink)
	switch {
	case err != nil:
		i.refuse(thing, err.Error(), "use the newer version of the program")
	case held.Partitions > partitions:
		i.refuse(thing, fmt.Sprintf("topic %s has %d partitions, but the stream was spread over %d", i.sink.topics.events,
			partitions, held.Partitions),
			i.sink.hints.partitionsCommand(i.sink.topics.events, held.Partitions))
	case held.Partitions < partitions:
		i.warn(thing, fmt.Sprintf("topic %s has %d partitions; the stream uses the first %d, so that chats stay where "+
			"they are", i.sink.topics.events, partitions, held.Partitions),
			fmt.Sprintf("no action is needed; `twochat-connector run --accept-partitions %d` uses all of them, but moves chats", partitions))
	default:
		i.ok(thing, "known, at sequence %d", checkpoint.Sequence)
	}
}
