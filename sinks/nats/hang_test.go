package nats

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// wire passes bytes to a server until it hangs: then connections stay open and nothing is passed.
type wire struct {
	listener net.Listener
	hung     atomic.Bool
	running  sync.WaitGroup
	mu       sync.Mutex
	open     []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener}
	w.running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			w.mu.Lock()
			w.open = append(w.open, near, far)
			w.mu.Unlock()
			w.running.Go(func() { w.pass(near, far) })
			w.running.Go(func() { w.pass(far, near) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		w.mu.Lock()
		for _, c := range w.open {
			c.Close()
		}
		w.mu.Unlock()
		w.running.Wait()
	})
	return w
}

func (w *wire) pass(from io.Reader, to io.Writer) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if w.hung.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func TestSink_LeavesAServerThatHangsForAnother(t *testing.T) {
	first, second := startServer(t, server.Options{}), startServer(t, server.Options{})
	w := newWire(t, strings.TrimPrefix(first.ClientURL(), "nats://"))
	hung := "nats://" + w.listener.Addr().String()
	sink, err := Open(Config{
		Connection: Connection{URL: hung + "," + second.ClientURL()}, Subject: "whatsapp",
		State: t.TempDir() + "/state",
	}, connector.Encoding{Mode: connector.ModeStructured}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	// The client chooses which of the two is the first: the one that it took hangs.
	log := sink.Log(sinktest.Claim("595981048477", "one"))
	defer log.Close()
	var checkpoint connector.Checkpoint
	for sink.conn == nil || !strings.Contains(sink.conn.ConnectedUrl(), w.listener.Addr().String()) {
		if sink.conn != nil {
			sink.conn.Close()
		}
		state, err := log.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		checkpoint = state.Checkpoint
	}
	w.hung.Store(true)
	events := sinktest.Events(sinktest.Stream("595981048477"), 1, 2)
	next := sinktest.Next(checkpoint, events, nil, 0)
	if err := log.Commit(t.Context(), events, nil, next); err == nil ||
		!strings.Contains(err.Error(), w.listener.Addr().String()) {
		t.Fatalf("Commit to a server that hangs: got %v, want its address in it", err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		state, err := log.Acquire(t.Context())
		if err == nil {
			err = log.Commit(t.Context(), events, nil, sinktest.Next(state.Checkpoint, events, nil, 0))
		}
		if err == nil {
			break
		}
		if !errors.Is(err, connector.ErrNotNow) {
			t.Log(err)
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	if got := sink.conn.ConnectedUrl(); got != second.ClientURL() {
		t.Fatalf("connected to %s, want %s", got, second.ClientURL())
	}
}
