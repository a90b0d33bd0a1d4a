package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// producer is what the broker knows a writer by. The epoch is the fence.
type producer struct {
	id    int64
	epoch int16
}

// nobody asks for a new producer: anything else, zero included, would be taken for a known one.
var nobody = producer{-1, -1}

// place is a partition of a topic.
type place struct {
	topic     string
	partition int32
}

// callTimeout bounds one request and its answer.
const callTimeout = 10 * time.Second

// takeOver makes a new producer of the transactional id, or, where current is known, raises its epoch. It ends an open
// transaction of the id and fences every earlier producer. Both forms can be repeated when their answer is lost. A current
// that is no longer the newest is refused as fenced.
func (s *Sink) takeOver(ctx context.Context, id string, current producer) (producer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	broken := 0
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		answer, err := s.client.InitProducerID(ctx, &kafkago.InitProducerIDRequest{
			TransactionalID: id, TransactionTimeoutMs: int(s.config.TransactionTimeout.Milliseconds()),
			ProducerID: int(current.id), ProducerEpoch: int(current.epoch),
		})
		if err == nil {
			err = answer.Error
		}
		switch {
		case err == nil:
			return producer{int64(answer.Producer.ProducerID), int16(answer.Producer.ProducerEpoch)}, nil
		case passing(err):
		case stale(err) && broken < 3:
			broken++
		default:
			return nobody, fmt.Errorf("init producer: %w", err)
		}
		if ctxErr := pause(ctx, wait); ctxErr != nil {
			return nobody, fmt.Errorf("init producer: %w", err)
		}
	}
}

// addPartitions announces to the coordinator where the transaction is going to write.
func (s *Sink) addPartitions(ctx context.Context, id string, who producer, places []place) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	topics := make(map[string][]kafkago.AddPartitionToTxn)
	for _, at := range places {
		topics[at.topic] = append(topics[at.topic], kafkago.AddPartitionToTxn{Partition: int(at.partition)})
	}
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		answer, err := s.client.AddPartitionsToTxn(ctx, &kafkago.AddPartitionsToTxnRequest{
			TransactionalID: id, ProducerID: int(who.id), ProducerEpoch: int(who.epoch), Topics: topics,
		})
		if err == nil {
			err = addPartitionsError(answer)
		}
		if err == nil || !passing(err) || pause(ctx, wait) != nil {
			return wrap("add partitions", err)
		}
	}
}

// notTried is OPERATION_NOT_ATTEMPTED, which kafka-go calls by another name.
const notTried = kafkago.Error(55)

// addPartitionsError is the most telling error of an answer: one refused partition has all others answered "not tried".
func addPartitionsError(answer *kafkago.AddPartitionsToTxnResponse) (found error) {
	for topic, partitions := range answer.Topics {
		for _, p := range partitions {
			if p.Error != nil && (found == nil || !errors.Is(p.Error, notTried)) {
				found = fmt.Errorf("%s/%d: %w", topic, p.Partition, p.Error)
			}
		}
	}
	return found
}

// endTransaction commits or aborts. Only nil means that it is done; a refusal that passes is asked again, as nothing was done.
func (s *Sink) endTransaction(ctx context.Context, id string, who producer, commit bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		answer, err := s.client.EndTxn(ctx, &kafkago.EndTxnRequest{
			TransactionalID: id, ProducerID: int(who.id), ProducerEpoch: int(who.epoch), Committed: commit,
		})
		if err == nil {
			err = answer.Error
		}
		if err == nil || !passing(err) || pause(ctx, wait) != nil {
			return wrap("end transaction", err)
		}
	}
}

// piece is one record batch on its way to a partition, and what the broker said to it.
type piece struct {
	at     place
	batch  []byte
	offset int64 // of its first record, once it is stored
	err    error // nil once it is stored
}

// produce sends the pieces, at most one for each partition: one request for each leader, as a broker refuses concurrent
// requests of one transaction. An error of a piece that is not answered is unclear.
func (s *Sink) produce(ctx context.Context, id string, pieces []*piece) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	leaders, err := s.leaders(ctx)
	if err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	byLeader := make(map[int][]*piece)
	for _, p := range pieces {
		leader, ok := leaders[p.at]
		if !ok {
			return fmt.Errorf("produce: %s/%d: %w", p.at.topic, p.at.partition, kafkago.BrokerNotAvailable)
		}
		byLeader[leader] = append(byLeader[leader], p)
	}
	var wait sync.WaitGroup
	for _, group := range byLeader {
		wait.Go(func() { s.produceTo(ctx, id, group) })
	}
	wait.Wait()
	return nil
}

func (s *Sink) produceTo(ctx context.Context, id string, pieces []*piece) {
	request := &rawproduce.Request{TransactionalID: id, Acks: int16(kafkago.RequireAll), Timeout: int32(callTimeout.Milliseconds())}
	topics := make(map[string]int)
	for _, p := range pieces {
		i, ok := topics[p.at.topic]
		if !ok {
			i = len(request.Topics)
			topics[p.at.topic] = i
			request.Topics = append(request.Topics, rawproduce.RequestTopic{Topic: p.at.topic})
		}
		part := rawproduce.RequestPartition{Partition: p.at.partition}
		part.RecordSet.Reader = bytes.NewReader(p.batch)
		request.Topics[i].Partitions = append(request.Topics[i].Partitions, part)
	}
	response, err := s.transport.RoundTrip(ctx, s.client.Addr, request)
	if err == nil {
		err = errNoAnswer
	}
	answers := make(map[place]*produce.ResponsePartition)
	if answer, ok := response.(*produce.Response); ok {
		for i := range answer.Topics {
			t := &answer.Topics[i]
			for j := range t.Partitions {
				answers[place{t.Topic, t.Partitions[j].Partition}] = &t.Partitions[j]
			}
		}
	}
	for _, p := range pieces {
		answer := answers[p.at]
		switch {
		case answer == nil:
			p.err = fmt.Errorf("produce to %s/%d: %w", p.at.topic, p.at.partition, err)
		case answer.ErrorCode != 0:
			p.err = fmt.Errorf("produce to %s/%d: %w", p.at.topic, p.at.partition, kafkago.Error(answer.ErrorCode))
		default:
			p.err, p.offset = nil, answer.BaseOffset
		}
	}
}

// leaders says which broker leads each partition of the sink's topics, as of the newest metadata.
func (s *Sink) leaders(ctx context.Context) (map[place]int, error) {
	answer, err := s.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: s.topics.all()})
	if err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	found := make(map[place]int)
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if p.Error == nil && p.Leader.Host != "" {
				found[place{t.Name, int32(p.ID)}] = p.Leader.ID
			}
		}
	}
	return found, nil
}

func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", operation, err)
}
