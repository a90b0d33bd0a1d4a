package jetstream

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// A check finds a setting that was changed while nothing was committed, using settings that are at most a few seconds
// old, and recovers with the stream.
func TestLook(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	log, _ := own(t, c, connector.ModeStructured)
	sink := log.sink
	if err := sink.CheckWritable(t.Context()); err != nil {
		t.Fatal(err)
	}
	if settingsAge > 10*time.Second {
		t.Errorf("settings are trusted for %s: a stream may lose messages for so long", settingsAge)
	}
	read := sink.settings.read
	if err := sink.CheckWritable(t.Context()); err != nil || !sink.settings.read.Equal(read) {
		t.Errorf("%v; fresh settings are asked for again", err)
	}
	edit(t, s.url(), func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 100, jetstream.DiscardOld })
	sink.mu.Lock()
	sink.settings.read = sink.settings.read.Add(-settingsAge)
	sink.mu.Unlock()
	wantRefused(t, sink.CheckWritable(t.Context()), "discards the oldest messages", "--discard new")
	edit(t, s.url(), func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardNew })
	if err := sink.CheckWritable(t.Context()); err != nil {
		t.Errorf("mended, it still says %v", err)
	}
	if err := manager(t, s.url()).DeleteStream(t.Context(), DefaultStream); err != nil {
		t.Fatal(err)
	}
	sink.forgetSettings()
	wantRefused(t, sink.CheckWritable(t.Context()), "deleted while the connector ran")
	s.stop()
	sink.forgetSettings()
	if err := sink.CheckWritable(t.Context()); err != nil {
		t.Errorf("a server that is away is no refusal: %v", err)
	}
}

// An instance that ran when a stream was purged names the same instructions as check and the next start, and says how
// long the stream remembers.
func TestPurged_oneWayOn(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	log, checkpoint := own(t, c, connector.ModeStructured)
	commit(t, log, checkpoint, sinktest.Events(log.claim.Stream, 1, 40))
	st, err := manager(t, s.url()).Stream(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = log.Acquire(t.Context())
	wantRefused(t, err, "went back from 40 to 0", "duplicate window of 2m0s")
	var running, next *connector.Refusal
	errors.As(err, &running)
	sink := openSink(t, c, connector.ModeStructured)
	claim := sinktest.Claim(stream, "two")
	if err := sink.CheckAcquire(t.Context(), claim); !errors.As(err, &next) || next.Hint != running.Hint ||
		!strings.Contains(next.Hint, "--first-start=all:42") {
		t.Errorf("the way on is %q for who ran, and %v for who starts", running.Hint, err)
	}
	// An instance that starts again is told to wait; another is not.
	for _, anew := range []bool{false, true} {
		claim.FirstStart = anew
		findings, err := sink.Check(t.Context(), []connector.Claim{claim})
		if told := strings.Contains(fmt.Sprint(findings),
			"it remembers the ids of messages that were removed"); err != nil || told != anew {
			t.Errorf("begun anew %t: %v, %v", anew, findings, err)
		}
	}
}
