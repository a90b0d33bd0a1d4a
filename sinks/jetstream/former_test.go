package jetstream

import (
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// formerType is the content type of every message in earlier versions.
const formerType = "application/cloudevents+json; charset=UTF-8"

// former is a message in structured mode as earlier versions wrote it.
func former(e *connector.Event) *natsgo.Msg {
	m := natssink.Message("whatsapp", e, connector.Encoding{Mode: connector.ModeStructured})
	m.Header = natsgo.Header{
		"Content-Type": {formerType}, "Nats-Msg-Id": m.Header["Nats-Msg-Id"],
		"ce-sequence": {connector.FormatSequence(e.Sequence)},
	}
	if e.Late {
		m.Header["ce-late"] = []string{"true"}
	}
	return m
}

// TestFormerMessages takes over a log that an earlier version wrote, reads all of it back, continues it, and follows
// both parts.
func TestFormerMessages(t *testing.T) {
	t.Parallel()
	const before, after = 30, 12
	s, c := startStream(t)
	js := clientOf(t, s.url())
	claim := sinktest.Claim(stream, "one")
	events := sinktest.Events(claim.Stream, 1, before)
	for i := range events {
		if _, err := js.PublishMsg(former(&events[i])); err != nil {
			t.Fatal(err)
		}
	}
	held := sinktest.Next(claim.TakeOver(connector.Checkpoint{}, time.Now()), events, nil, before)
	held.Tail, held.TailLate = nil, nil // so that only the messages show what was delivered
	held.Sink = windowMarks{{Event: 1, Stream: 1}}.encode()
	checkpoint, err := held.AppendJSON(nil, sinktest.TypePrefix)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.PublishMsg(&natsgo.Msg{
		Subject: natssink.CheckpointSubject("whatsapp", stream), Data: checkpoint,
		Header: natsgo.Header{"Content-Type": {formerType}, headerSourceKey: {held.SourceKey}, headerTTL: {"never"}},
	})
	if err != nil {
		t.Fatal(err)
	}

	sink := openSink(t, c, connector.ModeStructured)
	log := sink.Log(sinktest.Claim(stream, "two"))
	defer log.Close()
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sinktest.WantSeen(t, state, events)
	more := sinktest.Events(claim.Stream, before+1, after)
	if err := log.Commit(t.Context(), more, nil, sinktest.Next(state.Checkpoint, more, nil, before+after)); err != nil {
		t.Fatal(err)
	}
	if state, err = log.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	events = append(events, more...)
	sinktest.WantSeen(t, state, events)
	sinktest.WantFollowed(t, sink, claim.Stream.Name, events)
	for _, m := range all(t, js, DefaultStream, natssink.EventsSubject("whatsapp", stream))[before:] {
		for name := range m.Header {
			if strings.HasPrefix(name, natssink.HeaderPrefix) {
				t.Fatalf("a message in structured mode has the header %s", name)
			}
		}
	}
}
