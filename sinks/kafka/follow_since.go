package kafka

import (
	"context"
	"fmt"
	"sync"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// giveSince passes on the events since a time, up to the ends. The partitions are read in parallel, but no faster than
// the caller takes the events, so that only a few events of each are held in memory.
func (f *follower) giveSince(ctx context.Context, ends []extent) error {
	begins, err := f.begins(ctx, ends)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	streams := make([]chan followed, len(ends))
	errs := make([]error, len(ends))
	for p := range ends {
		streams[p] = make(chan followed, 64)
		wait.Go(func() {
			defer close(streams[p])
			errs[p] = f.send(ctx, p, begins[p], ends[p].end, streams[p])
		})
	}
	heads := make([]*followed, len(ends))
	advance := func(p int) error {
		if e, more := <-streams[p]; more {
			heads[p] = &e
			return nil
		}
		heads[p] = nil
		return errs[p]
	}
	for p := range heads {
		if err := advance(p); err != nil {
			return err
		}
	}
	for {
		oldest := -1
		for p, head := range heads {
			if head != nil && (oldest < 0 || f.compare(*head, *heads[oldest]) < 0) {
				oldest = p
			}
		}
		if oldest < 0 || !f.give(*heads[oldest]) {
			return nil
		}
		if err := advance(oldest); err != nil {
			return err
		}
	}
}

// begins are the offsets from which the partitions have what was recorded since the requested time.
func (f *follower) begins(ctx context.Context, ends []extent) ([]int64, error) {
	c := f.sink.client
	begins := make([]int64, len(ends))
	at := max(f.options.Since.Add(-connector.ClockMargin).UnixMilli(), 0) // negative numbers have a special meaning
	err := c.again(ctx, func(ctx context.Context) error {
		for p, end := range ends {
			begins[p] = end.end // if nothing is that young, the answer has no offset
		}
		return c.offsets(ctx, f.sink.topics.events, len(ends), kafkago.ReadCommitted, at, func(p int32, offset int64) {
			if offset >= 0 {
				begins[p] = offset
			}
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	return begins, nil
}

// send sends the events of a partition to a channel.
func (f *follower) send(ctx context.Context, p int, from, to int64, events chan<- followed) error {
	_, err := f.sink.client.read(ctx, topicPartition{f.sink.topics.events, int32(p)}, from, to,
		f.sink.client.transactionEnd(), func(r *protocol.Record) error {
			if e, ok := f.take(r); ok {
				select {
				case events <- e:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	return err
}
