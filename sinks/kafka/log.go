package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/twochat-connector/twochat-connector/connector"
)

// log is a stream's place in Kafka. It is used by one goroutine at a time.
type log struct {
	sink  *Sink
	claim connector.Claim
	id    string // the transactional id

	session  *session // nil until Acquire, and again after anything unclear
	fenced   bool     // another owner has the stream, as far as is known
	standing connector.Standing
}

// session is what a log holds from an Acquire until something is unclear.
type session struct {
	producer   producer // of the transaction to come, once raised says so
	epochReady chan struct{}
	epochErr   error // set before raised is closed
	stop       context.CancelFunc
	work       sync.WaitGroup
	events     partitioner
	homes      map[string]partitioner // of the other topics
	positions  positions
	wrote      sighting // the checkpoint that was written last: its partition, and where it ends there
	chunk      int      // how many bytes of records a batch may take, uncompressed
}

var errNotAcquired = errors.New("the stream is not acquired: what the last commit did is not known")

// Limits says how much one Commit may take: a whole slice of a backlog, as each transaction has a fixed cost.
func (l *log) Limits() connector.Limits { return connector.Limits{Messages: 5000, Bytes: 6 << 20} }

// Peek returns the newest committed checkpoint that no open transaction hides.
func (l *log) Peek(ctx context.Context) (connector.Checkpoint, bool, error) {
	seen, err := l.sink.checkpoints.newest(ctx, l.claim.Stream, false)
	if err != nil {
		return connector.Checkpoint{}, false, fmt.Errorf("peek: %w", l.sink.judged(asNotNow(err)))
	}
	return seen.checkpoint, seen.found, nil
}

// Acquire takes the stream over.
func (l *log) Acquire(ctx context.Context) (connector.State, error) {
	l.drop()
	l.fenced = false
	state, err := l.acquire(ctx)
	if err != nil {
		l.drop()
		return connector.State{}, fmt.Errorf("acquire: %w", l.sink.judged(asNotNow(err)))
	}
	l.sink.watchSettings()
	return state, nil
}

