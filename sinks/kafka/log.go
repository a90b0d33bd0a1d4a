package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// log is a stream's place in Kafka. It is used by one goroutine at a time.
type log struct {
	sink  *Sink
	claim connector.Claim
	id    string // the transactional id

	session *session // nil until Acquire, and again after anything unclear
	fenced  bool     // another owner has the stream, as far as is known
}

// session is what a log holds from an Acquire until something is unclear.
type session struct {
	producer  producer // of the transaction to come, once raised says so
	raised    chan struct{}
	raiseErr  error // set before raised is closed
	stop      context.CancelFunc
	work      sync.WaitGroup
	events    partitioner
	homes     map[string]partitioner // of the other topics
	positions positions
	chunk     int // how many bytes of records a batch may take, uncompressed
}

var errNotAcquired = errors.New("the stream is not acquired: what the last commit did is not known")

// Limits says how much one Commit may take: a whole slice of a backlog, as each transaction has a fixed cost.
func (l *log) Limits() connector.Limits { return connector.Limits{Messages: 5000, Bytes: 6 << 20} }

// Peek returns the newest committed checkpoint that no open transaction hides.
func (l *log) Peek(ctx context.Context) (connector.Checkpoint, bool, error) {
	checkpoint, found, _, err := l.sink.checkpoints.newest(ctx, l.claim.Stream, false)
	if err != nil {
		return connector.Checkpoint{}, false, fmt.Errorf("peek: %w", down(err))
	}
	return checkpoint, found, nil
}

// Acquire takes the stream over.
func (l *log) Acquire(ctx context.Context) (connector.State, error) {
	l.drop()
	l.fenced = false
	state, err := l.acquire(ctx)
	if err != nil {
		l.drop()
		return connector.State{}, fmt.Errorf("acquire: %w", down(err))
	}
	return state, nil
}

func (l *log) acquire(ctx context.Context) (connector.State, error) {
	count, err := l.sink.partitions(ctx, l.sink.topics.events)
	if err != nil {
		return connector.State{}, err
	}
	homes := make(map[string]partitioner)
	for _, topic := range []string{l.sink.topics.checkpoints, l.sink.topics.quarantine} {
		n, err := l.sink.partitions(ctx, topic)
		if err != nil {
			return connector.State{}, err
		}
		homes[topic] = newPartitioner(n)
	}
	// Without fencing first: who may not have the stream must not disturb its owner.
	if _, _, err := l.admitted(ctx, count, false); err != nil {
		return connector.State{}, err
	}
	who, err := l.sink.takeOver(ctx, l.id, nobody)
	if err != nil {
		return connector.State{}, mend(err)
	}
	checkpoint, known, err := l.admitted(ctx, count, true)
	if err != nil {
		return connector.State{}, err
	}
	held, err := readPositions(checkpoint.Sink)
	if err != nil {
		return connector.State{}, err
	}
	if err := l.pin(&held, count); err != nil {
		return connector.State{}, err
	}
	ends, err := l.sink.extents(ctx, l.sink.topics.events, count, kafkago.ReadUncommitted)
	if err != nil {
		return connector.State{}, err
	}
	if err := l.truncated(held, ends); err != nil {
		return connector.State{}, err
	}
	ends = ends[:held.Partitions] // the stream has nothing in the others
	list, err := l.window(ctx, held, ends, &checkpoint, known)
	if err != nil {
		return connector.State{}, err
	}
	now := time.Now()
	held.rebuild(list, ends, l.claim.Window, now)
	s := &session{
		producer: who, raised: make(chan struct{}), stop: func() {}, events: newPartitioner(held.Partitions), homes: homes,
		positions: held, chunk: maxChunk,
	}
	close(s.raised)
	l.session = s
	next := l.claim.TakeOver(checkpoint, now)
	if err := l.commit(ctx, nil, nil, next); err != nil {
		return connector.State{}, fmt.Errorf("write the take-over: %w", err)
	}
	state := connector.State{Checkpoint: next, Seen: make([]connector.Seen, len(list))}
	for i := range list {
		state.Seen[i] = list[i].seen
	}
	return state, nil
}

