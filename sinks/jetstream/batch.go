package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	natsgo "github.com/nats-io/nats.go"
)

// Headers of JetStream (ADR-50, ADR-43).
const (
	headerBatch       = "Nats-Batch-Id"
	headerBatchPlace  = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
	headerExpected    = "Nats-Expected-Last-Subject-Sequence"
	headerTTL         = "Nats-TTL"
	headerOnlyStream  = "Nats-Expected-Stream"
)

// noResponders is the status of the server's own answer if nobody is subscribed.
const noResponders = "503"

// notSentError means that the end of a batch was not sent: whatever reached the server can no longer be committed.
type notSentError struct{ cause error }

func (e *notSentError) Error() string { return "not sent: " + e.cause.Error() }
func (e *notSentError) Unwrap() error { return e.cause }

// publish sends the messages as one atomic batch and returns the stream sequence of the last one. Each message gets its
// place in the batch; a single message is sent as a plain message, without a batch. The error is an *apiError if the
// server refused, and a *notSentError if the last message was not sent, so that nothing was written. With any other
// error, the outcome is unknown.
//
// The first and the last message ask for an answer. A server that refuses to open the batch says so in the first
// answer; the last answer would only say that the batch is incomplete. With careful every message asks for an answer,
// which shows why one in the middle was refused.
func (k *link) publish(
	ctx context.Context, batch string, messages *batchMessages, careful bool,
) (sequence uint64, err error) {
	if !k.conn.IsConnected() {
		return 0, &notSentError{errLost}
	}
	life, bytes, givenUp := k.life(), 0, false
	count, id := messages.count(), []string{batch}
	x, done := k.await(batch, count+1, messages.publishesTo)
	defer func() { done(givenUp) }()
	for i := range count {
		m, last := messages.at(i), i == count-1
		if count > 1 {
			m.Header[headerBatch] = id
			m.Header[headerBatchPlace] = []string{strconv.Itoa(i + 1)}
			if last {
				m.Header[headerBatchCommit] = []string{"1"}
			}
		}
		if i == 0 || last || careful {
			m.Reply = k.inbox + batch + "." + strconv.Itoa(i+1)
		}
		if err := ctx.Err(); err != nil {
			return 0, &notSentError{err}
		}
		if err := k.conn.PublishMsg(m); err != nil {
			if last && !errors.Is(err, natsgo.ErrReconnectBufExceeded) &&
				!errors.Is(err, natsgo.ErrConnectionClosed) && !errors.Is(err, natsgo.ErrMaxPayload) {
				return 0, errors.Join(errLost, err) // some of it may have been sent
			}
			return 0, &notSentError{err}
		}
		bytes += len(m.Data)
	}
	defer func() { k.note(err) }()
	timer := time.NewTimer(k.answerTimeout(bytes))
	defer timer.Stop()
	for {
		select {
		case m := <-x.answers:
			sequence, final, err := settle(m, batch, count)
			if final || err != nil {
				return sequence, err
			}
		case denied := <-x.denied:
			return 0, denied
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-life.Done():
			return 0, errLost
		case <-timer.C:
			givenUp = true
			return 0, errNoAnswer
		}
	}
}

// settle reads one answer. An empty one only means that a message was accepted for its batch.
func settle(m *natsgo.Msg, batch string, size int) (sequence uint64, final bool, err error) {
	if m.Header.Get("Status") == noResponders {
		return 0, true, errNoResponders
	}
	if len(m.Data) == 0 {
		return 0, false, nil
	}
	var answer struct {
		Sequence uint64    `json:"seq"`
		Batch    string    `json:"batch"`
		Size     int       `json:"count"`
		Error    *apiError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return 0, true, fmt.Errorf("decode answer: %w", err)
	}
	switch {
	case answer.Error != nil:
		return 0, true, answer.Error
	case answer.Sequence == 0:
		return 0, true, errors.New("decode answer: it has no sequence")
	case size > 1 && (answer.Batch != batch || answer.Size != size):
		// A server that does not know batches stores each message by itself and answers the first one.
		return 0, true, fmt.Errorf("the answer is not for a batch of %d messages", size)
	}
	return answer.Sequence, true, nil
}
