package kafka

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// transaction writes one commit: it holds what is written to each partition until the brokers have all of it.
type transaction struct {
	sink    *Sink
	session *session
	parts   []*partitionBatch
	offsets []int64 // the end of each partition of the events, once all is written
	at      time.Time
}

// sort sorts what a commit writes by partition.
func (t *transaction) sort(
	claim connector.Claim, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint,
) error {
	known := make(map[topicPartition]*partitionBatch)
	partOf := func(topic string, partition int32) *partitionBatch {
		at := topicPartition{topic, partition}
		found := known[at]
		if found == nil {
			found = &partitionBatch{at: at}
			known[at] = found
			t.parts = append(t.parts, found)
		}
		return found
	}
	for i := range events {
		to := partOf(t.sink.topics.events, t.session.events.of([]byte(events[i].Chat)))
		to.events = append(to.events, &events[i])
	}
	put := func(topic string, r *record) {
		to := partOf(topic, t.session.homes[topic].of(r.key))
		to.records = append(to.records, r)
	}
	for i := range rejects {
		value, err := rejects[i].AppendJSON(nil, claim.Stream, claim.TypePrefix)
		if err != nil {
			return err
		}
		put(t.sink.topics.quarantine, &record{
			key: []byte(claim.Stream.Name), value: value, headers: structuredHeaders(), reject: &rejects[i],
		})
	}
	raw, err := t.session.positions.encode()
	if err != nil {
		return err
	}
	next.Sink = raw
	value, err := next.AppendJSON(nil, claim.TypePrefix)
	if err != nil {
		return err
	}
	put(t.sink.topics.checkpoints, &record{key: []byte(claim.Stream.Name), value: value, headers: structuredHeaders()})
	return nil
}

// partitions lists the partitions that the transaction writes to.
func (t *transaction) partitions() []topicPartition {
	list := make([]topicPartition, len(t.parts))
	for i, part := range t.parts {
		list[i] = part.at
	}
	return list
}

// encode makes the next batch for each partition that has none, as many concurrently as the sink has encoders.
func (t *transaction) encode() error {
	errs := make([]error, len(t.parts))
	var wait sync.WaitGroup
	for i, part := range t.parts {
		if part.batch == nil {
			encoder := <-t.sink.encoders
			wait.Go(func() {
				part.batch, part.sent, errs[i] = encoder.encode(part.next(&encoder.draft, t.sink.encoding), t.session.chunk, t.at)
				t.sink.encoders <- encoder
			})
		}
	}
	wait.Wait()
	return errors.Join(errs...)
}

// produce sends one batch to each partition at a time, and records in offsets the new end of each partition of the
// events. A batch that is too large is halved; a single message that is too large is rejected.
func (t *transaction) produce(ctx context.Context, who producer) error {
	for len(t.parts) > 0 {
		if err := t.encode(); err != nil {
			return err
		}
		batches := make([]*produceBatch, len(t.parts))
		for i, part := range t.parts {
			if err := stampBatch(part.batch, who, part.sequence); err != nil {
				return err
			}
			batches[i] = &produceBatch{at: part.at, batch: part.batch}
		}
		if err := t.session.client.produce(ctx, t.session.id, batches); err != nil {
			return err
		}
		var rest []*partitionBatch
		for i, part := range t.parts {
			if err := t.settle(part, batches[i]); err != nil {
				return err
			}
			if part.left() > 0 {
				rest = append(rest, part)
			}
		}
		t.parts = rest
	}
	return nil
}

// settle handles the broker's answer to a batch.
func (t *transaction) settle(part *partitionBatch, answer *produceBatch) error {
	sent := part.sent
	switch {
	case answer.err == nil:
		if err := t.advanced(part.at, answer.offset, int64(sent)); err != nil {
			return err
		}
		part.stored(sent)
		part.limit = 0
	case !isTooLarge(answer.err):
		return answer.err
	case sent > 1:
		t.session.chunk = max(t.session.chunk/2, 16<<10)
		part.limit = sent / 2
	case len(part.events) > 0:
		return part.tooLarge(part.events[0].Key)
	case part.records[0].reject != nil && len(part.records[0].reject.Raw) > 0: // it can do without its item
		return part.tooLarge(part.records[0].reject.Key)
	default:
		return &connector.Refusal{
			Thing: "topic " + part.at.topic, Cause: "it does not accept a record as large as this one",
			Hint: t.sink.hints.configureCommand(part.at.topic, fmt.Sprintf("max.message.bytes=%d", checkpointBytes)),
		}
	}
	part.batch = nil
	return nil
}

// tooLarge rejects the message of the only record of a batch.
func (a *partitionBatch) tooLarge(key connector.Key) error {
	return &connector.Rejected{Key: key, Reason: "it is larger than topic " + a.at.topic + " accepts (max.message.bytes)"}
}

// advanced records the new end of a partition. It refuses a partition that ended further up before: it was recreated or
// lost its end, and what this log wrote to it is gone.
func (t *transaction) advanced(at topicPartition, offset, sent int64) error {
	before := int64(0)
	switch at.topic {
	case t.sink.topics.events:
		before = t.offsets[at.partition]
		t.offsets[at.partition] = offset + sent
	case t.sink.topics.checkpoints:
		if t.session.wrote.home == at.partition {
			before = t.session.wrote.end
		}
		t.session.wrote.home, t.session.wrote.end = at.partition, offset+sent
	}
	if offset >= before {
		return nil
	}
	return &connector.Refusal{
		Thing: fmt.Sprintf("topic %s, partition %d", at.topic, at.partition),
		Cause: fmt.Sprintf("it went back from offset %d to %d while this instance was running: it was recreated, or the brokers "+
			"lost its end", before, offset),
		Hint: "restore it, or continue without its former records with `twochat-connector run --first-start`",
	}
}

// checkpointBytes is the largest record that the topics of checkpoints and quarantine are configured to accept.
const checkpointBytes = 10 << 20

func isTooLarge(err error) bool {
	return errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge)
}

// maxChunk limits a record batch to less than the brokers' default limit of 1 MiB even if compression gains nothing. If
// a topic has a lower limit, it answers "too large", and the batch is cut until it fits.
const maxChunk = 900 << 10

// partitionBatch is what a commit writes to one partition, in order.
type partitionBatch struct {
	at       topicPartition
	events   []*connector.Event // if it is the events topic
	records  []*record          // if it is another topic
	sequence int32              // of the first record that is not stored
	sent     int                // how many are in the current batch
	batch    []byte             // encoded ahead, for sent records
	limit    int                // the most records in the next batch; 0 for no limit
}

// left is how many records are not stored yet.
func (a *partitionBatch) left() int { return len(a.events) + len(a.records) }

// stored removes the first n records, which the broker has stored.
func (a *partitionBatch) stored(n int) {
	if len(a.events) > 0 {
		a.events = a.events[n:]
	} else {
		a.records = a.records[n:]
	}
	a.sequence += int32(n)
}

// next lists the records that may go into the next batch. An event becomes a record, in the draft's memory, only when
// its turn comes, so that a large commit does not hold its events twice.
func (a *partitionBatch) next(d *draft, enc connector.Encoding) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		for i := range a.left() {
			if a.limit > 0 && i == a.limit {
				return
			}
			var r *record
			if len(a.events) > 0 {
				r = d.of(a.events[i], enc)
			} else {
				r = a.records[i]
			}
			if !yield(r) {
				return
			}
		}
	}
}
