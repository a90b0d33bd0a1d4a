package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/createtopics"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Probe tests on these brokers what the promise depends on: that a writer with an earlier epoch is refused at every
// step, and that readers of committed records see nothing of an aborted transaction. Products that imitate Kafka differ
// there. It uses its own topic and transactional id, and deletes the topic if it created it. An error means that it
// could not be tested.
func (s *Sink) Probe(ctx context.Context) ([]connector.Finding, error) {
	name := s.topics.events + ".probe"
	p := &probe{inspection: inspection{sink: s}, at: topicPartition{name, 0}, id: "twochat-connector." + name}
	own := newCluster(s.config, []string{name})
	p.own = &client{cluster: own, transactionTimeout: s.config.TransactionTimeout}
	made, err := p.make(ctx)
	if err == nil {
		err = p.run(ctx)
		if made {
			p.remove(ctx)
		}
	}
	own.close()
	if err != nil {
		return p.found, fmt.Errorf("probe: %w", s.hints.asRefusal(asNotNow(err)))
	}
	return p.found, nil
}

type probe struct {
	inspection
	own *client // for the probe's topic only
	at  topicPartition
	id  string
}

// make creates the probe's topic if it is missing.
func (p *probe) make(ctx context.Context) (made bool, err error) {
	answers, err := p.own.createTopics(ctx, &createtopics.Request{Topics: []createtopics.RequestTopic{{
		Name: p.at.topic, NumPartitions: 1, ReplicationFactor: 1,
		Configs: []createtopics.RequestConfig{
			{Name: "retention.ms", Value: "3600000"}, {Name: "min.insync.replicas", Value: "1"},
		},
	}}})
	if err == nil && len(answers) != 1 {
		err = errNoAnswer
	}
	if err != nil {
		return false, fmt.Errorf("create topic %s: %w", p.at.topic, err)
	}
	switch err := codeError(answers[0].ErrorCode); {
	case errors.Is(err, kafkago.TopicAlreadyExists):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("create topic %s (create it yourself, with one partition): %w", p.at.topic,
			err)
	}
	return true, nil
}

func (p *probe) remove(ctx context.Context) {
	err := p.own.deleteTopic(ctx, p.at.topic)
	if err != nil {
		p.warn("topic "+p.at.topic, "the probe's topic could not be deleted: "+err.Error(),
			"`kafka-topics.sh --bootstrap-server "+p.sink.config.Brokers[0]+" --delete --topic "+p.at.topic+"`")
	}
}

func (p *probe) run(ctx context.Context) error {
	if _, err := p.own.extents(ctx, p.at.topic, 1, kafkago.ReadCommitted); err != nil { // a new topic takes a moment
		return err
	}
	stale, err := p.own.initProducerID(ctx, p.id, noProducer)
	if err != nil {
		return err
	}
	current, err := p.own.initProducerID(ctx, p.id, stale)
	if err != nil {
		return err
	}
	if current == stale {
		p.refuse("raised epoch", "the broker did not raise the epoch when asked to", notKafka)
	}
	if err := p.begin(ctx, current); err != nil {
		return err
	}
	// These are requests of the same owner's earlier epoch that arrive late.
	p.refused("a late write", p.write(ctx, stale, 0))
	p.refused("a late announcement of partitions", p.own.addPartitions(ctx, p.id, stale, []topicPartition{p.at}))
	p.refused("a late commit", p.own.commitTransaction(ctx, p.id, stale))

	// Now a new owner comes while a transaction is open.
	owner, err := p.own.initProducerID(ctx, p.id, noProducer)
	if err != nil {
		return err
	}
	before, err := p.own.extents(ctx, p.at.topic, 1, kafkago.ReadCommitted)
	if err != nil {
		return err
	}
	if err := p.begin(ctx, owner); err != nil {
		return err
	}
	p.refused("a write of a fenced owner", p.write(ctx, current, 1))
	p.refused("a commit of a fenced owner", p.own.commitTransaction(ctx, p.id, current))
	if err := p.own.commitTransaction(ctx, p.id, owner); err != nil {
		return err
	}
	if err := p.committed(ctx, before[0].end); err != nil {
		return err
	}
	_, err = p.own.initProducerID(ctx, p.id, current)
	p.refused("a raised epoch of a fenced owner", err)
	return nil
}

const notKafka = "use Apache Kafka 3.9 or newer, or another sink: two instances, or a crash, can double or lose " +
	"messages here"

func (p *probe) refused(what string, err error) {
	switch {
	case isFenced(err):
		p.ok(what, "refused, as required")
	case err == nil:
		p.refuse(what, "the broker accepts it", notKafka)
	default:
		p.warn(what, "the broker's answer is not that the producer is fenced: "+err.Error(),
			"please report it; the request is refused, so the promise holds")
	}
}

// begin opens a transaction that contains one record.
func (p *probe) begin(ctx context.Context, who producer) error {
	if err := p.own.addPartitions(ctx, p.id, who, []topicPartition{p.at}); err != nil {
		return err
	}
	return p.write(ctx, who, 0)
}

func (p *probe) write(ctx context.Context, who producer, sequence int32) error {
	batch, err := encodeBatch(&record{key: []byte("probe"), value: []byte("{}")}, time.Now())
	if err != nil {
		return err
	}
	if err := stampBatch(batch, who, sequence); err != nil {
		return err
	}
	batches := []*produceBatch{{at: p.at, batch: batch}}
	if err := p.own.produce(ctx, p.id, batches); err != nil {
		return err
	}
	return batches[0].err
}

// committed checks that readers get exactly one record, the committed one, from an offset on.
func (p *probe) committed(ctx context.Context, since int64) error {
	ends, err := p.own.extents(ctx, p.at.topic, 1, kafkago.ReadUncommitted)
	if err != nil {
		return err
	}
	total, fresh := 0, 0
	_, err = p.own.read(ctx, p.at, ends[0].start, ends[0].end, p.own.transactionEnd(), func(r *protocol.Record) error {
		total++
		if r.Offset >= since {
			fresh++
		}
		return nil
	})
	if err != nil {
		return err
	}
	if fresh != 1 {
		p.refuse("a committed record", fmt.Sprintf("readers of committed records find %d records of one commit", fresh),
			notKafka)
	} else {
		p.ok("committed and aborted records", "distinguished; %d records of the topic are committed", total)
	}
	return nil
}
