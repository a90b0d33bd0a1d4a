package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// checkpoints is what is known of the checkpoint topic: the newest committed checkpoint of every stream that was met in the
// part that was read. All streams of the process share it, so that a thousand of them starting read the topic once. It is
// read from its end, as the newest checkpoint of a busy stream is there, and further back only for a stream that was not met.
type checkpoints struct {
	sink  *Sink
	gate  chan struct{} // holds one token: whoever has it reads
	parts []checkpointPart
}

type checkpointPart struct {
	low, high int64             // what was read: offsets from low up to, not including, high
	newest    map[string][]byte // by stream name; nil where it was deleted by hand
}

const (
	firstStep = 500     // how far from the end the first reading begins, in offsets
	stepUp    = 8       // how much larger each further step back is
	maxStep   = 1 << 20 // the largest

	// glance is how long who does not own a stream waits for a transaction that is just ending.
	glance = 500 * time.Millisecond
)

func newCheckpoints(s *Sink) *checkpoints {
	c := &checkpoints{sink: s, gate: make(chan struct{}, 1)}
	c.gate <- struct{}{}
	return c
}

// newest finds the newest checkpoint of a stream. For an owner, who fenced all others, it is certain to be the newest: what an
// open transaction of another stream hides is waited for. For anyone else it is the newest that shows within a moment. found
// is false only where the whole topic holds none; alias is then the name under which the list (source key) is known, if it is.
func (c *checkpoints) newest(ctx context.Context, stream connector.Stream, owner bool) (checkpoint connector.Checkpoint, found bool, alias string, err error) {
	select {
	case token := <-c.gate:
		defer func() { c.gate <- token }()
	case <-ctx.Done():
		return connector.Checkpoint{}, false, "", ctx.Err()
	}
	count, err := c.sink.partitions(ctx, c.sink.topics.checkpoints)
	if err != nil {
		return connector.Checkpoint{}, false, "", err
	}
	ends, err := c.sink.extents(ctx, c.sink.topics.checkpoints, count, kafkago.ReadUncommitted)
	if err != nil {
		return connector.Checkpoint{}, false, "", err
	}
	if err := c.forward(ctx, ends, owner); err != nil {
		return connector.Checkpoint{}, false, "", err
	}
	home := newPartitioner(count).of([]byte(stream.Name))
	for step := int64(firstStep); ; step = min(step*stepUp, maxStep) {
		if raw, ok := c.parts[home].newest[stream.Name]; ok && raw != nil {
			checkpoint, err = connector.ParseCheckpoint(raw)
			return checkpoint, err == nil, "", err
		}
		more, err := c.backward(ctx, ends, step)
		if err != nil {
			return connector.Checkpoint{}, false, "", err
		}
		if !more {
			return c.elsewhere(stream)
		}
	}
}

// elsewhere looks, once the whole topic is known, for the stream's checkpoint in other partitions (the topic had fewer when it
// was written), and for one of the same list under another name.
func (c *checkpoints) elsewhere(stream connector.Stream) (newest connector.Checkpoint, found bool, alias string, err error) {
	for i := range c.parts {
		raw := c.parts[i].newest[stream.Name]
		if raw == nil {
			continue
		}
		checkpoint, err := connector.ParseCheckpoint(raw)
		if err != nil {
			return connector.Checkpoint{}, false, "", err
		}
		if !found || checkpoint.Epoch > newest.Epoch || checkpoint.Epoch == newest.Epoch && checkpoint.Sequence > newest.Sequence {
			newest, found = checkpoint, true
		}
	}
	if found {
		return newest, true, "", nil
	}
	for i := range c.parts {
		for name, raw := range c.parts[i].newest {
			if raw == nil {
				continue
			}
			other, err := connector.ParseCheckpoint(raw)
			if err != nil {
				return connector.Checkpoint{}, false, "", fmt.Errorf("stream %s: %w", name, err)
			}
			if other.SourceKey == stream.SourceKey {
				alias = name
			}
		}
	}
	return connector.Checkpoint{}, false, alias, nil
}

// forward reads what is new at the end of each partition.
func (c *checkpoints) forward(ctx context.Context, ends []extent, owner bool) error {
	if len(c.parts) < len(ends) {
		stable, err := c.sink.extents(ctx, c.sink.topics.checkpoints, len(ends), kafkago.ReadCommitted)
		if err != nil {
			return err
		}
		for _, end := range stable[len(c.parts):] {
			from := max(end.start, end.end-firstStep) // what lies below is stable
			c.parts = append(c.parts, checkpointPart{low: from, high: from, newest: make(map[string][]byte)})
		}
	}
	patience := glance
	if owner {
		patience = c.sink.transactionEnd()
	}
	for i, end := range ends {
		part := &c.parts[i]
		if part.high > end.end || part.high < end.start { // the topic is not the one that was read
			*part = checkpointPart{low: end.start, high: end.start, newest: make(map[string][]byte)}
		}
		at := place{c.sink.topics.checkpoints, int32(i)}
		reached, err := c.sink.read(ctx, at, part.high, end.end, patience, func(r *protocol.Record) error {
			return collect(r, part.newest)
		})
		part.high = reached
		switch {
		case err == nil || !owner && errors.Is(err, errBehind):
		case errors.Is(err, kafkago.OffsetOutOfRange):
			*part = checkpointPart{low: end.start, high: end.start, newest: make(map[string][]byte)}
			return err
		default:
			return err
		}
	}
	return nil
}

// backward reads one step further back in each partition; more is false when all were known to their beginning.
func (c *checkpoints) backward(ctx context.Context, ends []extent, step int64) (more bool, err error) {
	for i := range c.parts {
		part := &c.parts[i]
		if part.low <= ends[i].start {
			continue
		}
		more = true
		from := max(ends[i].start, part.low-step)
		older := make(map[string][]byte)
		at := place{c.sink.topics.checkpoints, int32(i)}
		_, err := c.sink.read(ctx, at, from, part.low, c.sink.transactionEnd(), func(r *protocol.Record) error { return collect(r, older) })
		if err != nil {
			return false, err
		}
		maps.Copy(older, part.newest)
		part.low, part.newest = from, older
	}
	return more, nil
}

func collect(r *protocol.Record, into map[string][]byte) error {
	key, err := protocol.ReadAll(r.Key)
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	value, err := protocol.ReadAll(r.Value)
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	into[string(key)] = value
	return nil
}
