package jetstream

import (
	"fmt"
	"slices"
	"sync"

	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// batchMessages are the messages of one batch: events, rejects, checkpoint. Those of the events are made one at a time,
// as the connection copies what it publishes; all of them together would take as much memory as the events.
type batchMessages struct {
	prefix   string // of the events' subjects
	encoding connector.Encoding
	events   []connector.Event
	encoder  *natssink.Encoder // nil if there are no events
	rejects  []connector.Reject
	rest     []*natsgo.Msg // the rejects' messages and the checkpoint's
}

// single is a batch of one message, other than an event.
func single(m *natsgo.Msg) *batchMessages { return &batchMessages{rest: []*natsgo.Msg{m}} }

func (b *batchMessages) count() int { return len(b.events) + len(b.rest) }

// at returns the i-th message. The next call may overwrite it.
func (b *batchMessages) at(i int) *natsgo.Msg {
	if i < len(b.events) {
		return b.encoder.Message(b.prefix, &b.events[i], b.encoding)
	}
	return b.rest[i-len(b.events)]
}

// publishesTo reports whether one of the messages has this subject. It is safe to call while messages are made.
func (b *batchMessages) publishesTo(subject string) bool {
	return slices.ContainsFunc(b.rest, func(m *natsgo.Msg) bool { return m.Subject == subject }) ||
		slices.ContainsFunc(b.events, func(e connector.Event) bool { return natssink.EventSubject(b.prefix, &e) == subject })
}

// batchHeaders is more than the size of the headers that publish adds to a message.
const batchHeaders = 128

// tooLarge finds the first message that is too large for the server on its own.
func (b *batchMessages) tooLarge(limit int64) error {
	for i := range b.count() {
		if i < len(b.events) && int64(natssink.SizeBound(&b.events[i])+batchHeaders) <= limit {
			continue
		}
		m := b.at(i)
		if size := int64(m.Size() - len(m.Subject) + batchHeaders); size <= limit {
			continue
		}
		reason := fmt.Sprintf("too large: a message of %d bytes, and the server accepts %d", len(m.Data), limit)
		switch {
		case i < len(b.events):
			return &connector.Rejected{Key: b.events[i].Key, Reason: reason}
		case i < len(b.events)+len(b.rejects):
			return &connector.Rejected{Key: b.rejects[i-len(b.events)].Key, Reason: reason}
		}
		return &connector.Refusal{
			Thing: "NATS server", Cause: "it accepts no message as large as the checkpoint: " + reason,
			Hint: "raise max_payload of the server and max_msg_size of the stream to at least 1 MB",
		}
	}
	return nil
}

// encoders holds encoders that are not in use. There are as many of them as concurrent commits, not one for each stream.
type encoders struct{ pool sync.Pool } // of *natssink.Encoder

func (p *encoders) borrow() *natssink.Encoder {
	if encoder, ok := p.pool.Get().(*natssink.Encoder); ok {
		return encoder
	}
	return new(natssink.Encoder)
}

// giveBack returns an encoder whose messages nobody reads any more.
func (p *encoders) giveBack(encoder *natssink.Encoder) { p.pool.Put(encoder) }
