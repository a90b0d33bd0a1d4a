package clitest

import (
	"context"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// MemorySink keeps in memory when each stream's events were committed.
type MemorySink struct {
	sinks.Sink
	mu   sync.Mutex
	logs map[string]*memoryLog
	// refuse says what becomes of an Acquire, fail of a Commit; nil lets them be.
	refuse, fail func(stream string) error
}

// Answers sets what becomes of Acquires and Commits.
func (s *MemorySink) Answers(refuse, fail func(stream string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.fail = refuse, fail
}

// answer is what one of the two says of a stream.
func (s *MemorySink) answer(of *func(string) error, stream string) error {
	s.mu.Lock()
	says := *of
	s.mu.Unlock()
	if says == nil {
		return nil
	}
	return says(stream)
}

// Promise implements sinks.Sink: it promises nothing.
func (s *MemorySink) Promise() connector.Promise { return connector.Promise{} }

// Create implements sinks.Sink.
func (s *MemorySink) Create(context.Context) error { return nil }

// Check implements sinks.Sink: it refuses nothing.
func (s *MemorySink) Check(context.Context, []connector.Claim) ([]connector.Finding, error) {
	return nil, nil
}

// Log implements sinks.Sink.
func (s *MemorySink) Log(claim connector.Claim) connector.Log {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.logs == nil {
		s.logs = make(map[string]*memoryLog)
	}
	l := &memoryLog{sink: s, claim: claim, at: make(map[string]time.Time)}
	if before := s.logs[claim.Stream.Name]; before != nil {
		l.checkpoint, l.at = before.checkpoint, before.at
	}
	s.logs[claim.Stream.Name] = l
	return l
}

// Delivered says when a message of a stream was committed, and whether it was.
func (s *MemorySink) Delivered(stream, uuid string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.logs[stream].at[uuid]
	return at, ok
}

// Count is how many events a stream has.
func (s *MemorySink) Count(stream string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.logs[stream].at)
}

type memoryLog struct {
	sink       *MemorySink
	claim      connector.Claim
	checkpoint connector.Checkpoint
	at         map[string]time.Time
}

func (l *memoryLog) Acquire(context.Context) (connector.State, error) {
	if err := l.sink.answer(&l.sink.refuse, l.claim.Stream.Name); err != nil {
		return connector.State{}, err
	}
	l.checkpoint = l.claim.TakeOver(l.checkpoint, time.Now())
	return connector.State{Checkpoint: l.checkpoint}, nil // the checkpoint holds all keys that the tests of a restart need
}

func (l *memoryLog) Commit(_ context.Context, events []connector.Event, _ []connector.Reject,
	next connector.Checkpoint,
) error {
	if err := l.sink.answer(&l.sink.fail, l.claim.Stream.Name); err != nil {
		return err
	}
	l.sink.mu.Lock()
	defer l.sink.mu.Unlock()
	l.checkpoint = next
	for i := range events {
		l.at[events[i].ID] = time.Now()
	}
	return nil
}

func (l *memoryLog) Peek(context.Context) (connector.Checkpoint, bool, error) {
	return l.checkpoint, true, nil
}

func (*memoryLog) Limits() connector.Limits {
	return connector.Limits{Messages: 1000, Bytes: 8 << 20}
}

func (*memoryLog) Close() error { return nil }
