package kafka

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
)

// produceBatch is one record batch on its way to a partition, and the broker's answer to it.
type produceBatch struct {
	at     topicPartition
	batch  []byte
	offset int64 // of its first record, once it is stored
	err    error // nil once it is stored
}

// produce sends the batches, at most one for each partition, in one request for each leader, as a broker refuses
// concurrent requests of one transaction. If a batch gets no answer, it is not known whether it was stored.
func (c *client) produce(ctx context.Context, id string, batches []*produceBatch) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	v, err := c.cluster.known(ctx)
	if err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	byLeader := make(map[int32][]*produceBatch)
	for _, p := range batches {
		lead, err := v.of(p.at)
		if err != nil {
			c.cluster.doubt()
			return fmt.Errorf("produce: %s/%d: %w", p.at.topic, p.at.partition, &unaskedError{"find the leader", err})
		}
		byLeader[lead.leader] = append(byLeader[lead.leader], p)
	}
	var wait sync.WaitGroup
	for leader, group := range byLeader {
		wait.Go(func() { c.produceTo(ctx, leader, id, group) })
	}
	wait.Wait()
	return nil
}

// produceTime is how long a leader may wait for its replicas. It is shorter than the timeout of the request, so that
// the leader can answer.
const produceTime = 7 * time.Second

func (c *client) produceTo(ctx context.Context, leader int32, id string, batches []*produceBatch) {
	request := &rawproduce.Request{
		TransactionalID: id, Acks: int16(kafkago.RequireAll),
		Timeout: int32(produceTime.Milliseconds()),
	}
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
	response, err := c.cluster.to(ctx, leader, callTimeout, request)
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
				c.cluster.doubt()
			}
		default:
			p.err, p.offset = nil, answer.BaseOffset
		}
	}
}
