package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// log is one stream's log in Kafka. It is used by one goroutine at a time.
type log struct {
	sink  *Sink
	claim connector.Claim
	id    string // the transactional id

	session  *session // nil until Acquire, and again after anything unclear
	fenced   bool     // another owner has the stream, as far as is known
	standing connector.HighWaterMark
}

var errNotAcquired = errors.New("the stream is not acquired: the outcome of the last commit is not known")

// Limits returns how much one Commit may hold: a large part of a backlog, as each transaction has a fixed cost.
func (l *log) Limits() connector.Limits { return connector.Limits{Messages: 5000, Bytes: 6 << 20} }

// Peek returns the newest committed checkpoint that no open transaction hides.
func (l *log) Peek(ctx context.Context) (connector.Checkpoint, bool, error) {
	seen, err := l.sink.checkpoints.newest(ctx, l.claim.Stream, false)
	if err != nil {
		return connector.Checkpoint{}, false, fmt.Errorf("peek: %w", l.sink.hints.asRefusal(asNotNow(err)))
	}
	return seen.checkpoint, seen.found, nil
}

// Acquire takes over the stream.
func (l *log) Acquire(ctx context.Context) (connector.State, error) {
	l.drop()
	l.fenced = false
	state, err := l.acquire(ctx)
	if err != nil {
		l.drop()
		return connector.State{}, fmt.Errorf("acquire: %w", l.sink.hints.asRefusal(asNotNow(err)))
	}
	l.sink.watch.begin()
	return state, nil
}

func (l *log) acquire(ctx context.Context) (connector.State, error) {
	if err := l.sink.watch.relook(ctx); err != nil {
		return connector.State{}, err
	}
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
	// The check comes before fencing: an instance that may not have the stream must not disturb its owner.
	if _, err := l.admission().admitted(ctx, count, false); err != nil {
		return connector.State{}, err
	}
	who, err := l.sink.client.initProducerID(ctx, l.id, noProducer)
	if err != nil {
		return connector.State{}, err
	}
	// From here on no other instance commits. The leaders are looked up before and after the reading: a broker that lost
	// its controller would show an old log.
	before, err := l.sink.cluster.settled(ctx, time.Now())
	if err != nil {
		return connector.State{}, err
	}
	found, err := l.admission().read(ctx, count, &l.standing)
	if errors.Is(err, errSurpassed) { // or did another owner take over meanwhile and continue?
		if _, epochErr := l.sink.client.initProducerID(ctx, l.id, who); epochErr != nil {
			return connector.State{}, fmt.Errorf("%w; %w", err, epochErr)
		}
		err = l.admission().outdated(found.seen.checkpoint.Sequence)
	}
	if confirmErr := l.confirmed(ctx, before); confirmErr != nil {
		return connector.State{}, confirmErr
	}
	if err != nil {
		return connector.State{}, err
	}
	s := &session{
		client: l.sink.client, id: l.id, life: l.sink.life,
		producer: who, epochReady: make(chan struct{}), stop: func() {}, events: newPartitioner(found.positions.Partitions),
		homes:     homes,
		positions: found.positions, wrote: found.seen, chunk: maxChunk,
	}
	close(s.epochReady)
	l.session = s
	next := l.claim.TakeOver(found.seen.checkpoint, time.Now())
	if err := l.commit(ctx, nil, nil, next,
		func(ctx context.Context) error { return l.unsurpassed(ctx, found.seen, s.wrote) }); err != nil {
		return connector.State{}, fmt.Errorf("write the take-over: %w", err)
	}
	state := connector.State{Checkpoint: next, Seen: make([]connector.Seen, len(found.list))}
	for i := range found.list {
		state.Seen[i] = found.list[i].seen
	}
	return state, nil
}

// admission examines the stream for this log.
func (l *log) admission() *admission { return &admission{l.sink, l.claim} }

// confirmed checks with most of the brokers that the partitions that were read still have the same leaders as before.
func (l *log) confirmed(ctx context.Context, before *view) error {
	after, err := l.sink.cluster.settled(ctx, time.Now())
	if err != nil {
		return err
	}
	if !before.same(after, l.sink.topics.events) || !before.same(after, l.sink.topics.checkpoints) {
		return errMoved
	}
	return nil
}

// unsurpassed checks, before a takeover is committed, that it has read the newest checkpoint. The leader and its
// replicas have stored the takeover's own record, so everything that was committed before is below that record. If the
// reading ended further down and there is another checkpoint of this stream in between, an older log was read.
func (l *log) unsurpassed(ctx context.Context, read, wrote sighting) error {
	at := topicPartition{l.sink.topics.checkpoints, wrote.home}
	if wrote.home != read.home || wrote.end < read.end {
		return fmt.Errorf("%w: %s/%d", errMoved, at.topic, at.partition)
	}
	newer := false
	look := func(r *protocol.Record) error {
		key, _, err := contents(r)
		newer = newer || string(key) == l.claim.Stream.Name
		return err
	}
	// What is not there even uncommitted cannot be committed. So the transactions of others need not be waited for, which
	// would be a queue where many streams are taken over at once.
	_, err := l.sink.client.readAs(ctx, kafkago.ReadUncommitted, at, read.end, wrote.end-1, 0, look)
	if err != nil || newer {
		newer = false
		_, err = l.sink.client.read(ctx, at, read.end, wrote.end-1, settleTime, look)
	}
	if err == nil && newer {
		err = fmt.Errorf("%w: %s/%d", errSurpassed, at.topic, at.partition)
	}
	return err
}

// settleTime is how long open transactions of other streams may hide what is below a takeover's own record.
const settleTime = 3 * time.Second

// drop ends the session, if there is one, and waits for its background work.
func (l *log) drop() {
	if s := l.session; s != nil {
		l.session = nil
		s.close()
	}
}

// Close ends the session.
func (l *log) Close() error {
	l.drop()
	return nil
}
