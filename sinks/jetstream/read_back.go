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
	position := connector.RecordPosition{Container: "JetStream stream " + s.config.Stream + ", sequence"}
	readEvents := func(m jetstream.Msg, sequence uint64) error {
		if m.Headers().Get(jetstream.MarkerReasonHeader) != "" {
			return nil // the server writes such a message itself after the last message on a subject has expired
		}
		record := connector.StoredRecord{Position: position}
		record.Position.At = int64(sequence)
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
		quarantine = quarantineSubjects(s.config.Subject)
	}
	return readSubjects(ctx, s, k, quarantine, func(m jetstream.Msg, _ uint64) error { return reject(m.Data()) })
}

// readSubjects passes on each message under a filter that the stream holds now. A replica may lag, and the newest
// message may be removed meanwhile.
func readSubjects(
	ctx context.Context, s *Sink, k *link, filter string, each func(m jetstream.Msg, sequence uint64) error,
) error {
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	_, err := readToNewest(ctx, s, k, filter, config, 2*k.timeout, each)
	return readError("read back", s.hints, err)
}
