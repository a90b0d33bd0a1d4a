package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// producer is what the broker knows a writer by. The epoch is the fence.
type producer struct {
	id    int64
	epoch int16
}

// noProducer asks for a new producer: anything else, zero included, would be taken for a known one.
var noProducer = producer{-1, -1}

// topicPartition is a partition of a topic.
type topicPartition struct {
	topic     string
	partition int32
}

// initProducerID makes a new producer of the transactional id, or, where current is known, raises its epoch. It ends an open
// transaction of the id and fences every earlier producer. Both forms can be repeated when their answer is lost. A current
// that is no longer the newest is refused as fenced.
func (s *Sink) initProducerID(ctx context.Context, id string, current producer) (producer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request := &initproducerid.Request{
		TransactionalID: id, TransactionTimeoutMs: int32(s.config.TransactionTimeout.Milliseconds()),
		ProducerID: current.id, ProducerEpoch: current.epoch,
	}
	broken := 0
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		made := noProducer
		response, err := s.cluster.transact(ctx, id, tryTime, request)
		if err == nil {
			made, err = madeProducer(response)
		}
		switch {
		case err == nil:
			return made, nil
		case isRetriable(err):
			s.cluster.moved(id, err)
		case isBrokenConn(err) && broken < 3 && ctx.Err() == nil:
			broken++
		default:
			return noProducer, fmt.Errorf("init producer: %w", err)
		}
		if ctxErr := pause(ctx, wait); ctxErr != nil {
			return noProducer, fmt.Errorf("init producer: %w", err)
		}
	}
}

func madeProducer(response protocol.Message) (producer, error) {
	answer, ok := response.(*initproducerid.Response)
	if !ok {
		return noProducer, errNoAnswer
	}
	return producer{answer.ProducerID, answer.ProducerEpoch}, codeError(answer.ErrorCode)
}

// addPartitions announces to the coordinator where the transaction is going to write.
func (s *Sink) addPartitions(ctx context.Context, id string, who producer, partitions []topicPartition) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request := &addpartitionstotxn.Request{TransactionalID: id, ProducerID: who.id, ProducerEpoch: who.epoch}
	topics := make(map[string]int)
	for _, at := range partitions {
		i, ok := topics[at.topic]
		if !ok {
			i = len(request.Topics)
			topics[at.topic] = i
			request.Topics = append(request.Topics, addpartitionstotxn.RequestTopic{Name: at.topic})
		}
		request.Topics[i].Partitions = append(request.Topics[i].Partitions, at.partition)
	}
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		response, err := s.cluster.transact(ctx, id, callTimeout, request)
		if err == nil {
			err = addPartitionsError(response)
		}
		if err == nil || !isRetriable(err) || pause(ctx, wait) != nil {
			return wrap("add partitions", err)
		}
		s.cluster.moved(id, err)
	}
}

// notTried is OPERATION_NOT_ATTEMPTED, which kafka-go calls by another name.
const notTried = kafkago.Error(55)

// addPartitionsError is the most telling error of an answer: one refused partition has all others answered "not tried".
func addPartitionsError(response protocol.Message) (found error) {
	answer, ok := response.(*addpartitionstotxn.Response)
	if !ok {
		return errNoAnswer
	}
	for _, topic := range answer.Results {
		for _, p := range topic.Results {
			if p.ErrorCode != 0 && (found == nil || !errors.Is(kafkago.Error(p.ErrorCode), notTried)) {
				found = fmt.Errorf("%s/%d: %w", topic.Name, p.PartitionIndex, kafkago.Error(p.ErrorCode))
			}
		}
	}
	return found
}

// commitTransaction commits. Only nil means that it is done.
func (s *Sink) commitTransaction(ctx context.Context, id string, who producer) error {
	return s.endTransaction(ctx, id, who, true)
}

// abortTransaction takes back what was written. Only nil means that it is done.
func (s *Sink) abortTransaction(ctx context.Context, id string, who producer) error {
	return s.endTransaction(ctx, id, who, false)
}

// endTransaction asks again when it is refused for a reason that passes, as nothing was done then.
func (s *Sink) endTransaction(ctx context.Context, id string, who producer, commit bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		response, err := s.cluster.transact(ctx, id, callTimeout, &endtxn.Request{
			TransactionalID: id, ProducerID: who.id, ProducerEpoch: who.epoch, Committed: commit,
		})
		if err == nil {
			answer, ok := response.(*endtxn.Response)
			if !ok {
				return fmt.Errorf("end transaction: %w", errNoAnswer)
			}
			err = codeError(answer.ErrorCode)
		}
		if err == nil || !isRetriable(err) || pause(ctx, wait) != nil {
			return wrap("end transaction", err)
		}
		s.cluster.moved(id, err)
	}
}

// produceBatch is one record batch on its way to a partition, and what the broker said to it.
type produceBatch struct {
	at     topicPartition
	batch  []byte
	offset int64 // of its first record, once it is stored
	err    error // nil once it is stored
}

// produce sends the batches, at most one for each partition: one request for each leader, as a broker refuses concurrent
// requests of one transaction. Whether a batch without an answer was stored is unclear.
func (s *Sink) produce(ctx context.Context, id string, batches []*produceBatch) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	v, err := s.cluster.known(ctx)
	if err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	byLeader := make(map[int32][]*produceBatch)
	for _, p := range batches {
		lead, err := v.of(p.at)
		if err != nil {
			s.cluster.doubt()
			return fmt.Errorf("produce: %s/%d: %w", p.at.topic, p.at.partition, &unaskedError{"find the leader", err})
		}
		byLeader[lead.leader] = append(byLeader[lead.leader], p)
	}
	var wait sync.WaitGroup
	for leader, group := range byLeader {
		wait.Go(func() { s.produceTo(ctx, leader, id, group) })
	}
	wait.Wait()
	return nil
}

// produceTime is how long a leader may wait for its replicas; less than the connection does, so that it can say so.
const produceTime = 7 * time.Second

func (s *Sink) produceTo(ctx context.Context, leader int32, id string, batches []*produceBatch) {
	request := &rawproduce.Request{TransactionalID: id, Acks: int16(kafkago.RequireAll), Timeout: int32(produceTime.Milliseconds())}
	topics := make(map[string]int)
	for _, p := range batches {
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
	response, err := s.cluster.to(ctx, leader, callTimeout, request)
	if err == nil {
		err = errNoAnswer
	}
	answers := make(map[topicPartition]*produce.ResponsePartition)
	if answer, ok := response.(*produce.Response); ok {
		for i := range answer.Topics {
			t := &answer.Topics[i]
			for j := range t.Partitions {
				answers[topicPartition{t.Topic, t.Partitions[j].Partition}] = &t.Partitions[j]
			}
		}
	}
	for _, p := range batches {
		answer := answers[p.at]
		switch {
		case answer == nil:
			p.err = fmt.Errorf("produce to %s/%d: %w", p.at.topic, p.at.partition, err)
		case answer.ErrorCode != 0:
			p.err = fmt.Errorf("produce to %s/%d: %w", p.at.topic, p.at.partition, kafkago.Error(answer.ErrorCode))
			if isLeaderMoved(p.err) || isTransient(p.err) {
				s.cluster.doubt()
			}
		default:
			p.err, p.offset = nil, answer.BaseOffset
		}
	}
}

func wrap(operation string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", operation, err)
}
