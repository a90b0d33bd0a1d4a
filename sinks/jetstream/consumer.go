package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

const (
	// inactive is how long the server keeps a consumer that we could not delete.
	inactive = 30 * time.Second
	// pull is how many messages are requested at a time.
	pull = 2_000
	// leastLagWait is the lagWait of a server that has not proven slow.
	leastLagWait = 2 * time.Second
)

// lagWait is how long to wait for a message that the leader reported before asking the leader again: longer where the
// server has proven slow, as then the message is on its way.
func lagWait(k *link) time.Duration {
	return min(k.timeout, leastLagWait+max(0, k.answerTimeout(0)-firstAnswerTimeout))
}

// forget deletes a consumer on the server. Nobody waits for the answer, as the consumer expires soon anyway.
func (s *Sink) forget(k *link, consumer jetstream.Consumer) {
	if info := consumer.CachedInfo(); info != nil {
		forgetConsumer(s, k, info.Name)
	}
}

func forgetConsumer(s *Sink, k *link, name string) {
	if err := k.conn.Publish(k.api+"CONSUMER.DELETE."+s.config.Stream+"."+name, nil); err != nil {
		s.logger.Debug("a consumer was not deleted and will expire", "error", err.Error())
	}
}

// jetStream is the client's view of JetStream over the connection.
func (k *link) jetStream() (jetstream.JetStream, error) {
	return jetstream.NewWithAPIPrefix(k.conn, strings.TrimSuffix(k.api, "."),
		jetstream.WithDefaultTimeout(2*k.answerTimeout(0)))
}

// consumerError turns an error of the client's JetStream package into one of ours.
func consumerError(err error) error {
	var api jetstream.JetStreamError
	switch {
	case errors.As(err, &api) && api.APIError() != nil:
		e := api.APIError()
		return &apiError{Status: e.Code, Code: int(e.ErrorCode), Description: e.Description}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, natsgo.ErrTimeout):
		return errNoAnswer
	case errors.Is(err, natsgo.ErrNoResponders):
		return errNoResponders
	case errors.Is(err, natsgo.ErrConnectionClosed), errors.Is(err, natsgo.ErrReconnectBufExceeded),
		errors.Is(err, jetstream.ErrNoHeartbeat):
		return errors.Join(errLost, err)
	}
	return fmt.Errorf("consume: %w", err)
}

// aliases finds streams that hold the same list under another name. One scan of all checkpoints serves all callers that
// began to wait before it started.
type aliases struct {
	mu    sync.Mutex
	next  *scan // not started yet
	turns chan struct{}
}

// scan is one reading of the source keys of all checkpoints.
type scan struct {
	done     chan struct{}
	subjects map[string]string // subject by source key
	err      error
}

// find returns the name of another stream with the list of this one, or "". none is true if there is no checkpoint of
// any stream.
func (a *aliases) find(
	ctx context.Context, s *Sink, k *link, stream connector.Stream, own string,
) (name string, none bool, err error) {
	a.mu.Lock()
	if a.turns == nil {
		a.turns = make(chan struct{}, 1)
	}
	mine := a.next == nil
	if mine {
		a.next = &scan{done: make(chan struct{})}
	}
	this := a.next
	a.mu.Unlock()

	if mine {
		a.turns <- struct{}{} // the scan before ends within its timeouts
		a.mu.Lock()
		a.next = nil // later callers need a later scan
		a.mu.Unlock()
		this.subjects, this.err = scanCheckpoints(ctx, s, k)
		close(this.done)
		<-a.turns
	}
	select {
	case <-this.done:
	case <-ctx.Done():
		return "", false, ctx.Err()
	}
	if this.err != nil {
		return "", false, this.err
	}
	for _, key := range []string{stream.SourceKey, stream.FormerKey} {
		if subject, ok := this.subjects[key]; ok && subject != own {
			return nameOf(subject), false, nil
		}
	}
	return "", this.subjects == nil, nil
}

// scanCheckpoints reads the source key of every stream's newest checkpoint. A checkpoint that is written meanwhile may
// replace the one that the leader named; it has a higher stream sequence.
func scanCheckpoints(ctx context.Context, s *Sink, k *link) (map[string]string, error) {
	subjects := make(map[string]string)
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, HeadersOnly: true}
	found, err := readToNewest(ctx, s, k, checkpointSubjects(s.config.Subject), config, lagWait(k),
		func(m jetstream.Msg, _ uint64) error {
			if key := natsgo.Header(m.Headers()).Get(headerSourceKey); key != "" {
				subjects[key] = m.Subject()
			}
			return nil
		})
	if err != nil || !found {
		return nil, err
	}
	return subjects, nil
}

// readToNewest reads the messages under a filter with a consumer, up to the newest message that the leader names or one
// above it. wait limits the time for each message. found is false if the leader has none.
func readToNewest(
	ctx context.Context, s *Sink, k *link, filter string, config jetstream.OrderedConsumerConfig, wait time.Duration,
	each func(m jetstream.Msg, sequence uint64) error,
) (found bool, err error) {
	newest, found, err := k.get(ctx, s.config.Stream, query{Last: filter})
	if err != nil || !found {
		return false, err
	}
	js, err := k.jetStream()
	if err != nil {
		return true, err
	}
	config.FilterSubjects, config.InactiveThreshold = []string{filter}, inactive
	consumer, err := js.OrderedConsumer(ctx, s.config.Stream, config)
	if err != nil {
		return true, consumerError(err)
	}
	defer s.forget(k, consumer)
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pull))
	if err != nil {
		return true, consumerError(err)
	}
	defer messages.Stop()
	for {
		waiting, cancel := context.WithTimeout(ctx, wait)
		m, err := messages.Next(jetstream.NextContext(waiting))
		cancel()
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		if err != nil {
			return true, consumerError(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return true, fmt.Errorf("read metadata: %w", err)
		}
		if err := each(m, meta.Sequence.Stream); err != nil {
			return true, err
		}
		if meta.Sequence.Stream >= newest.Sequence {
			return true, nil
		}
	}
}

// checkpointSubjects is the filter for all checkpoints.
func checkpointSubjects(prefix string) string {
	return strings.TrimSuffix(natssink.CheckpointSubject(prefix, "x"), "x") + "*"
}

// quarantineSubjects is the filter for all rejects.
func quarantineSubjects(prefix string) string {
	return strings.TrimSuffix(natssink.QuarantineSubject(prefix, "x"), "x") + "*"
}

// nameOf is the stream's name in a checkpoint's subject: the last token, decoded (see connector.SubjectToken).
func nameOf(subject string) string {
	token := subject[strings.LastIndexByte(subject, '.')+1:]
	if token == "=" {
		return ""
	}
	name, err := natssink.DecodeHeader(strings.ReplaceAll(token, "=", "%"))
	if err != nil {
		return token
	}
	return name
}
