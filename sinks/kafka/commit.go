package kafka

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// maxChunk bounds a record batch below the brokers' default limit of 1 MiB even where compression gains nothing; a topic with
// a lower limit answers "too large", and the batch is cut until it fits.
const maxChunk = 900 << 10

// lane is what a commit writes to one partition, in order.
type lane struct {
	at       place
	records  []*record
	owners   []connector.Key // of the messages, for a record that is rejected; zero for a checkpoint
	sequence int32           // of the first of them that is not stored
	sent     int             // how many are in the batch under way
	batch    []byte          // encoded ahead, for sent records
	limit    int             // at most so many in the next batch; 0 is no limit
}

// Commit appends the events in order, the rejects to the quarantine, and records next, all or nothing.
func (l *log) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint) error {
	if err := l.commit(ctx, events, rejects, next); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (l *log) commit(ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint) error {
	s := l.session
	switch {
	case s == nil && l.fenced:
		return connector.ErrFenced
	case s == nil:
		return errNotAcquired
	}
	now := time.Now()
	if len(events) > 0 {
		s.positions.begin(events[0].Sequence, l.claim.Window, now)
	}
	lanes, err := l.lanes(s, events, rejects, next)
	if err != nil {
		return err // nothing was begun, and the session is as it was
	}
	if err := l.encodeAll(s, lanes, now); err != nil {
		return err
	}
	who, err := l.raise(ctx, s)
	if err != nil {
		return l.refused(err)
	}
	places := make([]place, len(lanes))
	for i, lane := range lanes {
		places[i] = lane.at
	}
	if err := l.sink.addPartitions(ctx, l.id, who, places); unsent(err) {
		return fmt.Errorf("%w: %w", connector.ErrNotNow, err) // there is no transaction yet
	} else if err != nil {
		return l.broken(ctx, s, who, err)
	}
	offsets := slices.Clone(s.positions.Next)
	if err := l.produce(ctx, s, who, lanes, offsets, now); err != nil {
		return l.broken(ctx, s, who, err)
	}
	if err := l.sink.endTransaction(ctx, l.id, who, true); err != nil {
		if fenced(err) {
			return l.standDown(err)
		}
		l.drop()
		return err // unclear, whatever it is
	}
	s.positions.Next = offsets
	l.raiseNext(s, who)
	return nil
}

// lanes sorts what is to be written by partition.
func (l *log) lanes(s *session, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint) ([]*lane, error) {
	byPlace := make(map[place]*lane)
	var list []*lane
	put := func(at place, r *record, owner connector.Key) {
		found := byPlace[at]
		if found == nil {
			found = &lane{at: at}
			byPlace[at] = found
			list = append(list, found)
		}
		found.records = append(found.records, r)
		found.owners = append(found.owners, owner)
	}
	for i := range events {
		r := eventRecord(&events[i], l.sink.encoding)
		put(place{l.sink.topics.events, s.events.of(r.key)}, r, events[i].Key)
	}
	quarantine := l.sink.topics.quarantine
	for i := range rejects {
		value, err := rejects[i].AppendJSON(nil, l.claim.Stream, l.claim.TypePrefix)
		if err != nil {
			return nil, err
		}
		r := &record{key: []byte(l.claim.Stream.Name), value: value, headers: structuredHeaders()}
		put(place{quarantine, s.homes[quarantine].of(r.key)}, r, connector.Key{})
	}
	raw, err := s.positions.encode()
	if err != nil {
		return nil, err
	}
	next.Sink = raw
	value, err := next.AppendJSON(nil, l.claim.TypePrefix)
	if err != nil {
		return nil, err
	}
	checkpoints := l.sink.topics.checkpoints
	r := &record{key: []byte(l.claim.Stream.Name), value: value, headers: structuredHeaders()}
	put(place{checkpoints, s.homes[checkpoints].of(r.key)}, r, connector.Key{})
	return list, nil
}

// encodeAll makes the next batch of each lane that has none, as many at the same time as there are processors: the compressors
// hold megabytes each.
func (l *log) encodeAll(s *session, lanes []*lane, now time.Time) error {
	errs := make([]error, len(lanes))
	var wait sync.WaitGroup
	places := make(chan struct{}, runtime.GOMAXPROCS(0))
	for i, lane := range lanes {
		if lane.batch == nil {
			places <- struct{}{}
			wait.Go(func() {
				errs[i] = l.encode(s, lane, now)
				<-places
			})
		}
	}
	wait.Wait()
	return errors.Join(errs...)
}

// encode makes the lane's next batch.
func (l *log) encode(s *session, lane *lane, now time.Time) error {
	n, size := 0, 0
	for n < len(lane.records) && (lane.limit == 0 || n < lane.limit) {
		size += lane.records[n].size()
		if n > 0 && size > s.chunk {
			break
		}
		n++
	}
	batch, err := encodeBatch(lane.records[:n], l.sink.codec, now)
	if err != nil {
		return err
	}
	lane.sent, lane.batch = n, batch
	return nil
}

// produce sends the lanes, one batch of each at a time, and notes in offsets where each partition of the events now ends.
// A batch that is too large is cut in halves; a single message that is too large is rejected.
func (l *log) produce(ctx context.Context, s *session, who producer, lanes []*lane, offsets []int64, now time.Time) error {
	for len(lanes) > 0 {
		if err := l.encodeAll(s, lanes, now); err != nil {
			return err
		}
		pieces := make([]*piece, len(lanes))
		for i, lane := range lanes {
			if err := stampBatch(lane.batch, who, lane.sequence); err != nil {
				return err
			}
			pieces[i] = &piece{at: lane.at, batch: lane.batch}
		}
		if err := l.sink.produce(ctx, l.id, pieces); err != nil {
			return err
		}
		var rest []*lane
		for i, lane := range lanes {
			if err := l.settle(s, lane, pieces[i], offsets); err != nil {
				return err
			}
			if len(lane.records) > 0 {
				rest = append(rest, lane)
			}
		}
		lanes = rest
	}
	return nil
}

// settle takes the broker's answer to a lane's batch.
func (l *log) settle(s *session, lane *lane, answer *piece, offsets []int64) error {
	sent := lane.sent
	switch {
	case answer.err == nil:
		if lane.at.topic == l.sink.topics.events {
			offsets[lane.at.partition] = answer.offset + int64(sent)
		}
		lane.records, lane.owners = lane.records[sent:], lane.owners[sent:]
		lane.sequence += int32(sent)
		lane.limit = 0
	case !tooLarge(answer.err):
		return answer.err
	case sent > 1:
		s.chunk = max(s.chunk/2, 16<<10)
		lane.limit = sent / 2
	case lane.owners[0] != connector.Key{}:
		return &connector.Rejected{Key: lane.owners[0], Reason: "it is larger than topic " + lane.at.topic + " takes (max.message.bytes)"}
	default:
		return &connector.Refusal{
			Thing: "topic " + lane.at.topic, Cause: "it takes no record as large as this one",
			Mend: fmt.Sprintf("kafka-configs.sh --alter --topic %s --add-config max.message.bytes=%d", lane.at.topic, checkpointBytes),
		}
	}
	lane.batch = nil
	return nil
}

// checkpointBytes is the largest record that the topics of checkpoints and quarantine are asked to take.
const checkpointBytes = 10 << 20

func tooLarge(err error) bool {
	return errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge)
}

