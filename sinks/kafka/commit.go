package kafka

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// maxChunk bounds a record batch below the brokers' default limit of 1 MiB even where compression gains nothing; a topic with
// a lower limit answers "too large", and the batch is cut until it fits.
const maxChunk = 900 << 10

// partitionBatch is what a commit writes to one partition, in order.
type partitionBatch struct {
	at       topicPartition
	events   []*connector.Event // where the topic is that of the events
	records  []*record          // where it is another
	sequence int32              // of the first of them that is not stored
	sent     int                // how many are in the batch under way
	batch    []byte             // encoded ahead, for sent records
	limit    int                // at most so many in the next batch; 0 is no limit
}

// left is how many records are not stored.
func (a *partitionBatch) left() int { return len(a.events) + len(a.records) }

// stored takes the first records off, which the broker has.
func (a *partitionBatch) stored(n int) {
	if len(a.events) > 0 {
		a.events = a.events[n:]
	} else {
		a.records = a.records[n:]
	}
	a.sequence += int32(n)
}

// next lists the records that may go into the next batch. An event becomes a record only when its turn comes, in the draft's memory:
// a large commit does not hold its events twice.
func (a *partitionBatch) next(d *draft, enc connector.Encoding) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		for i := range a.left() {
			if a.limit > 0 && i == a.limit {
				return
			}
			var r *record
			if len(a.events) > 0 {
				r = d.of(a.events[i], enc)
			} else {
				r = a.records[i]
			}
			if !yield(r) {
				return
			}
		}
	}
}

