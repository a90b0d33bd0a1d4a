package kafka

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// checkpoints knows the part of the checkpoint topic that was read so far: the newest committed checkpoint of every
// stream in it. All streams of the process share it, so that a start of a thousand streams reads the topic once. The
// topic is read from its end, where the newest checkpoint of a busy stream is, and further back only for a stream that
// was not found.
type checkpoints struct {
	sink  *Sink
	gate  chan struct{} // holds one token: whoever has it reads
	parts []checkpointPart
}

type checkpointPart struct {
	low, high int64             // what was read: offsets from low up to, not including, high
	newest    map[string][]byte // by stream name; nil if it was deleted by hand
	anchor    anchor            // the newest record that was read
}

// anchor is a record by which a partition is recognised: a recreated topic has a different record there, or none.
type anchor struct {
	offset int64
	sum    uint64 // 0 means no anchor
}

// sighting is what was found of a stream.
type sighting struct {
	checkpoint connector.Checkpoint
	found      bool   // false only if the whole topic has no checkpoint of the stream
	alias      string // the name under which the list (source key) is known, if no checkpoint was found
	home       int32  // the partition that the stream's checkpoints go to
	end        int64  // the offset up to which that was read
}

const (
	firstStep = 500     // how far from the end the first reading begins, in offsets
	stepUp    = 8       // how much larger each further step back is
	maxStep   = 1 << 20 // the largest

	// glance is how long a reader that does not own the stream waits for a transaction that is just ending.
	glance = 500 * time.Millisecond
	// hiddenWait is how long a reader waits before it looks again for what an open transaction hides; maxHiddenWait is
	// how long it does in the end.
	hiddenWait, maxHiddenWait = 10 * time.Millisecond, 250 * time.Millisecond
)

func newCheckpoints(s *Sink) *checkpoints {
	c := &checkpoints{sink: s, gate: make(chan struct{}, 1)}
	c.gate <- struct{}{}
	return c
}

// newest finds the newest checkpoint of a stream. For an owner, who has fenced all others, it is certain to be the
// newest that the leader has: newest waits while open transactions hide one that may be the stream's. For any other
// caller it is the newest one that is visible within a moment.
func (c *checkpoints) newest(ctx context.Context, stream connector.Stream, owner bool) (sighting, error) {
	patience := glance
	if owner {
		patience = c.sink.client.transactionEnd()
	}
	deadline := time.Now().Add(patience)
	var upTo []extent
	for wait := hiddenWait; ; wait = min(2*wait, maxHiddenWait) {
		seen, hidden, err := c.look(ctx, stream, &upTo)
		switch {
		case err != nil || !hidden:
			return seen, err
		case time.Now().After(deadline) && owner:
			return seen, fmt.Errorf("read %s: %w", c.sink.topics.checkpoints, errBehind)
		case time.Now().After(deadline):
			return seen, nil
		}
		// Others look meanwhile: one of them may be who ends the transaction, as it takes over the stream of its writer.
		if err := connector.Sleep(ctx, wait); err != nil {
			return seen, err
		}
	}
}

// look finds the newest checkpoint of a stream that is visible now. It reports whether something is hidden that may be
// a newer one, below the ends at the first look.
func (c *checkpoints) look(
	ctx context.Context, stream connector.Stream, upTo *[]extent,
) (seen sighting, hidden bool, err error) {
	select {
	case token := <-c.gate:
		defer func() { c.gate <- token }()
	case <-ctx.Done():
		return seen, false, ctx.Err()
	}
	count, err := c.sink.partitions(ctx, c.sink.topics.checkpoints)
	if err != nil {
		return seen, false, err
	}
	ends, err := c.sink.client.extents(ctx, c.sink.topics.checkpoints, count, kafkago.ReadUncommitted)
	if err != nil {
		return seen, false, err
	}
	if len(*upTo) != len(ends) {
		*upTo = slices.Clone(ends)
	}
	for i := range ends { // a topic that is recreated meanwhile ends further down
		(*upTo)[i].end = min((*upTo)[i].end, ends[i].end)
	}
	if err := c.forward(ctx, ends); err != nil {
		return seen, false, err
	}
	if hidden, err = c.hides(ctx, stream, *upTo); err != nil {
		return seen, false, err
	}
	seen.home = newPartitioner(count).of([]byte(stream.Name))
	seen.end = max((*upTo)[seen.home].end, c.parts[seen.home].high)
	for step := int64(firstStep); ; step = min(step*stepUp, maxStep) {
		if raw, ok := c.parts[seen.home].newest[stream.Name]; ok && raw != nil {
			seen.checkpoint, err = connector.ParseCheckpoint(raw)
			seen.found = err == nil
			return seen, hidden, err
		}
		more, err := c.backward(ctx, ends, step)
		if err != nil {
			return seen, false, err
		}
		if !more {
			seen.checkpoint, seen.found, seen.alias, err = c.elsewhere(stream)
			return seen, hidden, err
		}
	}
}

