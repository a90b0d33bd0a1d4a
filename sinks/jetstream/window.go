package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// gapsAsked is how many gaps of a window the leader is asked about. A log with more holes than that was cleaned by hand.
const gapsAsked = 256

// readHeader reads an event's place from its headers, which are the same in both modes. ok is false for what is not an event of
// this source.
func readHeader(header natsgo.Header, source string) (seen connector.Seen, ok bool) {
	encoded := header.Get(natssink.HeaderMessageID)
	id, err := natssink.DecodeHeader(encoded)
	if err != nil {
		return connector.Seen{}, false
	}
	uuid, ok := strings.CutPrefix(id, source+"|")
	if !ok || uuid == "" {
		return connector.Seen{}, false
	}
	digits := header.Get(natssink.HeaderSequence)
	sequence, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || sequence == 0 || connector.FormatSequence(sequence) != digits {
		return connector.Seen{}, false
	}
	return connector.Seen{Key: connector.MessageKey(uuid), Sequence: sequence, Late: header.Get(natssink.HeaderLate) == "true"}, true
}

// place is an event that was read back, and where it lies.
type place struct {
	connector.Seen
	stream uint64
}

// places are events in log order.
type places []place

// add takes an event in. What stands out of turn was appended by a repair, and is no part of the log's order.
func (p *places) add(header natsgo.Header, sequence uint64, source string) {
	seen, ok := readHeader(header, source)
	if n := len(*p); ok && (n == 0 || seen.Sequence > (*p)[n-1].Sequence) {
		*p = append(*p, place{seen, sequence})
	}
}

// window reads back the newest events. It is called when nobody else can add any.
func (l *Log) window(ctx context.Context, k *link, c connector.Checkpoint) (connector.State, error) {
	select {
	case l.sink.reading <- struct{}{}:
		defer func() { <-l.sink.reading }()
	case <-ctx.Done():
		return connector.State{}, ctx.Err()
	}
	newest, found, err := k.get(ctx, l.sink.config.Stream, query{Last: l.events})
	if err != nil {
		return connector.State{}, err
	}
	if !found {
		return connector.State{Checkpoint: c}, nil
	}
	header, err := newest.header()
	if err != nil {
		return connector.State{}, err
	}
	last, readable := readHeader(header, l.claim.Stream.Source())
	want := min(uint64(max(l.claim.Window, 0)), c.Sequence)
	if readable && last.Sequence == c.Sequence && uint64(len(c.Tail)) >= want {
		// The checkpoint names all events that are wanted. If the log still holds every one it ever had, there is nothing to read:
		// so a thousand quiet streams start without a thousand consumers.
		n, ok, err := k.count(ctx, l.sink.config.Stream, l.events)
		if err != nil {
			return connector.State{}, err
		}
		if ok && n == c.Sequence {
			return connector.State{Checkpoint: c, Seen: tail(c, want)}, nil
		}
	}
	known, err := l.sink.known(ctx, k, false)
	if err != nil {
		return connector.State{}, err
	}
	read, err := l.readBack(ctx, k, known.direct, last, l.marks.start(), newest.Sequence)
	if err != nil {
		return connector.State{}, err
	}
	if err := l.confirmGaps(ctx, k, read); err != nil {
		return connector.State{}, err
	}
	c = adopt(c, read)
	l.marks = nil
	seen := make([]connector.Seen, 0, len(read))
	for _, p := range read {
		seen = append(seen, p.Seen)
		l.marks = append(l.marks, mark{Event: p.Sequence, Stream: p.stream})
	}
	l.marks = l.marks.trimmed(c.Sequence, l.claim.Window)
	if len(seen) > l.claim.Window {
		seen = seen[len(seen)-max(l.claim.Window, 0):]
	}
	return connector.State{Checkpoint: c, Seen: seen}, nil
}

// tail is the end of the window as the checkpoint itself remembers it.
func tail(c connector.Checkpoint, want uint64) []connector.Seen {
	late := make(map[int]bool, len(c.TailLate))
	for _, i := range c.TailLate {
		late[i] = true
	}
	skip := len(c.Tail) - int(want)
	first := c.Sequence - uint64(len(c.Tail)) + 1
	seen := make([]connector.Seen, 0, want)
	for i := skip; i < len(c.Tail); i++ {
		seen = append(seen, connector.Seen{Key: c.Tail[i], Sequence: first + uint64(i), Late: late[i]})
	}
	return seen
}

