package jetstream

import (
	"errors"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
)

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx := deadline(t, 20*time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("in vain: %s", what)
		case <-tick.C:
		}
	}
}

// acquireSoon acquires like a Poller, despite failures that pass.
func acquireSoon(t testing.TB, log connector.Log) connector.State {
	t.Helper()
	var state connector.State
	eventually(t, "acquire", func() bool {
		var err error
		state, err = log.Acquire(t.Context())
		var refusal *connector.Refusal
		if errors.As(err, &refusal) {
			t.Fatal(err)
		}
		return err == nil
	})
	return state
}

func wantUnclear(t testing.TB, err error) {
	t.Helper()
	var rejected *connector.Rejected
	var refusal *connector.Refusal
	if err == nil || errors.Is(err, connector.ErrFenced) || errors.Is(err, connector.ErrNotNow) ||
		errors.As(err, &rejected) || errors.As(err, &refusal) {
		t.Fatalf("got %v, want it unclear", err)
	}
}

// manager is a client for the stream's settings.
func manager(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	conn, err := natsgo.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func addStream(t testing.TB, url string, c jetstream.StreamConfig) {
	t.Helper()
	if _, err := manager(t, url).CreateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func edit(t testing.TB, url string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	js := manager(t, url)
	s, err := js.Stream(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	change(&c)
	if _, err := js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// forgetSettings makes the sink read the stream's settings again, as it does every minute.
func (s *Sink) forgetSettings() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings.read = time.Time{}
}