// admitted reads the newest checkpoint and says whether this claim may take it over.
func (l *log) admitted(ctx context.Context, partitions int, owned bool) (checkpoint connector.Checkpoint, found bool, err error) {
	checkpoint, found, alias, err := l.sink.checkpoints.newest(ctx, l.claim.Stream, owned)
	switch {
	case err != nil:
		return checkpoint, false, fmt.Errorf("read the checkpoint: %w", err)
	case found:
		return checkpoint, true, l.claim.Admit(checkpoint)
	case alias != "":
		return checkpoint, false, l.claim.RefuseAlias(alias)
	case l.claim.FirstStart || owned:
		return checkpoint, false, nil
	}
	orphans, err := l.orphans(ctx, partitions)
	if err != nil || !orphans {
		return checkpoint, false, err
	}
	// Someone may have begun the stream after its checkpoint was looked for.
	if checkpoint, found, _, err = l.sink.checkpoints.newest(ctx, l.claim.Stream, true); err != nil {
		return checkpoint, false, fmt.Errorf("read the checkpoint: %w", err)
	}
	if !found {
		return checkpoint, false, l.claim.RefuseOrphans()
	}
	return checkpoint, true, l.claim.Admit(checkpoint)
}

// orphans says whether the events topic holds events of this stream.
func (l *log) orphans(ctx context.Context, partitions int) (bool, error) {
	ends, err := l.sink.extents(ctx, l.sink.topics.events, partitions, kafkago.ReadUncommitted)
	if err != nil {
		return false, err
	}
	return l.sink.census.holds(ctx, l.sink, l.claim.Stream.Source(), ends)
}

// pin settles over how many partitions the stream's chats are spread.
func (l *log) pin(held *positions, count int) error {
	accept := l.sink.config.AcceptPartitions
	topic := "topic " + l.sink.topics.events
	switch {
	case held.Partitions == 0:
		held.Partitions = count
	case held.Partitions > count:
		return &connector.Refusal{
			Thing: topic, Cause: fmt.Sprintf("it has %d partitions, stream %s was spread over %d: it is another topic, or was made anew",
				count, l.claim.Stream.Name, held.Partitions),
			Mend: fmt.Sprintf("give it its partitions back: kafka-topics.sh --alter --topic %s --partitions %d", l.sink.topics.events, held.Partitions),
		}
	case accept > count, accept != 0 && accept < held.Partitions:
		return &connector.Refusal{
			Thing: "--accept-partitions", Cause: fmt.Sprintf("%d is not between the pinned count, %d, and the topic's, %d", accept, held.Partitions, count),
			Mend: fmt.Sprintf("leave it out, or give %d", count),
		}
	case accept != 0 && accept > held.Partitions:
		l.sink.logger.Warn("chats are spread over more partitions from now on", "stream", l.claim.Stream.Name, "before", held.Partitions, "now", accept)
		held.Partitions = accept
	case held.Partitions < count && accept == 0:
		l.sink.logger.Warn("the topic has more partitions than the stream uses", "stream", l.claim.Stream.Name, "topic", l.sink.topics.events,
			"partitions", count, "used", held.Partitions, "mend", fmt.Sprintf("none needed; run --accept-partitions %d uses them all and moves chats", count))
	}
	return nil
}

// truncated refuses a topic that ends before events that it acknowledged.
func (l *log) truncated(held positions, ends []extent) error {
	if l.claim.FirstStart {
		return nil
	}
	for p, next := range held.Next {
		if p < len(ends) && next > ends[p].end {
			return &connector.Refusal{
				Thing: fmt.Sprintf("topic %s, partition %d", l.sink.topics.events, p),
				Cause: fmt.Sprintf("it ends at offset %d, but events were acknowledged up to %d: the brokers lost them, or the topic was made anew", ends[p].end, next),
				Mend:  "restore it, or go on without them with `run --first-start`, and see what is missing with `audit`",
			}
		}
	}
	return nil
}

// window is the seen window of the checkpoint. Where there is none but the operator says that it is a first start, the events
// found are the log so far, and the checkpoint is made to say so.
func (l *log) window(ctx context.Context, held positions, ends []extent, checkpoint *connector.Checkpoint, known bool) ([]found, error) {
	source := l.claim.Stream.Source()
	switch {
	case known && checkpoint.Sequence == 0:
		return nil, nil
	case known:
		return l.sink.window(ctx, source, held.from(checkpoint, time.Now()), ends, l.claim.Window, checkpoint)
	case !l.claim.FirstStart:
		return nil, nil
	}
	list, err := l.sink.window(ctx, source, nil, ends, l.claim.Window, nil)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	checkpoint.Started = true
	checkpoint.Sequence = list[len(list)-1].seen.Sequence
	checkpoint.Certified = checkpoint.Sequence
	return list, nil
}

// drop ends the session, if there is one, and waits for what it does in the background.
func (l *log) drop() {
	if s := l.session; s != nil {
		l.session = nil
		s.stop()
		s.work.Wait()
	}
}

// Close gives up the place.
func (l *log) Close() error {
	l.drop()
	return nil
}
