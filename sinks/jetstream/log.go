package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// A batch holds at most a thousand messages, including the checkpoint.
const (
	maxMessages = 998
	maxBytes    = 4 << 20
)

// purgeEvery is the number of commits after which the older checkpoints are removed.
const purgeEvery = 64

// headerSourceKey repeats a checkpoint's source key, so that a scan for aliases need not read bodies.
const headerSourceKey = "Twochat-Source-Key"

var _ connector.Log = (*Log)(nil)

// Log is one stream's log in the sink.
type Log struct {
	sink  *Sink
	claim connector.Claim

	events     string // filter
	checkpoint string // subject
	quarantine string // subject

	standing *connector.HighWaterMark // where the log ended, as far as this process knows
	back     time.Time                // since when the log looks as if it went back; zero if it does not

	acquired   bool
	fenced     bool   // another owner was found since the last Acquire
	unsettled  bool   // the last commit's outcome is unknown, and with it whether another owner has taken over since
	last       uint64 // stream sequence of the checkpoint in force, the guard of the next commit
	epoch      uint64
	marks      windowMarks
	careful    bool      // the last batch was refused as incomplete: find out why
	duplicates int       // commits in a row that were refused for a message id that the stream remembers
	remembered time.Time // when the first of them was
	odds       int       // commits in a row that were refused for an unknown reason
	oneReplies int       // takeovers in a row that could not read the log back, as only one of several replies arrived

	purger *purger
}

// Limits returns how much one commit may hold.
func (l *Log) Limits() connector.Limits {
	return connector.Limits{Messages: maxMessages, Bytes: maxBytes}
}

// Close waits for the removal of older checkpoints.
func (l *Log) Close() error {
	l.acquired, l.fenced, l.unsettled = false, false, false
	l.purger.close()
	return nil
}

// Peek returns the newest checkpoint.
func (l *Log) Peek(ctx context.Context) (connector.Checkpoint, bool, error) {
	k, err := l.sink.connect(ctx)
	if err != nil {
		return connector.Checkpoint{}, false, err
	}
	checkpoint, _, found, err := l.read(ctx, k)
	if err != nil {
		return connector.Checkpoint{}, false, l.readError("read checkpoint", err)
	}
	return checkpoint, found, nil
}

// Commit writes the events, the rejects and the next checkpoint as one batch.
func (l *Log) Commit(
	ctx context.Context, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint,
) error {
	switch {
	case l.fenced:
		return fmt.Errorf("commit: %w", connector.ErrFenced)
	case !l.acquired:
		return errors.New("commit: the stream has not been acquired")
	}
	next.Epoch, next.Owner, next.Written = l.epoch, l.claim.Instance, time.Now()
	if n := len(events) + len(rejects); n > maxMessages {
		return fmt.Errorf("commit: %d messages are more than the limit of %d", n, maxMessages)
	}
	k, err := l.sink.connect(ctx)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	known, err := l.sink.known(ctx, k, false)
	if err != nil {
		return l.readError("commit", err)
	}
	if known.refusal != nil {
		if err := l.owner(ctx, k); errors.Is(err, connector.ErrFenced) {
			return fmt.Errorf("commit: %w", err)
		}
		return known.refusal
	}
	positions := l.marks // for the log after this commit; stored once it has succeeded
	if len(events) > 0 {
		positions = positions.with(mark{Event: events[0].Sequence, Stream: l.last + 1})
	}
	positions = positions.trimmed(next.Sequence, l.claim.Window)
	next.Sink = positions.encode()

	encoder := l.sink.encoders.borrow()
	defer l.sink.encoders.giveBack(encoder) // the connection has copied what it published
	messages, err := l.messages(encoder, events, rejects, next, known.ttl)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := messages.tooLarge(limit(k, known)); err != nil {
		return err
	}
	sequence, err := k.publish(ctx, batchID(), messages, l.careful)
	if err != nil {
		return (&failedCommit{l, k, messages}).outcome(ctx, err)
	}
	l.last, l.marks, l.careful, l.duplicates, l.odds = sequence, positions, false, 0, 0
	l.standing.Raise(next)
	l.purger.committed(k)
	return nil
}

// messages makes the batch: events, rejects, checkpoint.
func (l *Log) messages(
	encoder *natssink.Encoder, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint, ttl bool,
) (*batchMessages, error) {
	b := &batchMessages{
		prefix: l.sink.config.Subject, encoding: l.sink.encoding, events: events, encoder: encoder, rejects: rejects,
		rest: make([]*natsgo.Msg, 0, len(rejects)+1),
	}
	for i := range rejects {
		body, err := rejects[i].AppendJSON(nil, l.claim.Stream, l.claim.TypePrefix)
		if err != nil {
			return nil, err
		}
		m := &natsgo.Msg{Subject: l.quarantine, Header: make(natsgo.Header, 4), Data: body}
		m.Header[natssink.HeaderContentType] = []string{connector.StructuredType}
		b.rest = append(b.rest, m)
	}
	m, err := l.checkpointMessage(next, ttl)
	if err != nil {
		return nil, err
	}
	b.rest = append(b.rest, m)
	return b, nil
}

// checkpointMessage makes the message that the server accepts only if the previous checkpoint is still the last one.
func (l *Log) checkpointMessage(c connector.Checkpoint, ttl bool) (*natsgo.Msg, error) {
	body, err := c.AppendJSON(nil, l.claim.TypePrefix)
	if err != nil {
		return nil, err
	}
	m := &natsgo.Msg{Subject: l.checkpoint, Header: make(natsgo.Header, 8), Data: body}
	m.Header[natssink.HeaderContentType] = []string{connector.StructuredType}
	m.Header[headerSourceKey] = []string{c.SourceKey}
	m.Header[headerExpected] = []string{strconv.FormatUint(l.last, 10)}
	if ttl {
		m.Header[headerTTL] = []string{"never"} // otherwise it would expire with the events' max_age
	}
	return m, nil
}

// read asks the leader for the newest checkpoint and its stream sequence.
func (l *Log) read(ctx context.Context, k *link) (c connector.Checkpoint, sequence uint64, found bool, err error) {
	m, found, err := k.get(ctx, l.sink.config.Stream, query{Last: l.checkpoint})
	if err != nil || !found {
		return connector.Checkpoint{}, 0, false, err
	}
	c, err = connector.ParseCheckpoint(m.Data)
	if err != nil {
		return connector.Checkpoint{}, 0, false, &connector.Refusal{
			Thing: "stream " + l.claim.Stream.Name, Cause: err.Error(),
			Hint: "restore the checkpoint on its subject, or run the program that wrote it",
		}
	}
	return c, m.Sequence, true, nil
}
