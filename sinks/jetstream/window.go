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

// gapsAsked is how many gaps of a window are verified with the leader. A log with more gaps was cleaned by hand.
const gapsAsked = 256

// readHeader reads an event's sequence from its headers, which are the same in both modes. ok is false if the message
// is not an event of this source.
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
	digits, late := natssink.LogSequence(header)
	sequence, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || sequence == 0 || connector.FormatSequence(sequence) != digits {
		return connector.Seen{}, false
	}
	return connector.Seen{Key: connector.MessageKey(uuid), Sequence: sequence, Late: late}, true
}

// storedEvent is an event that was read back, with its stream sequence.
type storedEvent struct {
	connector.Seen
	stream uint64
}

// storedEvents are events in log order.
type storedEvents []storedEvent

// add adds an event. It ignores an event out of order, which was appended by a repair and is not part of the log's
// order.
func (p *storedEvents) add(header natsgo.Header, sequence uint64, source string) {
	seen, ok := readHeader(header, source)
	if n := len(*p); ok && (n == 0 || seen.Sequence > (*p)[n-1].Sequence) {
		*p = append(*p, storedEvent{seen, sequence})
	}
}

// windowReader reads the newest events of a log back, over one connection.
type windowReader struct {
	log    *Log
	link   *link
	known  settings
	erased []connector.Seen // on request
}

// read reads back the newest events. It must be called when nobody else can add any.
func (w *windowReader) read(ctx context.Context, c connector.Checkpoint) (connector.State, error) {
	l, k := w.log, w.link
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
	if w.known, err = l.sink.known(ctx, k, false); err != nil {
		return connector.State{}, err
	}
	if !found {
		return w.withoutEvents(ctx, c)
	}
	header, err := newest.header()
	if err != nil {
		return connector.State{}, err
	}
	last, readable := readHeader(header, l.claim.Stream.Source())
	want := min(uint64(max(l.claim.Window, 0)), c.Sequence)
	if readable && last.Sequence == c.Sequence && uint64(len(c.Tail)) >= want {
		// The checkpoint names all events of the window. If the log still holds all its events but those that were erased on
		// request, none need be read: so a thousand quiet streams start without a thousand consumers.
		n, ok, err := k.count(ctx, l.sink.config.Stream, l.events)
		if err != nil {
			return connector.State{}, err
		}
		if ok && n+eventsIn(w.erased) == c.Sequence {
			return connector.State{Checkpoint: c, Seen: tail(c, want)}, nil
		}
	}
	read, err := w.readBack(ctx, last, l.marks.start(), newest.Sequence)
	if err != nil {
		return connector.State{}, err
	}
	if read, err = w.confirmEnd(ctx, c, read); err != nil {
		return connector.State{}, err
	}
	if err := w.confirmGaps(ctx, read); err != nil {
		return connector.State{}, err
	}
	return w.state(c, read), nil
}

// withoutEvents is the state of a log that holds no event according to its leader.
func (w *windowReader) withoutEvents(ctx context.Context, c connector.Checkpoint) (connector.State, error) {
	read, err := w.confirmEnd(ctx, c, nil)
	if err != nil || len(read) == 0 {
		return connector.State{Checkpoint: c}, err
	}
	return w.state(c, read), nil
}

