package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// Follow reads with an ordered consumer, which goes on by itself after the connection was lost.
func (s *Sink) Follow(ctx context.Context, stream string, last int, each func(event []byte) error) error {
	k, err := s.connect(ctx)
	if err != nil {
		return ended(ctx, fmt.Errorf("follow: %w", err))
	}
	js, err := k.jetStream()
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	consumer, skip, err := newestConsumer(ctx, s, k, js, natssink.EventsSubject(s.config.Subject, stream), last)
	if err != nil {
		return ended(ctx, followError(s.hints, err))
	}
	defer s.forget(k, consumer)
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pull))
	if err != nil {
		return ended(ctx, followError(s.hints, consumerError(err)))
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return ended(ctx, followError(s.hints, consumerError(err)))
		}
		if skip > 0 {
			skip--
			continue
		}
		event, err := natssink.DecodeEvent(m.Headers(), m.Data())
		if err != nil {
			s.logger.Warn("a message on an event's subject is not an event", "error", err.Error())
			continue
		}
		if err := each(event); err != nil {
			return err
		}
	}
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func followError(h *hints, err error) error {
	var api *apiError
	if errors.As(err, &api) {
		if refusal := h.refusal(api); refusal != nil {
			return refusal
		}
	}
	return fmt.Errorf("follow: %w", err)
}

// newestConsumer makes a consumer that begins at or above the newest messages that are asked for, and says how many to
// skip.
func newestConsumer(
	ctx context.Context, s *Sink, k *link, js jetstream.JetStream, filter string, last int,
) (jetstream.Consumer, uint64, error) {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}, InactiveThreshold: inactive}
	info, err := k.streamInfo(ctx, s.config.Stream)
	if err != nil {
		return nil, 0, err
	}
	// From the end back in growing steps: only the server can count what lies under a filter.
	for span := uint64(max(last, 0)) * 2; ; span *= 4 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, 1
		if span < info.State.LastSeq {
			config.OptStartSeq = info.State.LastSeq - span + 1
		}
		if last <= 0 {
			config.OptStartSeq = info.State.LastSeq + 1
		}
		consumer, err := js.OrderedConsumer(ctx, s.config.Stream, config)
		if err != nil {
			return nil, 0, consumerError(err)
		}
		pending := consumer.CachedInfo().NumPending
		switch {
		case last <= 0:
			return consumer, 0, nil
		case pending >= uint64(last):
			return consumer, pending - uint64(last), nil
		case config.OptStartSeq <= max(info.State.FirstSeq, 1):
			return consumer, 0, nil
		}
		s.forget(k, consumer)
	}
}
