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

// lane is what a commit writes to one partition, in order.
type lane struct {
	at       place
	events   []*connector.Event // where the topic is that of the events
	records  []*record          // where it is another
	sequence int32              // of the first of them that is not stored
	sent     int                // how many are in the batch under way
	batch    []byte             // encoded ahead, for sent records
	limit    int                // at most so many in the next batch; 0 is no limit
}

// left is how many records are not stored.
func (a *lane) left() int { return len(a.events) + len(a.records) }

// stored takes the first records off, which the broker has.
func (a *lane) stored(n int) {
	if len(a.events) > 0 {
		a.events = a.events[n:]
	} else {
		a.records = a.records[n:]
	}
	a.sequence += int32(n)
}

// next lists the records that may go into the next batch. An event becomes a record only when its turn comes, in the draft's memory:
// a large commit does not hold its events twice.
func (a *lane) next(d *draft, enc connector.Encoding) iter.Seq[*record] {
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
	lanes, err := l.lanes(s, events, rejects, next)
	if err != nil {
		return err // nothing was begun, and the session is as it was
	}
	if err := l.encodeAll(s, lanes, now); err != nil {
		return err
	}
	who, err := l.raise(ctx, s)
	if err != nil {
		return l.refused(ctx, err)
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
	if proven != nil {
		if err := proven(ctx); err != nil {
			return l.broken(ctx, s, who, &unprovenError{err})
		}
	}
	if err := l.sink.endTransaction(ctx, l.id, who, true); err != nil {
		if fenced(err) {
			return l.standDown(err)
		}
		l.drop()
		return err // unclear, whatever it is
	}
	s.positions.Next = offsets
	l.standing.Keep(next)
	l.raiseNext(s, who)
	return nil
}

// unprovenError says that all was written, and must not be committed.
type unprovenError struct{ err error }

func (e *unprovenError) Error() string { return e.err.Error() }
func (e *unprovenError) Unwrap() error { return e.err }

// lanes sorts what is to be written by partition.
func (l *log) lanes(s *session, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint) ([]*lane, error) {
	byPlace := make(map[place]*lane)
	var list []*lane
	laneTo := func(topic string, partition int32) *lane {
		at := place{topic, partition}
		found := byPlace[at]
		if found == nil {
			found = &lane{at: at}
			byPlace[at] = found
			list = append(list, found)
		}
		return found
	}
	for i := range events {
		to := laneTo(l.sink.topics.events, s.events.of([]byte(events[i].Chat)))
		to.events = append(to.events, &events[i])
	}
	put := func(topic string, r *record) {
		to := laneTo(topic, s.homes[topic].of(r.key))
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

// encodeAll makes the next batch of each lane that has none, as many at the same time as the sink has encoders.
func (l *log) encodeAll(s *session, lanes []*lane, now time.Time) error {
	errs := make([]error, len(lanes))
	var wait sync.WaitGroup
	for i, lane := range lanes {
		if lane.batch == nil {
			encoder := <-l.sink.encoders
			wait.Go(func() {
				lane.batch, lane.sent, errs[i] = encoder.encode(lane.next(&encoder.draft, l.sink.encoding), s.chunk, now)
				l.sink.encoders <- encoder
			})
		}
	}
	wait.Wait()
	return errors.Join(errs...)
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
			if lane.left() > 0 {
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
		if err := l.forth(s, lane.at, answer.offset, int64(sent), offsets); err != nil {
			return err
		}
		lane.stored(sent)
		lane.limit = 0
	case !tooLarge(answer.err):
		return answer.err
	case sent > 1:
		s.chunk = max(s.chunk/2, 16<<10)
		lane.limit = sent / 2
	case len(lane.events) > 0:
		return &connector.Rejected{Key: lane.events[0].Key, Reason: "it is larger than topic " + lane.at.topic + " takes (max.message.bytes)"}
	default:
		return &connector.Refusal{
			Thing: "topic " + lane.at.topic, Cause: "it takes no record as large as this one",
			Hint: fmt.Sprintf("kafka-configs.sh --alter --topic %s --add-config max.message.bytes=%d", lane.at.topic, checkpointBytes),
		}
	}
	lane.batch = nil
	return nil
}

// forth notes where a partition ends now, and refuses one that ended before further up: it was made anew, or lost its end, and what this
// log wrote to it is gone.
func (l *log) forth(s *session, at place, offset, sent int64, offsets []int64) error {
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
func (l *log) refused(ctx context.Context, err error) error {
	switch {
	case fenced(err):
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
	case fenced(cause):
		return l.standDown(cause)
	case !certain && !answered(cause) && !unsent(cause):
		l.drop()
		return cause
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout) // to take it back, even where its time is over
	defer cancel()
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
