package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

const stream = "595981048477"

// startStream runs a server with the stream.
func startStream(t *testing.T) (*testServer, Config) {
	t.Helper()
	s := startServer(t, nil)
	c := config(s.url())
	create(t, c)
	return s, c
}

// own opens the log of the stream and acquires it.
func own(t *testing.T, c Config, mode connector.Mode) (*Log, connector.Checkpoint) {
	t.Helper()
	log := openLog(t, openSink(t, c, mode), sinktest.Claim(stream, "one"))
	return log, acquire(t, log).Checkpoint
}

func TestCommit_ghostAfterTakeOver(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	p := startProxy(t, s.url())
	slow := c
	slow.URL, slow.Timeout = p.url(), time.Second
	one := openLog(t, openSink(t, slow, connector.ModeStructured), sinktest.Claim(stream, "one"))
	two := openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "two"))

	checkpoint := acquire(t, one).Checkpoint
	events := sinktest.Events(one.claim.Stream, 1, 200)
	checkpoint = commit(t, one, checkpoint, events[:50])
	p.hold()
	late := sinktest.Next(checkpoint, events[50:], nil, 50)
	wantUnclear(t, one.Commit(t.Context(), events[50:], nil, late))
	wantUnclear(t, one.Commit(t.Context(), events[50:], nil, late)) // not without Acquire

	state := acquire(t, two)
	if state.Checkpoint.Sequence != 50 || len(state.Seen) != 50 {
		t.Fatalf("two finds sequence %d and %d events", state.Checkpoint.Sequence, len(state.Seen))
	}
	commit(t, two, state.Checkpoint, events[50:60])
	p.release() // and the delayed batch of one arrives
	if err := one.sink.link.conn.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	js := s.client(t)
	wantSequences(t, js, stream, 60)
	// The ghost is refused permanently, and one finds what two wrote.
	state = acquireSoon(t, one)
	if state.Checkpoint.Sequence != 60 || len(state.Seen) != 60 {
		t.Fatalf("one finds sequence %d and %d events", state.Checkpoint.Sequence, len(state.Seen))
	}
	commit(t, one, state.Checkpoint, events[60:])
	wantSequences(t, js, stream, 200)
}

func TestCommit_lostAnswer(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	p := startProxy(t, s.url())
	c.URL, c.Timeout = p.url(), time.Second
	log, checkpoint := own(t, c, connector.ModeBinary)
	events := sinktest.Events(log.claim.Stream, 1, 20)
	checkpoint = commit(t, log, checkpoint, events[:5])

	p.deaf.Store(true)
	wantUnclear(t, log.Commit(t.Context(), events[5:15], nil, sinktest.Next(checkpoint, events[5:15], nil, 5)))
	p.deaf.Store(false)
	p.cut()
	state := acquireSoon(t, log)
	if state.Checkpoint.Sequence != 15 || len(state.Seen) != 15 {
		t.Fatalf("finds sequence %d and %d events, want what landed", state.Checkpoint.Sequence, len(state.Seen))
	}
	commit(t, log, state.Checkpoint, events[15:])
	wantSequences(t, s.client(t), stream, 20)
}

func TestCommit_connectionCut(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	p := startProxy(t, s.url())
	c.URL = p.url() // with a time-out of ten seconds, which is not needed
	log, checkpoint := own(t, c, connector.ModeStructured)
	events := sinktest.Events(log.claim.Stream, 1, 3)
	p.hold()
	started := time.Now()
	done := make(chan error)
	go func() { done <- log.Commit(t.Context(), events, nil, sinktest.Next(checkpoint, events, nil, 0)) }()
	eventually(t, "a commit under way", func() bool {
		log.sink.link.mu.Lock()
		defer log.sink.link.mu.Unlock()
		return len(log.sink.link.waiting) > 0
	})
	p.cut()
	p.release()
	err := <-done
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("waited %s for an answer over a connection that was gone", took)
	}
	var rejected *connector.Rejected
	if err == nil || errors.Is(err, connector.ErrFenced) || errors.As(err, &rejected) {
		t.Fatalf("got %v", err)
	}
	state := acquireSoon(t, log)
	commit(t, log, state.Checkpoint, sinktest.Events(log.claim.Stream, state.Checkpoint.Sequence+1, 4))
	wantSequences(t, s.client(t), stream, state.Checkpoint.Sequence+4)
}

