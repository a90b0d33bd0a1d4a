package kafka

import (
	"context"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/twochat-connector/twochat-connector/connector"
)

// CheckAcquire returns the error that Log.Acquire would, and changes nothing.
func (s *Sink) CheckAcquire(ctx context.Context, claim connector.Claim) error {
	a := &admission{s, claim}
	return wrap("check acquire", s.hints.asRefusal(asNotNow(a.check(ctx))))
}

func (a *admission) check(ctx context.Context) error {
	if _, err := a.sink.cluster.settled(ctx, time.Now()); err != nil {
		return err
	}
	count, err := a.sink.partitions(ctx, a.sink.topics.events)
	if err != nil {
		return err
	}
	seen, err := a.admitted(ctx, count, false)
	if err != nil {
		return err
	}
	held, err := readPositions(seen.checkpoint.Sink)
	if err != nil {
		return err
	}
	if err := a.pin(&held, count); err != nil {
		return err
	}
	if err := a.identified(ctx, &held); err != nil {
		return err
	}
	ends, err := a.sink.client.extents(ctx, a.sink.topics.events, count, kafkago.ReadUncommitted)
	if err != nil {
		return err
	}
	return a.truncated(held, ends)
}
