package jetstream

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

func TestAcquire_afterEventsExpired(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	c := config(s.url())
	c.MaxAge = 2 * time.Second
	create(t, c)
	js := s.client(t)
	sink := openSink(t, c, connector.ModeStructured)
	log := openLog(t, sink, sinktest.Claim(stream, "one"))
	checkpoint := commit(t, log, acquire(t, log).Checkpoint, sinktest.Events(log.claim.Stream, 1, 300))
	eventually(t, "the events to expire", func() bool {
		info, err := js.StreamInfo(DefaultStream)
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Msgs <= 2 // checkpoints
	})
	state := acquire(t, openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "two")))
	if state.Checkpoint.Sequence != checkpoint.Sequence || len(state.Seen) != 0 || len(state.Checkpoint.Tail) == 0 {
		t.Fatalf("finds sequence %d, %d events and %d keys", state.Checkpoint.Sequence, len(state.Seen),
			len(state.Checkpoint.Tail))
	}
}

func TestAcquire_withoutTTL(t *testing.T) {
	t.Parallel()
	// allow_msg_ttl is switched off without the sink's knowledge: no message is lost because of it.
	s := startServer(t, nil)
	c := config(s.url())
	js := s.client(t)
	addStream(t, s.url(), jetstream.StreamConfig{
		Name: DefaultStream, Subjects: subjects("whatsapp"),
		AllowAtomicPublish: true,
	})
	sink := openSink(t, c, connector.ModeStructured)
	log := openLog(t, sink, sinktest.Claim(stream, "one"))
	acquire(t, log)
	sink.mu.Lock()
	sink.settings.ttl = true
	sink.mu.Unlock()
	checkpoint := acquire(t, log).Checkpoint
	sink.mu.Lock()
	sink.settings.ttl = true
	sink.mu.Unlock()
	events := sinktest.Events(log.claim.Stream, 1, 3)
	next := sinktest.Next(checkpoint, events, nil, 0)
	if err := log.Commit(t.Context(), events, nil, next); !errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("got %v, want ErrNotNow", err)
	}
	commit(t, log, checkpoint, events)
	wantSequences(t, js, stream, 3)
}

func TestAcquire_byConsumerWhereDirectGetsAreDenied(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	c := config(s.url())
	addStream(t, s.url(), jetstream.StreamConfig{
		Name: DefaultStream, Subjects: subjects("whatsapp"),
		AllowAtomicPublish: true, AllowMsgTTL: true,
	})
	claim := sinktest.Claim(stream, "one")
	claim.Window = 1_000
	log := openLog(t, openSink(t, c, connector.ModeBinary), claim)
	checkpoint := acquire(t, log).Checkpoint
	for range 6 {
		checkpoint = commit(t, log, checkpoint, sinktest.Events(claim.Stream, checkpoint.Sequence+1, 300))
	}
	for range 2 {
		state := acquire(t, log)
		if n := len(state.Seen); n != 1_000 || state.Seen[0].Sequence != 801 || state.Seen[n-1].Sequence != 1_800 {
			t.Fatalf("%d events from %d", n, state.Seen[0].Sequence)
		}
		if from := log.marks.start(); from < 500 {
			t.Errorf("the window is read back from stream sequence %d", from)
		}
	}
}

func TestAcquire_serverRestarts(t *testing.T) {
	t.Parallel()
	s := startServer(t, func(o *server.Options) { o.SyncAlways = true })
	c := config(s.url())
	create(t, c)
	log := openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "one"))
	checkpoint := commit(t, log, acquire(t, log).Checkpoint, sinktest.Events(log.claim.Stream, 1, 500))
	s.stop()
	events := sinktest.Events(log.claim.Stream, 501, 500)
	if err := log.Commit(t.Context(), events, nil, sinktest.Next(checkpoint, events, nil, 0)); !errors.Is(err,
		connector.ErrNotNow) {
		wantUnclear(t, err)
	}
	if _, err := log.Acquire(t.Context()); !errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("got %v, want ErrNotNow", err)
	}
	s.start(t)
	state := acquireSoon(t, log)
	if len(state.Seen) != 500 {
		t.Fatalf("%d events", len(state.Seen))
	}
	commit(t, log, state.Checkpoint, events)
	wantSequences(t, s.client(t), stream, 1_000)
}

func TestAcquire_silentServer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts connections and does not answer
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := config("nats://" + listener.Addr().String())
	c.Timeout = 300 * time.Millisecond
	log := openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "one"))
	if _, err := log.Acquire(t.Context()); !errors.Is(err, connector.ErrNotNow) {
		t.Errorf("got %v, want ErrNotNow", err)
	}
	if _, _, err := log.Peek(t.Context()); !errors.Is(err, connector.ErrNotNow) {
		t.Errorf("got %v, want ErrNotNow", err)
	}
}
