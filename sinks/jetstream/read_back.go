package jetstream

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// ReadBack reads with an ordered consumer up to the newest message that the leader names.
func (s *Sink) ReadBack(
	ctx context.Context, stream string, event func(connector.StoredRecord) error, reject func(reject []byte) error,
) error {
	k, err := s.connect(ctx)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	place := connector.Place{Container: "JetStream stream " + s.config.Stream + ", sequence"}
	readEvents := func(m jetstream.Msg, sequence uint64) error {
		if m.Headers().Get(jetstream.MarkerReasonHeader) != "" {
			return nil // the server itself writes it where a subject's last message has expired
		}
		record := connector.StoredRecord{Place: place}
		record.Place.At = int64(sequence)
		record.Event, record.Fault = natssink.DecodeEvent(m.Headers(), m.Data())
		return event(record)
	}
	if event != nil {
		if err := readSubjects(ctx, s, k, natssink.EventsSubject(s.config.Subject, stream), readEvents); err != nil {
			return err
		}
	}
	quarantine := natssink.QuarantineSubject(s.config.Subject, stream)
	if stream == "" {
		quarantine = natssink.QuarantineSubjects(s.config.Subject)
	}
	return readSubjects(ctx, s, k, quarantine, func(m jetstream.Msg, _ uint64) error { return reject(m.Data()) })
}

// readSubjects gives each message that a filter lets through and the stream holds now.
func readSubjects(ctx context.Context, s *Sink, k *link, filter string, each func(m jetstream.Msg, sequence uint64) error) error {
	newest, found, err := k.get(ctx, s.config.Stream, query{Last: filter})
	if err != nil {
		return followError(s.hints, err)
	}
	if !found {
		return nil
	}
	js, err := k.jetStream()
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	consumer, err := js.OrderedConsumer(ctx, s.config.Stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverAllPolicy, InactiveThreshold: inactive,
	})
	if err != nil {
		return followError(s.hints, consumerError(err))
	}
	defer s.forget(k, consumer)
	messages, err := consumer.Messages(jetstream.PullMaxMessages(pull))
	if err != nil {
		return followError(s.hints, consumerError(err))
	}
	defer messages.Stop()
	for {
		waiting, cancel := context.WithTimeout(ctx, 2*k.timeout) // a replica may lag, and the newest be removed meanwhile
		m, err := messages.Next(jetstream.NextContext(waiting))
		cancel()
		if err != nil {
			return followError(s.hints, consumerError(err))
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read metadata: %w", err)
		}
		if err := each(m, meta.Sequence.Stream); err != nil {
			return err
		}
		if meta.Sequence.Stream >= newest.Sequence {
			return nil
		}
	}
}
