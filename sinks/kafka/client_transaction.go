package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/addpartitionstotxn"
	"github.com/segmentio/kafka-go/protocol/endtxn"
	"github.com/segmentio/kafka-go/protocol/initproducerid"

	"github.com/twochat-connector/twochat-connector/connector"
)

// initProducerID makes a new producer of the transactional id or, if current is known, raises its epoch. It ends an
// open transaction of the id and fences every earlier producer. Both forms can be repeated if their answer is lost. A
// current that is no longer the newest is refused as fenced.
func (c *client) initProducerID(ctx context.Context, id string, current producer) (producer, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	request := &initproducerid.Request{
		TransactionalID: id, TransactionTimeoutMs: int32(c.transactionTimeout.Milliseconds()),
		ProducerID: current.id, ProducerEpoch: current.epoch,
	}
	broken := 0
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		answer, err := answerAs[*initproducerid.Response](c.cluster.transact(ctx, id, tryTime, request))
		if err == nil {
			err = codeError(answer.ErrorCode)
		}
		switch {
		case err == nil:
			return producer{answer.ProducerID, answer.ProducerEpoch}, nil
		case isRetriable(err):
			c.cluster.moved(id, err)
		case isBrokenConn(err) && broken < 3 && ctx.Err() == nil:
			broken++
		default:
			return noProducer, fmt.Errorf("init producer: %w", err)
		}
		if ctxErr := connector.Sleep(ctx, wait); ctxErr != nil {
			return noProducer, fmt.Errorf("init producer: %w", err)
		}
	}
}

// addPartitions announces the partitions of the transaction to the coordinator.
func (c *client) addPartitions(ctx context.Context, id string, who producer, partitions []topicPartition) error {
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
		answer, err := answerAs[*addpartitionstotxn.Response](c.cluster.transact(ctx, id, callTimeout, request))
		if err == nil {
			err = addPartitionsError(answer)
		}
		if err == nil || !isRetriable(err) || connector.Sleep(ctx, wait) != nil {
			return wrap("add partitions", err)
		}
		c.cluster.moved(id, err)
	}
}

// notTried is OPERATION_NOT_ATTEMPTED, which kafka-go calls by another name.
const notTried = kafkago.Error(55)

// addPartitionsError returns the most specific error of an answer: if one partition is refused, all others are answered
// with "not attempted".
func addPartitionsError(answer *addpartitionstotxn.Response) (found error) {
	for _, topic := range answer.Results {
		for _, p := range topic.Results {
			if p.ErrorCode != 0 && (found == nil || !errors.Is(kafkago.Error(p.ErrorCode), notTried)) {
				found = fmt.Errorf("%s/%d: %w", topic.Name, p.PartitionIndex, kafkago.Error(p.ErrorCode))
			}
		}
	}
	return found
}

// commitTransaction commits. Only nil means that it has succeeded.
func (c *client) commitTransaction(ctx context.Context, id string, who producer) error {
	return c.endTransaction(ctx, id, who, true)
}

// abortTransaction discards what was written. Only nil means that it has succeeded.
func (c *client) abortTransaction(ctx context.Context, id string, who producer) error {
	return c.endTransaction(ctx, id, who, false)
}

// endTransaction repeats the request if it was refused for a temporary reason, as then nothing was done.
func (c *client) endTransaction(ctx context.Context, id string, who producer, commit bool) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		answer, err := answerAs[*endtxn.Response](c.cluster.transact(ctx, id, callTimeout, &endtxn.Request{
			TransactionalID: id, ProducerID: who.id, ProducerEpoch: who.epoch, Committed: commit,
		}))
		if err == nil {
			err = codeError(answer.ErrorCode)
		}
		if err == nil || !isRetriable(err) || connector.Sleep(ctx, wait) != nil {
			return wrap("end transaction", err)
		}
		c.cluster.moved(id, err)
	}
}
