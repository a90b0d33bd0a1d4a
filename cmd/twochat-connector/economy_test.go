package main

import (
	"context"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks"
)

// memorySink keeps in memory when each stream's events were committed.
type memorySink struct {
	sinks.Sink
	mu   sync.Mutex
	logs map[string]*memoryLog
	// refuse says what becomes of an Acquire, fail of a Commit; nil lets them be.
	refuse, fail func(stream string) error
}

// answers sets what becomes of Acquires and Commits.
func (s *memorySink) answers(refuse, fail func(stream string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse, s.fail = refuse, fail
}

// answer is what one of the two says of a stream.
func (s *memorySink) answer(of *func(string) error, stream string) error {
	s.mu.Lock()
	says := *of
	s.mu.Unlock()
	if says == nil {
		return nil
	}
	return says(stream)
}

func (s *memorySink) Promise() connector.Promise   { return connector.Promise{} }
func (s *memorySink) Create(context.Context) error { return nil }
func (s *memorySink) Check(context.Context, []connector.Claim) ([]connector.Finding, error) {
	return nil, nil
}

func (s *memorySink) Log(claim connector.Claim) connector.Log {
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

// delivered says when a message of a stream was committed, and whether it was.
func (s *memorySink) delivered(stream, uuid string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.logs[stream].at[uuid]
	return at, ok
}

func (s *memorySink) count(stream string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.logs[stream].at)
}

type memoryLog struct {
	sink       *memorySink
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

func (l *memoryLog) Commit(_ context.Context, events []connector.Event, _ []connector.Reject, next connector.Checkpoint) error {
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

// call is one request that the fake 2Chat got.
type call struct {
	at     time.Time
	number string // "" for the account's information
	page   string
	status int
}

// wire carries requests to a fake 2Chat, and notes them.
type wire struct {
	to    http.RoundTripper
	mu    sync.Mutex
	calls []call
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	c := call{at: time.Now(), page: r.URL.Query().Get("page_number")}
	if strings.Contains(r.URL.Path, "/messages/") {
		c.number = path.Base(r.URL.Path)
	}
	response, err := w.to.RoundTrip(r)
	if err == nil {
		c.status = response.StatusCode
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
	return response, err
}

// since lists the calls from a time on that are wanted.
func (w *wire) since(from time.Time, wanted func(call) bool) []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []call
	for _, c := range w.calls {
		if !c.at.Before(from) && wanted(c) {
			list = append(list, c)
		}
	}
	return list
}

func asksAccount(c call) bool { return c.number == "" }
func asksList(c call) bool    { return c.number != "" }

// economy is a pipeline at work on a fake 2Chat, inside a synctest bubble.
type economy struct {
	fake *twochattest.Fake
	wire *wire
	sink *memorySink
	pipe *pipeline
	log  *output
	end  func()
}

// newEconomy runs a pipeline until end is called. A stream is named as the last digit of its number.
func newEconomy(t *testing.T, fake *twochattest.Fake, numbers []string, set func(*config.Config)) *economy {
	t.Helper()
	return newEconomyOn(t, &memorySink{}, fake, numbers, set)
}

// newEconomyOn is newEconomy on a sink that an earlier one may have written to.
func newEconomyOn(t *testing.T, sink *memorySink, fake *twochattest.Fake, numbers []string, set func(*config.Config)) *economy {
	t.Helper()
	c := config.Default()
	c.Start = config.Start{Mode: config.StartBeginning}
	c.Sink.File = sinks.Defaults().File
	for _, number := range numbers {
		c.TwoChat.Streams = append(c.TwoChat.Streams, config.StreamConfig{Number: config.Number(number), Name: number[len(number)-1:]})
	}
	set(&c)
	e := &economy{fake: fake, wire: &wire{to: fake.Transport()}, sink: sink, log: &output{}}
	client, err := twochat.New(twochat.Config{
		BaseURL: "http://127.0.0.1:1", Key: func() (string, error) { return "key", nil }, Timeout: c.Poll.Timeout, Privacy: twochat.Privacy{Identifiers: twochat.Identifiers(config.Hashed)},
		Transport: e.wire,
	})
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(e.log, nil))
	e.pipe = newPipeline(parts{config: &c, sink: e.sink, client: client, registry: prometheus.NewRegistry(), logger: logger})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.pipe.Run(ctx) }()
	e.end = func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	return e
}