func TestCommit_fullAndRoomAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	c := config(s.url())
	c.MaxBytes = 100 << 10
	create(t, c)
	log, checkpoint := own(t, c, connector.ModeStructured)
	var err error
	var events []connector.Event
	for err == nil {
		events = sinktest.Events(log.claim.Stream, checkpoint.Sequence+1, 7)
		next := sinktest.Next(checkpoint, events, nil, checkpoint.Sequence)
		if err = log.Commit(t.Context(), events, nil, next); err == nil {
			checkpoint = next
		}
	}
	if !errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("got %v, want ErrNotNow", err)
	}
	js := s.client(t)
	wantSequences(t, js, stream, checkpoint.Sequence)
	edit(t, s.url(), func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 })
	commit(t, log, checkpoint, events) // the same again, without an Acquire
	wantSequences(t, js, stream, checkpoint.Sequence+7)
}

func TestCommit_tooLarge(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	js := s.client(t)
	log, checkpoint := own(t, c, connector.ModeStructured)
	events := sinktest.Events(log.claim.Stream, 1, 5)
	// The stream's own limit is lowered after the sink has read it, so that the server refuses the message.
	edit(t, s.url(), func(c *jetstream.StreamConfig) { c.MaxMsgSize = 300 << 10 })
	for _, i := range []int{0, 3} { // the first is answered; one in the middle shows as an incomplete batch
		log.sink.mu.Lock()
		log.sink.settings.maxMessageSize = 0 // the value from before
		log.sink.mu.Unlock()
		large := append([]connector.Event(nil), events...)
		large[i].Data = fmt.Appendf(nil, `{"text":%q}`, strings.Repeat("x", 400<<10))
		next := sinktest.Next(checkpoint, large, nil, 0)
		var rejected *connector.Rejected
		eventually(t, "a rejection", func() bool {
			err := log.Commit(t.Context(), large, nil, next)
			if errors.As(err, &rejected) {
				return true
			}
			wantUnclear(t, err)
			acquire(t, log)
			return false
		})
		if rejected.Key != large[i].Key {
			t.Errorf("event %d: another one is rejected", i)
		}
	}
	// What was rejected does not get in the way, and the log is still ours.
	if err := log.Commit(t.Context(), events, nil, sinktest.Next(checkpoint, events, nil, 0)); err != nil {
		t.Fatal(err)
	}
	wantSequences(t, js, stream, 5)
}

func TestCommit_tooManyOpenBatches(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	log, checkpoint := own(t, c, connector.ModeStructured)
	js := s.client(t)
	conn, err := natsgo.Connect(s.url())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for i := range 50 { // by another client, which then dies
		m := natsgo.NewMsg("whatsapp.other.new.x")
		m.Header.Set(headerBatch, fmt.Sprintf("open-%d", i))
		m.Header.Set(headerBatchPlace, "1")
		if _, err := conn.RequestMsg(m, 5*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	events := sinktest.Events(log.claim.Stream, 1, 30)
	next := sinktest.Next(checkpoint, events, nil, 0)
	if err := log.Commit(t.Context(), events, nil, next); !errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("got %v, want ErrNotNow", err)
	}
	wantSequences(t, js, stream, 0)
	eventually(t, "the server to give the open batches up", func() bool {
		err := log.Commit(t.Context(), events, nil, next)
		if err != nil && !errors.Is(err, connector.ErrNotNow) {
			t.Fatal(err)
		}
		return err == nil
	})
	wantSequences(t, js, stream, 30)
}

func TestCommit_streamsEnd(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		end  func(t *testing.T, url string)
		want string // in the refusal's text
	}{
		{"deleted", func(t *testing.T, url string) {
			if err := clientOf(t, url).DeleteStream(DefaultStream); err != nil {
				t.Fatal(err)
			}
		}, "was deleted while the connector ran"},
		{"no batches", func(t *testing.T, url string) {
			edit(t, url, func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false })
		}, "atomic batches"},
		{"other subjects", func(t *testing.T, url string) {
			edit(t, url, func(c *jetstream.StreamConfig) { c.Subjects = []string{"whatsapp.>"} })
		}, "whatsapp-checkpoint"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, c := startStream(t)
			c.Timeout = 2 * time.Second
			log, checkpoint := own(t, c, connector.ModeStructured)
			row.end(t, s.url())
			events := sinktest.Events(log.claim.Stream, 1, 3)
			var refusal *connector.Refusal
			err := log.Commit(t.Context(), events, nil, sinktest.Next(checkpoint, events, nil, 0))
			if !errors.As(err, &refusal) {
				wantUnclear(t, err)
				state, err := log.Acquire(t.Context())
				if err == nil {
					err = log.Commit(t.Context(), events, nil, sinktest.Next(state.Checkpoint, events, nil, 0))
				}
				if !errors.As(err, &refusal) {
					t.Fatalf("got %v, want a refusal", err)
				}
			}
			if !strings.Contains(refusal.Error(), row.want) {
				t.Errorf("got %q, want it to name %q", refusal.Error(), row.want)
			}
		})
	}
}

