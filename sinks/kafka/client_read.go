package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/segmentio/kafka-go/protocol/listoffsets"

	"github.com/twochat-connector/twochat-connector/connector"
)

var (
	errNoAnswer = errors.New("the broker's answer does not contain what was asked for")
	// errBehind means that an open transaction holds back what was committed above it.
	errBehind = errors.New("an open transaction hides the end of the partition for longer than a transaction may take")
)

// extent is where a partition begins and ends.
type extent struct{ start, end int64 }

// extents asks for the extent of every partition of a topic. Its end is the high watermark, which counts what is not
// committed yet, or, for readers of committed records, the last stable offset.
func (c *client) extents(
	ctx context.Context, topic string, partitions int, isolation kafkago.IsolationLevel,
) ([]extent, error) {
	found := make([]extent, partitions)
	const latest, earliest = -1, -2
	for _, which := range []int64{latest, earliest} {
		err := c.again(ctx, func(ctx context.Context) error {
			return c.offsets(ctx, topic, partitions, isolation, which, func(p int32, offset int64) {
				if which == latest {
					found[p].end = offset
				} else {
					found[p].start = offset
				}
			})
		})
		if err != nil {
			return nil, fmt.Errorf("list offsets: %w", err)
		}
	}
	return found, nil
}

// offsets asks the leader of each partition, with the term for which that broker is known to lead it.
func (c *client) offsets(ctx context.Context, topic string, partitions int, isolation kafkago.IsolationLevel,
	which int64, each func(p int32, offset int64),
) error {
	v, err := c.cluster.known(ctx)
	if err != nil {
		return err
	}
	requests := make(map[int32]*listoffsets.Request)
	for p := range int32(partitions) {
		lead, err := v.of(topicPartition{topic, p})
		if err != nil {
			return fmt.Errorf("%s/%d: %w", topic, p, err)
		}
		r := requests[lead.leader]
		if r == nil {
			r = &listoffsets.Request{
				ReplicaID: -1, IsolationLevel: int8(isolation),
				Topics: []listoffsets.RequestTopic{{Topic: topic}},
			}
			requests[lead.leader] = r
		}
		r.Topics[0].Partitions = append(r.Topics[0].Partitions,
			listoffsets.RequestPartition{Partition: p, CurrentLeaderEpoch: lead.epoch, Timestamp: which})
	}
	for leader, request := range requests {
		answer, err := answerAs[*listoffsets.Response](c.cluster.to(ctx, leader, tryTime, request))
		if err != nil {
			return err
		}
		if len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != len(request.Topics[0].Partitions) {
			return errNoAnswer
		}
		for _, p := range answer.Topics[0].Partitions {
			if p.ErrorCode != 0 {
				return fmt.Errorf("%s/%d: %w", topic, p.Partition, kafkago.Error(p.ErrorCode))
			}
			if p.Partition < 0 || int(p.Partition) >= partitions {
				return errNoAnswer
			}
			each(p.Partition, p.Offset)
		}
	}
	return nil
}

const (
	fetchBytes = 4 << 20
	fetchWait  = 250 * time.Millisecond
)

// fetch reads a partition from an offset on: below its last stable offset, or, if what is not committed is read as well,
// below its high watermark.
func (c *client) fetch(ctx context.Context, at topicPartition, isolation kafkago.IsolationLevel, offset int64,
	wait time.Duration,
) (*fetch.ResponsePartition, error) {
	var found *fetch.ResponsePartition
	err := c.again(ctx, func(ctx context.Context) error {
		v, err := c.cluster.known(ctx)
		if err != nil {
			return err
		}
		lead, err := v.of(at)
		if err != nil {
			return err
		}
		// The limit for the partition has to be the one that cuts off an answer. If the other limit does, kfake omits the
		// list of aborted transactions, and aborted records pass for committed ones.
		answer, err := answerAs[*fetch.Response](c.cluster.to(ctx, lead.leader, wait+tryTime, &fetch.Request{
			ReplicaID: -1, MaxWaitTime: int32(wait.Milliseconds()), MinBytes: 1, MaxBytes: 2 * fetchBytes,
			IsolationLevel: int8(isolation), SessionID: 0, SessionEpoch: -1,
			Topics: []fetch.RequestTopic{{Topic: at.topic, Partitions: []fetch.RequestPartition{{
				Partition: at.partition, CurrentLeaderEpoch: lead.epoch, FetchOffset: offset, LogStartOffset: -1,
				PartitionMaxBytes: fetchBytes,
			}}}},
		}))
		switch {
		case err != nil:
			return err
		case answer.ErrorCode != 0:
			return kafkago.Error(answer.ErrorCode)
		case len(answer.Topics) != 1 || len(answer.Topics[0].Partitions) != 1:
			return errNoAnswer
		}
		found = &answer.Topics[0].Partitions[0]
		return codeError(found.ErrorCode)
	})
	if err != nil {
		return nil, fmt.Errorf("fetch %s/%d: %w", at.topic, at.partition, err)
	}
	return found, nil
}

