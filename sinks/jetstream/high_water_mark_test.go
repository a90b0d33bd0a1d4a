package jetstream

import (
	"errors"
	"strings"
	"testing"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// wantRefused checks that the error is a refusal that contains the words.
func wantRefused(t *testing.T, err error, words ...string) {
	t.Helper()
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want a refusal", err)
	}
	for _, word := range words {
		if !strings.Contains(refusal.Error(), word) {
			t.Errorf("got %q, want it to name %q", refusal.Error(), word)
		}
	}
	if refusal.Hint == "" {
		t.Errorf("no hint in %+v", refusal)
	}
}

// commitInVain commits and then acquires, as a Poller does after an unclear commit. It returns the error of the call
// that failed.
func commitInVain(t *testing.T, log *Log, c connector.Checkpoint, events []connector.Event) error {
	t.Helper()
	err := log.Commit(t.Context(), events, nil, sinktest.Next(c, events, nil, c.Sequence))
	var refusal *connector.Refusal
	if err == nil || errors.As(err, &refusal) {
		return err
	}
	wantUnclear(t, err)
	_, err = log.Acquire(t.Context())
	return err
}

// recreate recreates the stream with its former messages.
func recreate(t *testing.T, js natsgo.JetStreamContext, c Config, messages []*natsgo.RawStreamMsg) {
	t.Helper()
	if err := js.DeleteStream(DefaultStream); err != nil {
		t.Fatal(err)
	}
	create(t, c)
	for _, m := range messages {
		m.Header.Del(headerExpected)
		m.Header.Del(headerBatch)
		m.Header.Del(headerBatchPlace)
		m.Header.Del(headerBatchCommit)
		if _, err := js.PublishMsg(&natsgo.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStanding removes the log under an instance that goes on: it is refused, and nothing is written.
func TestStanding(t *testing.T) {
	t.Parallel()
	var older []*natsgo.RawStreamMsg // messages of the stream when it held ten events
	for _, row := range []struct {
		name  string
		spoil func(t *testing.T, js natsgo.JetStreamContext, c Config)
		want  string
	}{
		{"purged", func(t *testing.T, js natsgo.JetStreamContext, _ Config) {
			if err := js.PurgeStream(DefaultStream); err != nil {
				t.Fatal(err)
			}
		}, "went back from 30 to 0"},
		{"checkpoints purged", func(t *testing.T, js natsgo.JetStreamContext, _ Config) {
			if err := js.PurgeStream(DefaultStream, &natsgo.StreamPurgeRequest{Subject: "whatsapp-checkpoint.*"}); err != nil {
				t.Fatal(err)
			}
		}, "went back from 30 to 0"},
		{"made anew", func(t *testing.T, js natsgo.JetStreamContext, c Config) {
			recreate(t, js, c, nil)
		}, "went back from 30 to 0"},
		{"restored from before", func(t *testing.T, js natsgo.JetStreamContext, c Config) {
			recreate(t, js, c, older)
		}, "went back from 30 to 10"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s, c := startStream(t)
			js := s.client(t)
			log, checkpoint := own(t, c, connector.ModeStructured)
			events := sinktest.Events(log.claim.Stream, 1, 40)
			checkpoint = commit(t, log, checkpoint, events[:10])
			older = all(t, js, DefaultStream, ">")
			checkpoint = commit(t, log, checkpoint, events[10:30])
			row.spoil(t, js, c)
			left := len(all(t, js, DefaultStream, ">"))
			for range 2 { // and it stays refused
				wantRefused(t, commitInVain(t, log, checkpoint, events[30:]), row.want, "--first-start")
				_, err := log.Acquire(t.Context())
				wantRefused(t, err, row.want)
				log.acquired = true
			}
			// Another Log of this process knows it too.
			_, err := openLog(t, log.sink, sinktest.Claim(stream, "one")).Acquire(t.Context())
			wantRefused(t, err, row.want)
			if now := len(all(t, js, DefaultStream, ">")); now != left {
				t.Errorf("%d messages, %d before", now, left)
			}
		})
	}
}

// TestCreate_notAgain: a stream that existed once in the life of a process is not recreated by it.
func TestCreate_notAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	c := config(s.url())
	c.Create = true
	sink := openSink(t, c, connector.ModeStructured)
	if err := sink.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := openLog(t, sink, sinktest.Claim(stream, "one"))
	checkpoint := commit(t, log, acquire(t, log).Checkpoint, sinktest.Events(log.claim.Stream, 1, 3))
	if err := s.client(t).DeleteStream(DefaultStream); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, sink.Create(t.Context()), "was deleted while the connector ran")
	wantRefused(t, commitInVain(t, log, checkpoint, sinktest.Events(log.claim.Stream, 4, 3)),
		"was deleted while the connector ran", "--first-start="+stream+":3")
	if findings, err := sink.Check(t.Context(), nil); err != nil ||
		!strings.Contains(findings[len(findings)-1].Text, "was deleted") {
		t.Errorf("%+v, %v", findings, err)
	}
}

// TestAcquire_ofAPurgedStream: a process that has just started knows nothing about the log, but a stream that was
// purged completely shows it.
func TestAcquire_ofAPurgedStream(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	js := s.client(t)
	log, checkpoint := own(t, c, connector.ModeStructured)
	commit(t, log, checkpoint, sinktest.Events(log.claim.Stream, 1, 10))
	if err := js.PurgeStream(DefaultStream); err != nil {
		t.Fatal(err)
	}
	fresh := openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "two"))
	_, err := fresh.Acquire(t.Context())
	wantRefused(t, err, "it was purged", "--first-start=all:")
	_, err = openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim("595981000000", "two")).Acquire(
		t.Context())
	wantRefused(t, err, "it was purged")
	claim := sinktest.Claim(stream, "three")
	claim.FirstStart = true
	acquire(t, openLog(t, openSink(t, c, connector.ModeStructured), claim))
	// Now that there is one checkpoint, another stream begins as usual.
	acquire(t, openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim("595981000000", "two")))
}

// TestAcquire_ofASharedStream: messages of others say nothing about the connector's own past.
func TestAcquire_ofASharedStream(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	c := config(s.url())
	addStream(t, s.url(), jetstream.StreamConfig{
		Name: DefaultStream, Subjects: append(subjects("whatsapp"), "other.>"), AllowAtomicPublish: true, AllowMsgTTL: true,
		AllowDirect: true,
	})
	if _, err := s.client(t).Publish("other.one", nil); err != nil {
		t.Fatal(err)
	}
	acquire(t, openLog(t, openSink(t, c, connector.ModeStructured), sinktest.Claim(stream, "one")))
}