// raise gives the producer of the transaction to come: the epoch was raised after the last one ended, or is now.
func (l *log) raise(ctx context.Context, s *session) (producer, error) {
	select {
	case <-s.raised:
	case <-ctx.Done():
		return nobody, ctx.Err()
	}
	if s.raiseErr != nil {
		if fenced(s.raiseErr) || errors.Is(s.raiseErr, kafkago.InvalidProducerIDMapping) {
			return nobody, s.raiseErr
		}
		who, err := l.sink.takeOver(ctx, l.id, s.producer)
		if err != nil {
			return nobody, err
		}
		s.producer, s.raiseErr = who, nil
	}
	return s.producer, nil
}

// raiseNext raises the epoch for the next transaction while nobody waits for it.
func (l *log) raiseNext(s *session, used producer) {
	ctx, stop := context.WithCancel(l.sink.life)
	s.stop()
	s.stop = stop
	s.producer, s.raised, s.raiseErr = used, make(chan struct{}), nil
	raised := s.raised
	s.work.Go(func() {
		defer close(raised)
		who, err := l.sink.takeOver(ctx, l.id, used)
		if err != nil {
			s.raiseErr = err
			return
		}
		s.producer = who
	})
}

// refused names the outcome of a commit that ended before its transaction began. Nothing of it was sent, and the epoch can be
// asked for again.
func (l *log) refused(err error) error {
	switch {
	case fenced(err):
		return l.standDown(err)
	case errors.Is(err, kafkago.InvalidProducerIDMapping): // the broker forgot an id that was not used for days
		l.drop()
		return err
	}
	return fmt.Errorf("%w: %w", connector.ErrNotNow, mend(err))
}

// broken names the outcome of a commit whose transaction cannot go on. Only where the broker said so itself, or nothing was
// sent, and the abort is certain, is it certain that nothing was or will be written; anything else is unclear.
func (l *log) broken(ctx context.Context, s *session, who producer, cause error) error {
	var rejected *connector.Rejected
	var refusal *connector.Refusal
	certain := errors.As(cause, &rejected) || errors.As(cause, &refusal)
	switch {
	case fenced(cause):
		return l.standDown(cause)
	case !certain && !answered(cause) && !unsent(cause):
		l.drop()
		return cause
	}
	err := l.sink.endTransaction(ctx, l.id, who, false)
	switch {
	case err == nil:
		l.raiseNext(s, who)
	case fenced(err):
		return l.standDown(err)
	case errors.Is(err, kafkago.InvalidTransactionState): // no partition was added, so there is nothing to abort
		l.raiseNext(s, who)
	default:
		l.drop()
		return fmt.Errorf("%w; abort: %w", cause, err)
	}
	if certain {
		return cause
	}
	return fmt.Errorf("%w: %w", connector.ErrNotNow, mend(cause))
}

// standDown ends the session of a log that was fenced.
func (l *log) standDown(err error) error {
	l.drop()
	l.fenced = true
	return fmt.Errorf("%w: %w", connector.ErrFenced, err)
}
