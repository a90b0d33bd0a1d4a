package kafka

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// freezer makes connections that stop answering once it is told to, but can still be made, like those of a stopped
// process.
type freezer struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	frozen bool
	dials  int
}

func freeze(s *Sink) *freezer {
	f := &freezer{dial: s.cluster.wires.dial}
	s.cluster.wires.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		f.mu.Lock()
		f.dials++
		f.mu.Unlock()
		conn, err := f.dial(ctx, network, address)
		return &freezing{Conn: conn, f: f}, err
	}
	return f
}

func (f *freezer) set(frozen bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = frozen
}

type freezing struct {
	net.Conn
	f *freezer
}

func (c *freezing) Write(p []byte) (int, error) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	if c.f.frozen {
		return len(p), nil // it is in a buffer
	}
	return c.Conn.Write(p)
}

// TestDeadConnections has many idle connections to a broker that hangs. After one time-out none of them is used again.
func TestDeadConnections(t *testing.T) {
	b := fake(t, 1)
	s := openSink(t, b, Config{Topic: newTopic()}, connector.Encoding{})
	defer s.Close()
	f := freeze(s)
	ask := func(within time.Duration) error {
		_, err := s.cluster.wires.ask(t.Context(), b.address, within, &metadata.Request{TopicNames: []string{"none"}})
		return err
	}
	var idle []*brokerConn
	for range 12 {
		c, err := s.cluster.wires.connect(t.Context(), b.address)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, c)
	}
	for _, c := range idle {
		s.cluster.wires.put(b.address, c)
	}
	f.set(true)
	err := ask(30 * time.Millisecond)
	var broken *brokenError
	if !errors.As(err, &broken) || !isTimeout(err) || !errors.Is(asNotNow(err), connector.ErrNotNow) {
		t.Fatalf("got %v, want that it answers nothing, for now", err)
	}
	if n := len(s.cluster.wires.idle[b.address]); n != 0 {
		t.Fatalf("%d connections are kept beside the one that is dead", n)
	}
	f.set(false)
	f.dials = 0
	if err := ask(time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := ask(time.Minute); err != nil || f.dials != 1 {
		t.Fatalf("%v, %d dials, want one connection made and used again", err, f.dials)
	}
	s.cluster.wires.idle[b.address][0].used = time.Now().Add(-2 * idleTime)
	c := s.cluster.wires.take(b.address)
	s.cluster.wires.put("elsewhere:1", c)
	c.used = time.Now().Add(-2 * idleTime)
	other, err := s.cluster.wires.connect(t.Context(), b.address)
	if err != nil {
		t.Fatal(err)
	}
	s.cluster.wires.put(b.address, other)
	if n := len(s.cluster.wires.idle["elsewhere:1"]); n != 0 {
		t.Fatal("what nobody has used for long is kept")
	}
}

// TestCommitThatHangs: a commit ends at its time-out, whichever of its requests is not answered, and is not taken for
// one that wrote nothing.
func TestCommitThatHangs(t *testing.T) {
	b := fake(t, 1)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	for _, key := range []kmsg.Key{kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.EndTxn} {
		w := newWriter(t, b, config, "one")
		f := freeze(w.sink)
		s := sabotage(w.sink)
		w.acquire()
		s.mu.Lock()
		s.before[key.Int16()] = func() { f.set(true) }
		s.mu.Unlock()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		events := sinktest.Events(sinktest.Stream(w.stream), w.next.Sequence+1, 3)
		err := w.log.Commit(ctx, events, nil, sinktest.Next(w.next, events, nil, w.next.Sequence+3))
		cancel()
		if outcomeOf(err) != unclear {
			t.Errorf("%s: %s (%v), want unclear", key.Name(), outcomeOf(err), err)
		}
		f.set(false)
		before := w.next.Sequence
		if got := w.acquire(); got != before {
			t.Errorf("%s: goes on from %d, want %d", key.Name(), got, before)
		}
	}
}

// TestOnTheWire checks what is sent: every batch waits for all replicas, and every read names the leader's term.
func TestOnTheWire(t *testing.T) {
	b := fake(t, 3)
	config := Config{Topic: newTopic()}
	createTopics(t, b, config)
	var mu sync.Mutex
	produced, read := 0, 0
	note := func(count *int, right bool, r kmsg.Request) {
		mu.Lock()
		defer mu.Unlock()
		*count++
		if !right {
			t.Errorf("%T: %+v", r, r)
		}
	}
	b.fake.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		p := r.(*kmsg.ProduceRequest)
		note(&produced, p.Acks == -1 && p.TransactionID != nil && p.TimeoutMillis > 0 &&
			time.Duration(p.TimeoutMillis)*time.Millisecond < callTimeout, r)
		return nil, nil, false
	})
	b.fake.ControlKey(kmsg.Fetch.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		f := r.(*kmsg.FetchRequest)
		note(&read, f.Topics[0].Partitions[0].CurrentLeaderEpoch >= 0 && f.IsolationLevel == 1, r)
		return nil, nil, false
	})
	b.fake.ControlKey(kmsg.ListOffsets.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		for _, p := range r.(*kmsg.ListOffsetsRequest).Topics[0].Partitions {
			note(&read, p.CurrentLeaderEpoch >= 0, r)
		}
		return nil, nil, false
	})
	for range 2 {
		w := newWriter(t, b, config, "one")
		w.sink.watch.once.Do(func() {})
		w.acquire()
		if err := w.commit(20); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if produced < 4 || read < 20 {
		t.Errorf("%d batches and %d readings were looked at", produced, read)
	}
}

// TestErrorsArePlain checks that errors contain what a person needs, without the names of Go types and libraries.
func TestErrorsArePlain(t *testing.T) {
	for want, err := range map[string]error{
		"b:1: the name b does not resolve": &connectError{
			"b:1",
			&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "b", IsNotFound: true}},
		},
		"b:1: no answer in time":         &brokenError{"b:1", context.DeadlineExceeded},
		"b:1: the connection was closed": &brokenError{"b:1", io.EOF},
		"b:1: refused": &connectError{
			"b:1",
			&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")},
		},
	} {
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
		if !errors.Is(asNotNow(err), connector.ErrNotNow) {
			t.Errorf("%v is not taken for passing", err)
		}
	}
	for _, code := range []error{kafkago.TopicAuthorizationFailed, kafkago.InvalidTransactionTimeout, errNoAnswer} {
		if errors.Is(asNotNow(code), connector.ErrNotNow) {
			t.Errorf("%v is taken for passing", code)
		}
	}
	several := severalErrors{errNoAnswer, errBehind}
	if !errors.Is(several, errBehind) || several.Error() != errNoAnswer.Error()+"; "+errBehind.Error() {
		t.Errorf("%v", several)
	}
}
