package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// Follow reads with an ordered consumer, which recovers by itself after a lost connection.
func (s *Sink) Follow(ctx context.Context, options connector.FollowOptions, each func(event []byte) error) error {
	k, err := s.connect(ctx)
	if err != nil {
		return ended(ctx, fmt.Errorf("follow: %w", err))
	}
	js, err := k.jetStream()
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	info, err := k.streamInfo(ctx, s.config.Stream)
	if err != nil {
		return ended(ctx, readError("follow", s.hints, err))
	}
	consumer, pending, err := tailConsumer(ctx, s, k, js, info.State, options)
	if err != nil {
		return ended(ctx, readError("follow", s.hints, err))
	}
	defer s.forget(k, consumer)
	if options.Once && consumer.CachedInfo().NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pull))
	if err != nil {
		return ended(ctx, readError("follow", s.hints, consumerError(err)))
	}
	defer messages.Stop()
	var newest [][]byte
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return ended(ctx, readError("follow", s.hints, consumerError(err)))
		}
		at, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("follow: %w", err)
		}
		end := at.NumPending == 0 || at.Sequence.Stream >= info.State.LastSeq
		if event, err := natssink.DecodeEvent(m.Headers(), m.Data()); err != nil {
			s.logger.Warn("a message on an event's subject is not an event", "error", err.Error())
		} else if newest = append(newest, event); pending > 0 && len(newest) > options.Last {
			newest = newest[1:]
		}
		if pending > 0 {
			pending--
		}
		if pending > 0 && !end {
			continue // what is not an event takes no place among the newest
		}
		pending = 0
		for _, event := range newest {
			if err := each(event); err != nil {
				return err
			}
		}
		newest = nil
		if options.Once && end {
			return nil
		}
	}
}

func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// readError describes an error of reading; nil stays nil.
func readError(operation string, h *hints, err error) error {
	var api *apiError
	if errors.As(err, &api) {
		if refusal := h.refusal(api); refusal != nil {
			return refusal
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", operation, err)
	}
	return err
}

// notEvents is how many messages that are not events there may be among the newest, beside as many as are requested.
const notEvents = 16

// tailConsumer makes a consumer that begins at or before the requested events, and returns how many messages there are
// among which the newest events are to be found; 0 if all are requested.
func tailConsumer(
	ctx context.Context, s *Sink, k *link, js jetstream.JetStream, state jetstream.StreamState,
	options connector.FollowOptions,
) (jetstream.Consumer, uint64, error) {
	config := jetstream.OrderedConsumerConfig{
		FilterSubjects:    []string{natssink.EventsSubject(s.config.Subject, options.Stream)},
		InactiveThreshold: inactive,
	}
	if !options.Since.IsZero() {
		from := options.Since.Add(-connector.ClockMargin)
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &from
		consumer, err := js.OrderedConsumer(ctx, s.config.Stream, config)
		if err != nil {
			return nil, 0, consumerError(err)
		}
		return consumer, 0, nil
	}
	// Goes back from the end in growing steps, because only the server can count the messages under a filter.
	last := options.Last
	enough := uint64(max(last, 0))*2 + notEvents
	for span := enough; ; span *= 4 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, 1
		if span < state.LastSeq {
			config.OptStartSeq = state.LastSeq - span + 1
		}
		if last <= 0 {
			config.OptStartSeq = state.LastSeq + 1
		}
		consumer, err := js.OrderedConsumer(ctx, s.config.Stream, config)
		if err != nil {
			return nil, 0, consumerError(err)
		}
		pending := consumer.CachedInfo().NumPending
		switch {
		case last <= 0:
			return consumer, 0, nil
		case pending >= enough, config.OptStartSeq <= max(state.FirstSeq, 1):
			return consumer, pending, nil
		}
		s.forget(k, consumer)
	}
}