// state makes the log's state from what was read.
func (w *windowReader) state(c connector.Checkpoint, read storedEvents) connector.State {
	l := w.log
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
	return connector.State{Checkpoint: c, Seen: seen}
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

// adopt adds events above the checkpoint to it. A server never leaves any, unless it broke its promise in the middle of
// a batch (for example because a disk failed). They must not be written again.
func adopt(c connector.Checkpoint, read storedEvents) connector.Checkpoint {
	for _, p := range read {
		if p.Sequence <= c.Sequence {
			continue
		}
		if p.Sequence != c.Sequence+1 {
			c.Tail, c.TailLate = nil, nil // the tail must have no gaps
		}
		c.Tail = append(c.Tail[:len(c.Tail):len(c.Tail)], p.Key)
		if p.Late {
			c.TailLate = append(c.TailLate[:len(c.TailLate):len(c.TailLate)], len(c.Tail)-1)
		}
		c.Sequence = p.Sequence
	}
	return c
}

// readBack reads the events' headers from one stream sequence to another, both included.
func (w *windowReader) readBack(ctx context.Context, last connector.Seen, from, to uint64) (storedEvents, error) {
	l := w.log
	if w.known.direct {
		var read storedEvents
		left := func() uint64 {
			if n := len(read); n > 0 {
				return last.Sequence - min(read[n-1].Sequence, last.Sequence)
			}
			return last.Sequence + 1 - min(max(l.marks.first(), 1), last.Sequence)
		}
		complete, err := w.link.direct(ctx, l.sink.config.Stream, l.events, from, to, left,
			func(header natsgo.Header, sequence uint64) {
				read.add(header, sequence, l.claim.Stream.Source())
			})
		if complete || err != nil {
			return read, err
		}
	}
	var read storedEvents
	_, err := w.consume(ctx, []string{l.events}, from, to, func(m jetstream.Msg, sequence uint64) {
		read.add(m.Headers(), sequence, l.claim.Stream.Source())
	})
	return read, err
}

// confirmEnd makes sure that the log really ends where the reading ended, if that is below the checkpoint. Either the
// missing events have expired or were erased, or the server that answered is behind: a leader that was cut off keeps
// answering for a while with old data. So the rest is read, up to the takeover checkpoint that this instance has just
// written, which a server that is behind does not have.
func (w *windowReader) confirmEnd(ctx context.Context, c connector.Checkpoint, read storedEvents) (storedEvents, error) {
	l, n := w.log, len(read)
	if w.known.replicas < 2 || c.Sequence == 0 || n > 0 && read[n-1].Sequence >= c.Sequence {
		return read, nil
	}
	from := l.marks.start()
	if n > 0 {
		from = read[n-1].stream + 1
	}
	end, err := w.consume(ctx, []string{l.events, l.checkpoint}, from, l.last, func(m jetstream.Msg, sequence uint64) {
		if m.Subject() != l.checkpoint {
			read.add(m.Headers(), sequence, l.claim.Stream.Source())
		}
	})
	if err == nil && end < l.last {
		err = fmt.Errorf("%w: the server that was read is behind: it does not hold the takeover at stream sequence %d yet",
			connector.ErrNotNow, l.last)
	}
	return read, err
}

// consume reads the headers of the messages under some subjects with a consumer, from one stream sequence to another,
// and returns the last sequence that it read. The consumer may be served by a replica that lags, so it ends only where
// the log ends according to the leader.
func (w *windowReader) consume(
	ctx context.Context, filters []string, from, to uint64, each func(m jetstream.Msg, sequence uint64),
) (last uint64, err error) {
	l, k := w.log, w.link
	js, err := k.jetStream()
	if err != nil {
		return 0, err
	}
	consumer, err := js.OrderedConsumer(ctx, l.sink.config.Stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: filters, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		HeadersOnly: true, InactiveThreshold: inactive,
	})
	if err != nil {
		return last, consumerError(err)
	}
	defer l.sink.forget(k, consumer)
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pull))
	if err != nil {
		return last, consumerError(err)
	}
	defer messages.Stop()

	for replies := 0; ; replies++ {
		waiting, cancel := context.WithTimeout(ctx, lagWait(k))
		m, err := messages.Next(jetstream.NextContext(waiting))
		cancel()
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return last, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded):
			return last, w.short(ctx, filters, from, last, replies)
		default:
			return last, consumerError(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return last, fmt.Errorf("read metadata: %w", err)
		}
		last = meta.Sequence.Stream
		each(m, last)
		if last >= to {
			return last, nil
		}
	}
}

// short finds out why a consumer brings no more messages: they have expired or were erased meanwhile, or the server
// that serves the consumer lags.
func (w *windowReader) short(ctx context.Context, filters []string, from, last uint64, replies int) error {
	var end uint64
	for _, filter := range filters {
		newest, found, err := w.link.get(ctx, w.log.sink.config.Stream, query{Last: filter})
		if err != nil {
			return err
		}
		if found {
			end = max(end, newest.Sequence)
		}
	}
	if end < from || end <= last || replies == 0 && end == 0 {
		return nil
	}
	if replies == 1 {
		return errOneReply
	}
	return fmt.Errorf("the log ends at stream sequence %d, which the replica that was read does not hold yet", end)
}

// confirmGaps verifies each gap in the sequences with the leader: an event that is missing must be missing there too.
func (w *windowReader) confirmGaps(ctx context.Context, read storedEvents) error {
	l, k := w.log, w.link
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
			if missed, ok := readHeader(header, l.claim.Stream.Source()); ok && missed.Sequence > before.Sequence &&
				missed.Sequence < after.Sequence {
				return fmt.Errorf("the replica that was read lacks events that the leader holds, from sequence %d on",
					missed.Sequence)
			}
			from = m.Sequence + 1 // a repaired event
		}
	}
	return nil
}