func TestCommit_rememberedMessageID(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	js := s.client(t)
	log, checkpoint := own(t, c, connector.ModeStructured)
	events := sinktest.Events(log.claim.Stream, 1, 3)
	if _, err := js.PublishMsg(&natsgo.Msg{
		Subject: "whatsapp.other.new.x",
		Header:  natsgo.Header{"Nats-Msg-Id": {natssink.MessageID(events[1].Source, events[1].ID)}},
	}); err != nil {
		t.Fatal(err)
	}
	next := sinktest.Next(checkpoint, events, nil, 0)
	wantUnclear(t, log.Commit(t.Context(), events, nil, next))
	acquire(t, log)
	err := log.Commit(t.Context(), events, nil, next)
	var unavailable *connector.Unavailable
	if !errors.Is(err, connector.ErrNotNow) || !errors.As(err, &unavailable) || !strings.Contains(unavailable.Cause,
		"duplicate window of 2m0s") ||
		!strings.Contains(unavailable.Cause,
			log.remembered.Add(2*time.Minute).UTC().Format("at 15:04:05 UTC at the latest")) ||
		!strings.HasPrefix(unavailable.Hint, "wait until then") {
		t.Errorf("got %v, want it to be waited out, with what it waits for and until when", err)
	}
	wantSequences(t, js, stream, 0)
	// A window that is too long to wait for needs a person, and the hint helps.
	edit(t, s.url(), func(c *jetstream.StreamConfig) { c.Duplicates = 24 * time.Hour })
	log.sink.forgetSettings()
	var refusal *connector.Refusal
	if err := log.Commit(t.Context(), events, nil, next); !errors.As(err, &refusal) ||
		!strings.Contains(refusal.Hint, "--dupe-window") {
		t.Fatalf("got %v, want a refusal", err)
	}
}

func TestCommit_olderCheckpointsArePurged(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	js := s.client(t)
	log, checkpoint := own(t, c, connector.ModeStructured)
	for range purgeEvery + 3 {
		checkpoint = commit(t, log, checkpoint, sinktest.Events(log.claim.Stream, checkpoint.Sequence+1, 2))
	}
	eventually(t, "older checkpoints to go", func() bool {
		return len(all(t, js, DefaultStream, "whatsapp-checkpoint.*")) < 10
	})
	commit(t, log, checkpoint, sinktest.Events(log.claim.Stream, checkpoint.Sequence+1, 2)) // the guard is kept
	two := openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "two"))
	acquire(t, two)
	if err := log.Commit(t.Context(), nil, nil, checkpoint); !errors.Is(err, connector.ErrFenced) {
		t.Fatalf("got %v, want ErrFenced", err)
	}
}

func TestCommit_contextEnds(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	p := startProxy(t, s.url())
	c.URL = p.url()
	log, checkpoint := own(t, c, connector.ModeStructured)
	p.hold()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	started := time.Now()
	events := sinktest.Events(log.claim.Stream, 1, 3)
	err := log.Commit(ctx, events, nil, sinktest.Next(checkpoint, events, nil, 0))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(started) > 3*time.Second {
		t.Fatalf("got %v after %s", err, time.Since(started))
	}
	p.release()
	state := acquireSoon(t, log)
	if n := len(state.Seen); n != 0 && n != 3 {
		t.Fatalf("%d events", n)
	}
}