// adopt takes events above the checkpoint into it. A server never leaves any; but one that broke its word in the middle of a
// batch (a disk that failed) must not make us write them again.
func adopt(c connector.Checkpoint, read places) connector.Checkpoint {
	for _, p := range read {
		if p.Sequence <= c.Sequence {
			continue
		}
		if p.Sequence != c.Sequence+1 {
			c.Tail, c.TailLate = nil, nil // the tail has no gaps
		}
		c.Tail = append(c.Tail[:len(c.Tail):len(c.Tail)], p.Key)
		if p.Late {
			c.TailLate = append(c.TailLate[:len(c.TailLate):len(c.TailLate)], len(c.Tail)-1)
		}
		c.Sequence = p.Sequence
	}
	return c
}

// readBack reads the events' headers from one stream sequence to another, both included. A consumer may be served by a
// replica that lags: it ends only where the leader says that the log ends.
func (l *Log) readBack(ctx context.Context, k *link, direct bool, last connector.Seen, from, to uint64) (places, error) {
	if direct {
		var read places
		left := func() uint64 {
			if n := len(read); n > 0 {
				return last.Sequence - min(read[n-1].Sequence, last.Sequence)
			}
			return last.Sequence + 1 - min(max(l.marks.first(), 1), last.Sequence)
		}
		complete, err := k.direct(ctx, l.sink.config.Stream, l.events, from, to, left, func(header natsgo.Header, sequence uint64) {
			read.add(header, sequence, l.claim.Stream.Source())
		})
		if complete || err != nil {
			return read, err
		}
	}
	return l.consume(ctx, k, from, to)
}

// consume is readBack by a consumer.
func (l *Log) consume(ctx context.Context, k *link, from, to uint64) (places, error) {
	js, err := l.sink.jetStream(k)
	if err != nil {
		return nil, err
	}
	consumer, err := js.OrderedConsumer(ctx, l.sink.config.Stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{l.events}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		HeadersOnly: true, InactiveThreshold: inactive,
	})
	if err != nil {
		return nil, consumerError(err)
	}
	defer l.sink.forget(k, consumer)
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pull))
	if err != nil {
		return nil, consumerError(err)
	}
	defer messages.Stop()

	var read places
	for {
		waiting, cancel := context.WithTimeout(ctx, min(k.timeout, lagWait))
		m, err := messages.Next(jetstream.NextContext(waiting))
		cancel()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			// What is waited for may have expired or been erased meanwhile, or the replica lags.
			newest, found, err := k.get(ctx, l.sink.config.Stream, query{Last: l.events})
			switch {
			case err != nil:
				return nil, err
			case !found || newest.Sequence < from:
				return read, nil
			case len(read) > 0 && newest.Sequence <= read[len(read)-1].stream:
				return read, nil
			}
			return nil, fmt.Errorf("the log ends at stream sequence %d, and the replica that is read does not hold it yet", newest.Sequence)
		default:
			return nil, consumerError(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("read metadata: %w", err)
		}
		read.add(m.Headers(), meta.Sequence.Stream, l.claim.Stream.Source())
		if meta.Sequence.Stream >= to {
			return read, nil
		}
	}
}

// confirmGaps asks the leader about each gap in the sequences: an event that is missing must be missing there too.
func (l *Log) confirmGaps(ctx context.Context, k *link, read places) error {
	asked := 0
	for i := 1; i < len(read) && asked < gapsAsked; i++ {
		before, after := read[i-1], read[i]
		if after.Sequence == before.Sequence+1 {
			continue
		}
		asked++
		for from := before.stream + 1; from < after.stream; {
			m, found, err := k.get(ctx, l.sink.config.Stream, query{Next: l.events, From: from})
			if err != nil {
				return err
			}
			if !found || m.Sequence >= after.stream {
				break
			}
			header, err := m.header()
			if err != nil {
				return err
			}
			if missed, ok := readHeader(header, l.claim.Stream.Source()); ok && missed.Sequence > before.Sequence && missed.Sequence < after.Sequence {
				return fmt.Errorf("the replica that is read lacks events that the leader holds, from sequence %d on", missed.Sequence)
			}
			from = m.Sequence + 1 // a repair's
		}
	}
	return nil
}