// Commit appends the events in order, the rejects to the quarantine, and records next, all or nothing.
func (l *log) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint) error {
	err := l.sink.watch.refusal()
	if err == nil {
		err = l.commit(ctx, events, rejects, next, nil)
	}
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// commitTime bounds a commit, whatever the brokers do.
const commitTime = 30 * time.Second

// commit is Commit. proven, where there is one, is asked when all is written but not committed; its error takes it all back.
func (l *log) commit(ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint,
	proven func(context.Context) error,
) error {
	s := l.session
	switch {
	case s == nil && l.fenced:
		return connector.ErrFenced
	case s == nil:
		return errNotAcquired
	}
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	now := time.Now()
	if len(events) > 0 {
		s.positions.begin(events[0].Sequence, l.claim.Window, now)
	}
	parts, err := l.byPartition(s, events, rejects, next)
	if err != nil {
		return err // nothing was begun, and the session is as it was
	}
	if err := l.encodeAll(s, parts, now); err != nil {
		return err
	}
	who, err := l.nextEpoch(ctx, s)
	if err != nil {
		return l.refused(ctx, err)
	}
	partitions := make([]topicPartition, len(parts))
	for i, part := range parts {
		partitions[i] = part.at
	}
	if err := l.sink.addPartitions(ctx, l.id, who, partitions); isNotSent(err) {
		return fmt.Errorf("%w: %w", connector.ErrNotNow, err) // there is no transaction yet
	} else if err != nil {
		return l.broken(ctx, s, who, err)
	}
	offsets := slices.Clone(s.positions.Next)
	if err := l.produce(ctx, s, who, parts, offsets, now); err != nil {
		return l.broken(ctx, s, who, err)
	}
	if proven != nil {
		if err := proven(ctx); err != nil {
			return l.broken(ctx, s, who, &unprovenError{err})
		}
	}
	if err := l.sink.commitTransaction(ctx, l.id, who); err != nil {
		if isFenced(err) {
			return l.standDown(err)
		}
		l.drop()
		return err // unclear, whatever it is
	}
	s.positions.Next = offsets
	l.standing.Keep(next)
	l.prepareEpoch(s, who)
	return nil
}

// unprovenError says that all was written, and must not be committed.
type unprovenError struct{ err error }

func (e *unprovenError) Error() string { return e.err.Error() }
func (e *unprovenError) Unwrap() error { return e.err }

// byPartition sorts what is to be written by partition.
func (l *log) byPartition(s *session, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint) ([]*partitionBatch, error) {
	known := make(map[topicPartition]*partitionBatch)
	var list []*partitionBatch
	partOf := func(topic string, partition int32) *partitionBatch {
		at := topicPartition{topic, partition}
		found := known[at]
		if found == nil {
			found = &partitionBatch{at: at}
			known[at] = found
			list = append(list, found)
		}
		return found
	}
	for i := range events {
		to := partOf(l.sink.topics.events, s.events.of([]byte(events[i].Chat)))
		to.events = append(to.events, &events[i])
	}
	put := func(topic string, r *record) {
		to := partOf(topic, s.homes[topic].of(r.key))
		to.records = append(to.records, r)
	}
	for i := range rejects {
		value, err := rejects[i].AppendJSON(nil, l.claim.Stream, l.claim.TypePrefix)
		if err != nil {
			return nil, err
		}
		put(l.sink.topics.quarantine, &record{key: []byte(l.claim.Stream.Name), value: value, headers: structuredHeaders()})
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
	put(l.sink.topics.checkpoints, &record{key: []byte(l.claim.Stream.Name), value: value, headers: structuredHeaders()})
	return list, nil
}

// encodeAll makes the next batch for each partition that has none, as many at the same time as the sink has encoders.
func (l *log) encodeAll(s *session, parts []*partitionBatch, now time.Time) error {
	errs := make([]error, len(parts))
	var wait sync.WaitGroup
	for i, part := range parts {
		if part.batch == nil {
			encoder := <-l.sink.encoders
			wait.Go(func() {
				part.batch, part.sent, errs[i] = encoder.encode(part.next(&encoder.draft, l.sink.encoding), s.chunk, now)
				l.sink.encoders <- encoder
			})
		}
	}
	wait.Wait()
	return errors.Join(errs...)
}

// produce sends one batch to each partition at a time, and notes in offsets where each partition of the events now ends.
// A batch that is too large is cut in halves; a single message that is too large is rejected.
func (l *log) produce(ctx context.Context, s *session, who producer, parts []*partitionBatch, offsets []int64, now time.Time) error {
	for len(parts) > 0 {
		if err := l.encodeAll(s, parts, now); err != nil {
			return err
		}
		batches := make([]*produceBatch, len(parts))
		for i, part := range parts {
			if err := stampBatch(part.batch, who, part.sequence); err != nil {
				return err
			}
			batches[i] = &produceBatch{at: part.at, batch: part.batch}
		}
		if err := l.sink.produce(ctx, l.id, batches); err != nil {
			return err
		}
		var rest []*partitionBatch
		for i, part := range parts {
			if err := l.settle(s, part, batches[i], offsets); err != nil {
				return err
			}
			if part.left() > 0 {
				rest = append(rest, part)
			}
		}
		parts = rest
	}
	return nil
}

// settle takes the broker's answer to a batch.
func (l *log) settle(s *session, part *partitionBatch, answer *produceBatch, offsets []int64) error {
	sent := part.sent
	switch {
	case answer.err == nil:
		if err := l.forth(s, part.at, answer.offset, int64(sent), offsets); err != nil {
			return err
		}
		part.stored(sent)
		part.limit = 0
	case !isTooLarge(answer.err):
		return answer.err
	case sent > 1:
		s.chunk = max(s.chunk/2, 16<<10)
		part.limit = sent / 2
	case len(part.events) > 0:
		return &connector.Rejected{Key: part.events[0].Key, Reason: "it is larger than topic " + part.at.topic + " takes (max.message.bytes)"}
	default:
		return &connector.Refusal{
			Thing: "topic " + part.at.topic, Cause: "it takes no record as large as this one",
			Hint: fmt.Sprintf("kafka-configs.sh --alter --topic %s --add-config max.message.bytes=%d", part.at.topic, checkpointBytes),
		}
	}
	part.batch = nil
	return nil
}

// forth notes where a partition ends now, and refuses one that ended before further up: it was made anew, or lost its end, and what this
// log wrote to it is gone.
func (l *log) forth(s *session, at topicPartition, offset, sent int64, offsets []int64) error {
	before := int64(0)
	switch at.topic {
	case l.sink.topics.events:
		before = offsets[at.partition]
		offsets[at.partition] = offset + sent
	case l.sink.topics.checkpoints:
		if s.wrote.home == at.partition {
			before = s.wrote.end
		}
		s.wrote.home, s.wrote.end = at.partition, offset+sent
	}
	if offset >= before {
		return nil
	}
	return &connector.Refusal{
		Thing: fmt.Sprintf("topic %s, partition %d", at.topic, at.partition),
		Cause: fmt.Sprintf("it went back from offset %d to %d while this instance ran: it was made anew, or the brokers lost its end", before, offset),
		Hint:  "restore it, or go on without what it held with `run --first-start`",
	}
}

// checkpointBytes is the largest record that the topics of checkpoints and quarantine are asked to take.
const checkpointBytes = 10 << 20

func isTooLarge(err error) bool {
	return errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge)
}

// nextEpoch gives the producer of the transaction to come: the epoch was raised after the last one ended, or is now.
func (l *log) nextEpoch(ctx context.Context, s *session) (producer, error) {
	select {
	case <-s.epochReady:
	case <-ctx.Done():
		return noProducer, ctx.Err()
	}
	if s.epochErr != nil {
		if isFenced(s.epochErr) || errors.Is(s.epochErr, kafkago.InvalidProducerIDMapping) {
			return noProducer, s.epochErr
		}
		who, err := l.sink.initProducerID(ctx, l.id, s.producer)
		if err != nil {
			return noProducer, err
		}
		s.producer, s.epochErr = who, nil
	}
	return s.producer, nil
}

// prepareEpoch raises the epoch for the next transaction while nobody waits for it.
func (l *log) prepareEpoch(s *session, used producer) {
	ctx, stop := context.WithCancel(l.sink.life)
	s.stop()
	s.stop = stop
	s.producer, s.epochReady, s.epochErr = used, make(chan struct{}), nil
	ready := s.epochReady
	s.work.Go(func() {
		defer close(ready)
		who, err := l.sink.initProducerID(ctx, l.id, used)
		if err != nil {
			s.epochErr = err
			return
		}
		s.producer = who
	})
}

// refused names the outcome of a commit that ended before its transaction began. Nothing of it was sent, and the epoch can be
// asked for again.
func (l *log) refused(ctx context.Context, err error) error {
	switch {
	case isFenced(err):
		return l.standDown(err)
	case errors.Is(err, kafkago.InvalidProducerIDMapping): // the broker forgot an id that was not used for days
		l.drop()
		return err
	}
	return l.nothing(ctx, err)
}

// nothing names the outcome of a commit of which nothing was or will be written: a person has to act, or it can be tried again.
func (l *log) nothing(ctx context.Context, cause error) error {
	l.sink.watch.wake() // settings may have changed
	err := l.sink.judged(cause)
	if isMissing(cause) {
		err = l.sink.gone(ctx, cause)
	}
	var refusal *connector.Refusal
	if errors.As(err, &refusal) {
		l.drop()
		return err
	}
	return fmt.Errorf("%w: %w", connector.ErrNotNow, cause)
}

// broken names the outcome of a commit whose transaction cannot go on. Only where the broker said so itself, or nothing was
// sent, and the abort is certain, is it certain that nothing was or will be written; anything else is unclear.
func (l *log) broken(ctx context.Context, s *session, who producer, cause error) error {
	var rejected *connector.Rejected
	var refusal *connector.Refusal
	var unproven *unprovenError
	isRefusal := errors.As(cause, &refusal)
	certain := errors.As(cause, &rejected) || isRefusal || errors.As(cause, &unproven)
	switch {
	case isFenced(cause):
		return l.standDown(cause)
	case !certain && !isAnswered(cause) && !isNotSent(cause):
		l.drop()
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout) // to take it back, even where its time is over
	defer cancel()
	err := l.sink.abortTransaction(ctx, l.id, who)
	switch {
	case err == nil:
		l.prepareEpoch(s, who)
	case isFenced(err):
		return l.standDown(err)
	case errors.Is(err, kafkago.InvalidTransactionState): // no partition was added, so there is nothing to abort
		l.prepareEpoch(s, who)
	default:
		l.drop()
		return fmt.Errorf("%w; abort: %w", cause, err)
	}
	switch {
	case isRefusal:
		l.drop()
		return cause
	case certain:
		return cause
	}
	return l.nothing(ctx, cause)
}

// standDown ends the session of a log that was fenced.
func (l *log) standDown(err error) error {
	l.drop()
	l.fenced = true
	return fmt.Errorf("%w: %w", connector.ErrFenced, err)
}
