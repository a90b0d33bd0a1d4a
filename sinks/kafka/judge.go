package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Judge says what Log.Acquire would, from a look that changes nothing.
func (s *Sink) Judge(ctx context.Context, claim connector.Claim) error {
	l, ok := s.Log(claim).(*log)
	if !ok {
		return errors.New("judge: the log is not this sink's")
	}
	if err := l.judge(ctx); err != nil {
		return errors.Join(fmt.Errorf("judge: %w", s.judged(asNotNow(err))), l.Close())
	}
	return l.Close()
}

func (l *log) judge(ctx context.Context) error {
	if _, err := l.sink.cluster.settled(ctx, time.Now()); err != nil {
		return err
	}
	count, err := l.sink.partitions(ctx, l.sink.topics.events)
	if err != nil {
		return err
	}
	seen, err := l.admitted(ctx, count, false)
	if err != nil {
		return err
	}
	held, err := readPositions(seen.checkpoint.Sink)
	if err != nil {
		return err
	}
	if err := l.pin(&held, count); err != nil {
		return err
	}
	if err := l.identified(ctx, &held); err != nil {
		return err
	}
	ends, err := l.sink.extents(ctx, l.sink.topics.events, count, kafkago.ReadUncommitted)
	if err != nil {
		return err
	}
	return l.truncated(held, ends)
}