// hides reports whether an open transaction hides a checkpoint of the stream, or one of its list under another name.
// What belongs to others need not be waited for: where many streams are taken over at once, each would wait for all.
func (c *checkpoints) hides(ctx context.Context, stream connector.Stream, upTo []extent) (bool, error) {
	for i := range c.parts[:len(upTo)] {
		from, to := c.parts[i].high, upTo[i].end
		if from >= to {
			continue
		}
		hidden := false
		at := topicPartition{c.sink.topics.checkpoints, int32(i)}
		_, err := c.sink.client.readAs(ctx, kafkago.ReadUncommitted, at, from, to, 0, func(r *protocol.Record) error {
			key, value, err := contents(r)
			if err != nil || hidden {
				return err
			}
			other, err := connector.ParseCheckpoint(value)
			hidden = string(key) == stream.Name || err != nil || stream.HasSourceKey(other.SourceKey)
			return nil
		})
		if errors.Is(err, errBehind) { // it cannot be told
			return true, nil
		}
		if err != nil || hidden {
			return hidden, err
		}
	}
	return false, nil
}

// elsewhere looks, once the whole topic is known, for the stream's checkpoint in other partitions (the topic may have
// had fewer when it was written), and for one of the same list under another name.
func (c *checkpoints) elsewhere(
	stream connector.Stream,
) (newest connector.Checkpoint, found bool, alias string, err error) {
	for i := range c.parts {
		raw := c.parts[i].newest[stream.Name]
		if raw == nil {
			continue
		}
		checkpoint, err := connector.ParseCheckpoint(raw)
		if err != nil {
			return connector.Checkpoint{}, false, "", err
		}
		if !found || checkpoint.Epoch > newest.Epoch || checkpoint.Epoch == newest.Epoch &&
			checkpoint.Sequence > newest.Sequence {
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
			if stream.HasSourceKey(other.SourceKey) {
				alias = name
			}
		}
	}
	return connector.Checkpoint{}, false, alias, nil
}

// forward reads what is new at the end of each partition, and visible.
func (c *checkpoints) forward(ctx context.Context, ends []extent) error {
	if len(c.parts) < len(ends) {
		stable, err := c.sink.client.extents(ctx, c.sink.topics.checkpoints, len(ends), kafkago.ReadCommitted)
		if err != nil {
			return err
		}
		for _, end := range stable[len(c.parts):] {
			from := max(end.start, end.end-firstStep) // what is below is stable
			c.parts = append(c.parts, checkpointPart{low: from, high: from, newest: make(map[string][]byte)})
		}
	}
	for i, end := range ends {
		if err := c.forwardPart(ctx, int32(i), end); err != nil {
			return err
		}
	}
	return nil
}

// forwardPart reads what is new at the end of a partition, beginning at its anchor.
func (c *checkpoints) forwardPart(ctx context.Context, p int32, end extent) error {
	part := &c.parts[p]
	fresh := func() { *part = checkpointPart{low: end.start, high: end.start, newest: make(map[string][]byte)} }
	if part.high > end.end || part.high < end.start { // the topic is not the one that was read
		fresh()
	}
	at := topicPartition{c.sink.topics.checkpoints, p}
	for {
		from, known := part.high, part.anchor.sum == 0
		if !known {
			from = part.anchor.offset
		}
		newest, last := maps.Clone(part.newest), part.anchor
		reached, err := c.sink.client.read(ctx, at, from, end.end, 0, func(r *protocol.Record) error {
			key, value, err := contents(r)
			if err != nil {
				return err
			}
			sum := sumOf(key, value)
			if !known {
				known = true
				if r.Offset != part.anchor.offset || sum != part.anchor.sum {
					return errAnew
				}
			}
			last = anchor{r.Offset, sum}
			newest[string(key)] = value
			return nil
		})
		if err == nil && !known || errors.Is(err, errAnew) || errors.Is(err, kafkago.OffsetOutOfRange) &&
			part.anchor.sum != 0 {
			fresh() // it was compacted, or it is another topic: read all of it
			continue
		}
		part.high, part.newest, part.anchor = max(part.high, reached), newest, last
		switch {
		case err == nil || errors.Is(err, errBehind):
			return nil
		case errors.Is(err, kafkago.OffsetOutOfRange):
			fresh()
		}
		return err
	}
}

// errAnew means that a partition no longer holds what was read from it.
var errAnew = errors.New("the partition is not the one that was read before")

func sumOf(key, value []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(key) // hashing cannot fail
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(value)
	return h.Sum64() | 1 // 0 means no anchor
}

// backward reads one step further back in each partition. more is false once all of them have been read from their
// beginning.
func (c *checkpoints) backward(ctx context.Context, ends []extent, step int64) (more bool, err error) {
	for i := range c.parts {
		part := &c.parts[i]
		if part.low <= ends[i].start {
			continue
		}
		more = true
		from := max(ends[i].start, part.low-step)
		older := make(map[string][]byte)
		at := topicPartition{c.sink.topics.checkpoints, int32(i)}
		_, err := c.sink.client.read(ctx, at, from, part.low, c.sink.client.transactionEnd(),
			func(r *protocol.Record) error { return collect(r, older) })
		if err != nil {
			return false, err
		}
		maps.Copy(older, part.newest)
		part.low, part.newest = from, older
	}
	return more, nil
}

func collect(r *protocol.Record, into map[string][]byte) error {
	key, value, err := contents(r)
	if err == nil {
		into[string(key)] = value
	}
	return err
}

func contents(r *protocol.Record) (key, value []byte, err error) {
	if key, err = protocol.ReadAll(r.Key); err != nil {
		return nil, nil, fmt.Errorf("read key: %w", err)
	}
	if value, err = protocol.ReadAll(r.Value); err != nil {
		return nil, nil, fmt.Errorf("read checkpoint: %w", err)
	}
	return key, value, nil
}