// read calls each with the committed records of a partition from one offset to another, in order, and returns the
// offset that it reached. If an open transaction hides the rest, it waits, but no longer than timeout without
// progress. A record must not be used after the call of each.
func (c *client) read(
	ctx context.Context, at topicPartition, from, to int64, timeout time.Duration, each func(*protocol.Record) error,
) (int64, error) {
	return c.readAs(ctx, kafkago.ReadCommitted, at, from, to, timeout, each)
}

// readAs is read with an isolation level. ReadUncommitted also passes on what is aborted, or not committed yet.
func (c *client) readAs(ctx context.Context, isolation kafkago.IsolationLevel, at topicPartition, from, to int64,
	timeout time.Duration, each func(*protocol.Record) error,
) (int64, error) {
	deadline := time.Now().Add(timeout)
	for from < to {
		answer, err := c.fetch(ctx, at, isolation, from, min(fetchWait, timeout))
		if err != nil {
			return from, err
		}
		next, err := committed(answer, from, func(r *protocol.Record) error {
			if r.Offset >= to {
				return nil
			}
			return each(r)
		})
		if err != nil {
			return from, fmt.Errorf("read %s/%d: %w", at.topic, at.partition, err)
		}
		if next > from {
			from, deadline = min(next, to), time.Now().Add(timeout)
			continue
		}
		if time.Now().After(deadline) {
			return from, fmt.Errorf("read %s/%d: %w", at.topic, at.partition, errBehind)
		}
		if err := connector.Sleep(ctx, 5*time.Millisecond); err != nil {
			return from, err
		}
	}
	return from, nil
}

// committed calls each with the committed records of an answer at or above an offset, and returns where to read on. It
// leaves out the records of aborted transactions and the markers: kafka-go returns both.
func committed(answer *fetch.ResponsePartition, from int64, each func(*protocol.Record) error) (int64, error) {
	stream, ok := answer.RecordSet.Records.(*protocol.RecordStream)
	if !ok {
		return from, nil // nothing new
	}
	aborted := answer.AbortedTransactions
	sort.Slice(aborted, func(i, j int) bool { return aborted[i].FirstOffset < aborted[j].FirstOffset })
	open := make(map[int64]bool) // producers with an aborted transaction
	next := from
	for _, batch := range stream.Records {
		switch batch := batch.(type) {
		case *protocol.ControlBatch:
			next = max(next, batch.BaseOffset+1)
			for {
				marker, err := batch.ReadControlRecord()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return from, fmt.Errorf("decode marker: %w", err)
				}
				next = max(next, marker.Offset+1)
				if marker.Type == abortMarker {
					delete(open, batch.ProducerID)
				}
			}
		case *protocol.RecordBatch:
			next = max(next, batch.BaseOffset+1)
			for len(aborted) > 0 && aborted[0].FirstOffset <= batch.BaseOffset {
				open[aborted[0].ProducerID] = true
				aborted = aborted[1:]
			}
			skip := batch.Attributes.Transactional() && open[batch.ProducerID]
			err := eachRecord(batch, func(r *protocol.Record) error {
				next = max(next, r.Offset+1)
				if skip || r.Offset < from {
					return nil
				}
				return each(r)
			})
			if err != nil {
				return from, err
			}
		default:
			return from, errors.New("decode records: unknown kind of batch")
		}
	}
	if next == from {
		next++ // compaction left nothing at this offset, although its batch, which ends there or later, is still stored
	}
	return next, nil
}

// abortMarker is the type of the control record that ends an aborted transaction.
const abortMarker = 0

func eachRecord(batch *protocol.RecordBatch, each func(*protocol.Record) error) error {
	for {
		r, err := batch.ReadRecord()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("decode record: %w", err)
		}
		err = each(r)
		if r.Key != nil {
			err = errors.Join(err, r.Key.Close())
		}
		if r.Value != nil {
			err = errors.Join(err, r.Value.Close())
		}
		if err != nil {
			return err
		}
	}
}
