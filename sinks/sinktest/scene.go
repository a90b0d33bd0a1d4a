package sinktest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// stepTimeout bounds a step that may take a broker a moment.
const stepTimeout = 20 * time.Second

// scene is one case in progress: a storage, and the test that it belongs to.
type scene struct {
	*testing.T
	suite   *Suite
	storage Storage
}

func (s *scene) open() Sink {
	s.Helper()
	sink := s.storage.Open(s.T)
	s.Cleanup(func() {
		if err := sink.Close(); err != nil {
			s.Errorf("close sink: %v", err)
		}
	})
	return sink
}

func (s *scene) log(sink Sink, claim connector.Claim) connector.Log {
	s.Helper()
	log := sink.Log(claim)
	s.Cleanup(func() {
		if err := log.Close(); err != nil {
			s.Errorf("close log: %v", err)
		}
	})
	return log
}

// rival returns a log of another owner: of another sink, if the storage may be shared.
func (s *scene) rival(sink Sink, claim connector.Claim) connector.Log {
	s.Helper()
	if !s.suite.Exclusive {
		sink = s.open()
	}
	return s.log(sink, claim)
}

func (s *scene) context() context.Context {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), stepTimeout)
	s.Cleanup(cancel)
	return ctx
}

// acquire takes a stream over, trying again as the Poller would.
func (s *scene) acquire(log connector.Log) connector.State {
	s.Helper()
	ctx := s.context()
	for {
		state, err := log.Acquire(ctx)
		if err == nil {
			return state
		}
		var refusal *connector.Refusal
		if errors.As(err, &refusal) || connector.Sleep(ctx, 50*time.Millisecond) != nil {
			s.Fatalf("Acquire: %v", err)
		}
	}
}

// commit commits on top of c and returns the checkpoint that is then in force. Three events stay uncertified.
func (s *scene) commit(
	log connector.Log, c connector.Checkpoint, events []connector.Event, rejects ...connector.Reject,
) connector.Checkpoint {
	s.Helper()
	last := c.Sequence + uint64(len(events))
	next := Next(c, events, rejects, max(c.Certified, last-min(last, 3)))
	s.commitAs(log, events, rejects, next)
	return next
}

func (s *scene) commitAs(
	log connector.Log, events []connector.Event, rejects []connector.Reject, next connector.Checkpoint,
) {
	s.Helper()
	ctx := s.context()
	for {
		err := log.Commit(ctx, events, rejects, next)
		if err == nil {
			return
		}
		if !errors.Is(err, connector.ErrNotNow) || connector.Sleep(ctx, 50*time.Millisecond) != nil {
			s.Fatalf("Commit of %d events and %d rejects: %v", len(events), len(rejects), err)
		}
	}
}

// commitAll commits events within the limits, piece by piece.
func (s *scene) commitAll(log connector.Log, c connector.Checkpoint, events []connector.Event) connector.Checkpoint {
	s.Helper()
	for piece := range slices.Chunk(events, min(250, log.Limits().Messages)) {
		c = s.commit(log, c, piece)
	}
	return c
}

// reopened acquires a stream through a sink that has been closed and opened again, as after a restart.
func (s *scene) reopened(sink Sink, log connector.Log, claim connector.Claim) (Sink, connector.Log, connector.State) {
	s.Helper()
	if err := log.Close(); err != nil {
		s.Fatalf("close log: %v", err)
	}
	if err := sink.Close(); err != nil {
		s.Fatalf("close sink: %v", err)
	}
	sink = s.open()
	log = s.log(sink, claim)
	return sink, log, s.acquire(log)
}

// wantLog checks that the log holds these events and no others, each once and in order.
func (s *scene) wantLog(stream string, events []connector.Event) {
	s.Helper()
	got := s.storage.Read(s.T, stream)
	for i := range min(len(got), len(events)) {
		if difference := sameStored(got[i], want(&events[i])); difference != "" {
			s.Fatalf("event %d of %s: %s", i+1, stream, difference)
		}
	}
	if len(got) != len(events) {
		s.Fatalf("%s holds %d events, want %d", stream, len(got), len(events))
	}
}

// wantState checks what Acquire found.
func (s *scene) wantState(got connector.State, checkpoint connector.Checkpoint, events []connector.Event) {
	s.Helper()
	s.wantCheckpoint(got.Checkpoint, checkpoint)
	s.wantSeen(got.Seen, events)
}

// wantCheckpoint compares everything except what belongs to the owner and to the sink.
func (s *scene) wantCheckpoint(got, want connector.Checkpoint) {
	s.Helper()
	plain := func(c connector.Checkpoint) string {
		c.Epoch, c.Owner, c.Written, c.Sink = 0, "", time.Time{}, nil
		c.GroundTime = c.GroundTime.UTC()
		if len(c.TailLate) == 0 {
			c.TailLate = nil
		}
		text, err := json.MarshalIndent(c, "", " ")
		if err != nil {
			s.Fatal(err)
		}
		return string(text)
	}
	if g, w := plain(got), plain(want); g != w {
		s.Fatalf("checkpoint: got %s\nwant %s", g, w)
	}
}

func (s *scene) wantSeen(got []connector.Seen, events []connector.Event) {
	s.Helper()
	if len(got) != len(events) {
		s.Fatalf("%d events seen, want %d", len(got), len(events))
	}
	for i, seen := range got {
		if e := &events[i]; seen != (connector.Seen{Key: e.Key, Sequence: e.Sequence, Late: e.Late}) {
			s.Fatalf("seen[%d]: got sequence %d, late %t, key %x; want %d, %t, %x", i, seen.Sequence, seen.Late, seen.Key,
				e.Sequence, e.Late, e.Key)
		}
	}
}

// wantRefusal checks that the error is a refusal with a hint.
func (s *scene) wantRefusal(err error) {
	s.Helper()
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) {
		s.Fatalf("got %v, want a *connector.Refusal", err)
	}
	if refusal.Thing == "" || refusal.Cause == "" || refusal.Hint == "" {
		s.Fatalf("the refusal leaves something out: %+v", refusal)
	}
}

// quarantined lists a stream's rejects; ok is false if the sink keeps none.
func (s *scene) quarantined(stream string) (list []Quarantined, ok bool) {
	s.Helper()
	if s.suite.NoQuarantine {
		s.Log("not part of this sink's contract: no rejects are kept")
		return nil, false
	}
	return s.storage.Quarantined(s.T, stream), true
}