func (l *log) acquire(ctx context.Context) (connector.State, error) {
	if err := l.sink.relook(ctx); err != nil {
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
	// Without fencing first: who may not have the stream must not disturb its owner.
	if _, err := l.admitted(ctx, count, false); err != nil {
		return connector.State{}, err
	}
	who, err := l.sink.initProducerID(ctx, l.id, noProducer)
	if err != nil {
		return connector.State{}, err
	}
	// From here on nobody else commits. What follows is read from who leads, which is asked for before and afterwards: a broker that
	// lost its controller would show an old log.
	before, err := l.sink.cluster.settled(ctx, time.Now())
	if err != nil {
		return connector.State{}, err
	}
	found, err := l.reread(ctx, count)
	if errors.Is(err, errSurpassed) { // is it, or did another owner take over meanwhile and go on?
		if _, epochErr := l.sink.initProducerID(ctx, l.id, who); epochErr != nil {
			return connector.State{}, fmt.Errorf("%w; %w", err, epochErr)
		}
		err = l.outdated(found.seen.checkpoint.Sequence)
	}
	if confirmErr := l.confirmed(ctx, before); confirmErr != nil {
		return connector.State{}, confirmErr
	}
	if err != nil {
		return connector.State{}, err
	}
	s := &session{
		producer: who, epochReady: make(chan struct{}), stop: func() {}, events: newPartitioner(found.positions.Partitions), homes: homes,
		positions: found.positions, wrote: found.seen, chunk: maxChunk,
	}
	close(s.epochReady)
	l.session = s
	next := l.claim.TakeOver(found.seen.checkpoint, time.Now())
	if err := l.commit(ctx, nil, nil, next, func(ctx context.Context) error { return l.unsurpassed(ctx, found.seen, s.wrote) }); err != nil {
		return connector.State{}, fmt.Errorf("write the take-over: %w", err)
	}
	state := connector.State{Checkpoint: next, Seen: make([]connector.Seen, len(found.list))}
	for i := range found.list {
		state.Seen[i] = found.list[i].seen
	}
	return state, nil
}

// reading is what an owner-to-be finds in the topics.
type reading struct {
	seen      sighting
	positions positions
	list      []found
}

// reread reads the checkpoint and the seen window.
func (l *log) reread(ctx context.Context, count int) (r reading, err error) {
	if r.seen, err = l.admitted(ctx, count, true); err != nil {
		return r, err
	}
	if !l.claim.FirstStart {
		if err := l.standing.Admit(l.claim.Stream.Name, r.seen.checkpoint, r.seen.found); err != nil {
			return r, err
		}
	}
	if r.positions, err = readPositions(r.seen.checkpoint.Sink); err != nil {
		return r, err
	}
	if err := l.pin(&r.positions, count); err != nil {
		return r, err
	}
	if err := l.identified(ctx, &r.positions); err != nil {
		return r, err
	}
	ends, err := l.sink.extents(ctx, l.sink.topics.events, count, kafkago.ReadUncommitted)
	if err != nil {
		return r, err
	}
	if err := l.truncated(r.positions, ends); err != nil {
		return r, err
	}
	ends = ends[:r.positions.Partitions] // the stream has nothing in the others
	if r.list, err = l.window(ctx, r.positions, ends, &r.seen); err != nil {
		return r, err
	}
	r.positions.rebuild(r.list, ends, l.claim.Window, time.Now())
	return r, nil
}

// confirmed says whether the partitions that were read are led as they were before, by what most brokers say now.
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

// unsurpassed holds what a take-over read against where its own checkpoint was put, before it is committed. The leader and its replicas
// took that record, so all that was committed before lies below it there: where the reading ended further down, what lies between must
// hold no checkpoint of this stream, or the reading was of an older log.
func (l *log) unsurpassed(ctx context.Context, read, wrote sighting) error {
	at := topicPartition{l.sink.topics.checkpoints, wrote.home}
	if wrote.home != read.home || wrote.end < read.end {
		return fmt.Errorf("%w: %s/%d", errMoved, at.topic, at.partition)
	}
	newer := false
	_, err := l.sink.read(ctx, at, read.end, wrote.end-1, settleTime, func(r *protocol.Record) error {
		key, _, err := contents(r)
		newer = newer || string(key) == l.claim.Stream.Name
		return err
	})
	if err == nil && newer {
		err = fmt.Errorf("%w: %s/%d", errSurpassed, at.topic, at.partition)
	}
	return err
}

// settleTime is how long other streams' open transactions may hide what lies below a take-over's own record.
const settleTime = 3 * time.Second

// errSurpassed says that there is something newer than what was read.
var errSurpassed = errors.New("what was read is older than what was committed: the broker that was read had been left behind")

// admitted reads the newest checkpoint and says whether this claim may take it over.
func (l *log) admitted(ctx context.Context, partitions int, owned bool) (seen sighting, err error) {
	seen, err = l.sink.checkpoints.newest(ctx, l.claim.Stream, owned)
	switch {
	case err != nil:
		return seen, fmt.Errorf("read the checkpoint: %w", err)
	case seen.found:
		return seen, l.claim.Admit(seen.checkpoint)
	case seen.alias != "":
		return seen, l.claim.RefuseAlias(seen.alias)
	case l.claim.FirstStart || owned:
		return seen, nil
	}
	orphans, err := l.orphans(ctx, partitions)
	if err != nil || !orphans {
		return seen, err
	}
	// Someone may have begun the stream after its checkpoint was looked for.
	if seen, err = l.sink.checkpoints.newest(ctx, l.claim.Stream, true); err != nil {
		return seen, fmt.Errorf("read the checkpoint: %w", err)
	}
	if !seen.found {
		return seen, l.claim.RefuseOrphans()
	}
	return seen, l.claim.Admit(seen.checkpoint)
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
			Hint: fmt.Sprintf("give it its partitions back: kafka-topics.sh --alter --topic %s --partitions %d", l.sink.topics.events, held.Partitions),
		}
	case accept > count, accept != 0 && accept < held.Partitions:
		return &connector.Refusal{
			Thing: "--accept-partitions", Cause: fmt.Sprintf("%d is not between the pinned count, %d, and the topic's, %d", accept, held.Partitions, count),
			Hint: fmt.Sprintf("leave it out, or give %d", count),
		}
	case accept != 0 && accept > held.Partitions:
		l.sink.logger.Warn("chats are spread over more partitions from now on", "stream", l.claim.Stream.Name, "before", held.Partitions, "now", accept)
		held.Partitions = accept
	case held.Partitions < count && accept == 0:
		l.sink.logger.Warn("the topic has more partitions than the stream uses", "stream", l.claim.Stream.Name, "topic", l.sink.topics.events,
			"partitions", count, "used", held.Partitions, "hint", fmt.Sprintf("none needed; run --accept-partitions %d uses them all and moves chats", count))
	}
	return nil
}

