package demo

import (
	"context"

	natsgo "github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
)

// readStream passes on each event of the demo that a JetStream stream has now.
func (d *Demo) readStream(ctx context.Context, url, name string, each func(event []byte) error) error {
	conn, err := natsgo.Connect(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := natsjs.New(conn)
	if err != nil {
		return err
	}
	return ReadStream(ctx, js, name, d.target.subject(), func(_ string, data []byte) error { return each(data) })
}

// ReadStream passes on each message under a subject that a JetStream stream has now, in its order. It uses a plain NATS
// client, without code of the connector, as it is for audits of what the connector wrote.
func ReadStream(
	ctx context.Context, js natsjs.JetStream, name, subject string, each func(subject string, data []byte) error,
) error {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return err
	}
	consumer, err := stream.OrderedConsumer(ctx, natsjs.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil || consumer.CachedInfo().NumPending == 0 {
		return err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		message, err := messages.Next(natsjs.NextContext(ctx))
		if err != nil {
			return err
		}
		if err := each(message.Subject(), message.Data()); err != nil {
			return err
		}
		if meta, err := message.Metadata(); err != nil || meta.NumPending == 0 {
			return err
		}
	}
}