// identified refuses an events topic that is not the one that the stream was written to, and pins it. Offsets do not tell: what was
// broken off moves them as well.
func (l *log) identified(ctx context.Context, held *positions) error {
	ids, err := l.sink.topicIDs(ctx)
	if err != nil {
		return err
	}
	now := ids[l.sink.topics.events]
	if held.Topic != "" && now != "" && held.Topic != now && !l.claim.FirstStart {
		return &connector.Refusal{
			Thing: "topic " + l.sink.topics.events,
			Cause: fmt.Sprintf("it was made anew: stream %s was written to the one with the id %s, this is %s", l.claim.Stream.Name, held.Topic, now),
			Hint:  "restore it, or go on without what it held with `run --first-start`",
		}
	}
	if now != "" {
		held.Topic = now
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
				Hint:  "restore it, or go on without them with `run --first-start`",
			}
		}
	}
	return nil
}

// window is the seen window of the checkpoint. Where there is none but the operator says that it is a first start, the events
// found are the log so far, and the checkpoint is made to say so.
func (l *log) window(ctx context.Context, held positions, ends []extent, seen *sighting) ([]found, error) {
	source, checkpoint := l.claim.Stream.Source(), &seen.checkpoint
	if seen.found && checkpoint.Sequence > 0 {
		list, newer, err := l.sink.window(ctx, source, held.from(checkpoint, time.Now()), ends, l.claim.Window, checkpoint)
		if err != nil || newer == 0 {
			return list, err
		}
		if !l.claim.FirstStart {
			return nil, fmt.Errorf("%w: events up to %d", errSurpassed, newer)
		}
	} else if !l.claim.FirstStart {
		return nil, l.unexpected(ctx, source, ends, seen)
	}
	list, _, err := l.sink.window(ctx, source, nil, ends, l.claim.Window, nil)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	checkpoint.Started = true
	checkpoint.Sequence = list[len(list)-1].seen.Sequence
	checkpoint.Certified = checkpoint.Sequence
	return list, nil
}

// unexpected refuses events beside a checkpoint that knows of none.
func (l *log) unexpected(ctx context.Context, source string, ends []extent, seen *sighting) error {
	if !seen.found {
		return nil // orphans were looked for
	}
	list, _, err := l.sink.window(ctx, source, readFrom(seen), ends, 1, nil)
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("%w: events up to %d", errSurpassed, list[len(list)-1].seen.Sequence)
	}
	return err
}

// readFrom is where events may lie that came after a checkpoint.
func readFrom(seen *sighting) []int64 {
	held, err := readPositions(seen.checkpoint.Sink)
	if err != nil {
		return nil
	}
	return held.Next
}

// outdated refuses a checkpoint that is older than the events beside it: they are committed together, so it is not the newest there was.
func (l *log) outdated(sequence uint64) error {
	return &connector.Refusal{
		Thing: "stream " + l.claim.Stream.Name,
		Cause: fmt.Sprintf("its newest checkpoint is of %d, but newer events are committed: topic %s was restored, or lost its end", sequence, l.sink.topics.checkpoints),
		Hint:  "bring that topic back as it was, or go on after the newest event with `run --first-start`",
	}
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
