package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// mishap is what happens to a request in flight.
type mishap int

const (
	loseRequest mishap = iota // it never arrives
	loseAnswer                // it arrives, but its answer is lost
	delay                     // its sender sees a broken connection; it arrives when the test releases it
	lateRequest               // it never arrives, and its sender's request times out
	lateAnswer                // it arrives, and its sender's request times out before the answer is there
)

func (m mishap) String() string {
	return [...]string{"request lost", "answer lost", "request late", "request timed out", "answer timed out"}[m]
}

// saboteur is between a sink and its broker.
type saboteur struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu     sync.Mutex
	key    int16 // of the requests it waits for
	what   mishap
	left   int
	met    int
	ghosts []ghost
	before map[int16]func()      // called before a request of the key is sent
	conns  map[string][]net.Conn // by the address requested
}

// ghost is a request that is still in flight, with the connection on which it will arrive.
type ghost struct {
	conn    net.Conn
	request []byte
}

// sabotage puts a saboteur before a sink that has not been used yet.
func sabotage(s *Sink) *saboteur {
	b := &saboteur{dial: s.cluster.wires.dial, before: make(map[int16]func()), conns: make(map[string][]net.Conn)}
	s.cluster.wires.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := b.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		b.conns[address] = append(b.conns[address], conn)
		b.mu.Unlock()
		return &watched{Conn: conn, saboteur: b}, nil
	}
	return b
}

// next makes the mishap happen to the next n requests of a key.
func (b *saboteur) next(key int16, what mishap, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.key, b.what, b.left, b.met = key, what, n, 0
}

func (b *saboteur) wantMet(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.met == 0 {
		t.Fatal("no request met its mishap")
	}
}

// drop breaks the connections to an address.
func (b *saboteur) drop(address string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range b.conns[address] {
		_ = conn.Close()
	}
	delete(b.conns, address)
}

// release lets late requests arrive, and returns the broker's answers to them, beginning with the correlation id.
func (b *saboteur) release(t *testing.T) (answers [][]byte) {
	t.Helper()
	b.mu.Lock()
	ghosts := b.ghosts
	b.ghosts = nil
	b.mu.Unlock()
	for _, g := range ghosts {
		answer, err := g.arrive()
		if err != nil {
			t.Fatalf("a late request: %v", err)
		}
		answers = append(answers, answer)
	}
	return answers
}

func (g ghost) arrive() ([]byte, error) {
	defer g.conn.Close()
	if err := g.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := g.conn.Write(g.request); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(g.conn, size[:]); err != nil {
		return nil, err
	}
	answer := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(g.conn, answer)
	return answer, err
}

// watched is a connection that is watched request by request; kafka-go has one request in flight on each.
type watched struct {
	net.Conn
	saboteur *saboteur
	request  []byte // what was written of a request, until it is complete
	broken   bool
	deaf     error // how the coming answer is lost
	mute     error // how a request ends that was not sent
}

var errBroken = errors.New("sabotage: connection reset")

// errLate is the error of a connection whose deadline has passed.
var errLate = &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}

func (c *watched) Write(p []byte) (int, error) {
	if c.broken {
		return 0, errBroken
	}
	c.request = append(c.request, p...)
	if len(c.request) < 6 || len(c.request) < 4+int(binary.BigEndian.Uint32(c.request)) {
		return len(p), nil
	}
	whole := c.request
	c.request = nil
	key := int16(binary.BigEndian.Uint16(whole[4:]))
	b := c.saboteur
	b.mu.Lock()
	before := b.before[key]
	delete(b.before, key)
	hit := key == b.key && b.left > 0
	if hit {
		b.left--
		b.met++
	}
	what := b.what
	b.mu.Unlock()
	if before != nil {
		before()
	}
	if hit {
		switch what {
		case loseRequest:
			c.broken = true
			return 0, errors.Join(errBroken, c.Conn.Close())
		case loseAnswer:
			c.deaf = errBroken
		case lateAnswer:
			c.deaf = errLate
		case lateRequest:
			c.mute = errLate
			return len(p), nil
		case delay:
			c.broken = true
			b.mu.Lock()
			b.ghosts = append(b.ghosts, ghost{c.Conn, whole})
			b.mu.Unlock()
			return len(p), nil
		}
	}
	if _, err := c.Conn.Write(whole); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *watched) Read(p []byte) (int, error) {
	if c.broken {
		return 0, errBroken
	}
	if c.mute != nil {
		return 0, c.mute
	}
	if c.deaf != nil {
		var first [1]byte
		if _, err := c.Conn.Read(first[:]); err != nil { // after the answer
			return 0, err
		}
		c.broken = true
		if err := c.Conn.Close(); err != nil {
			return 0, err
		}
		return 0, c.deaf
	}
	return c.Conn.Read(p)
}

func (c *watched) Close() error {
	if c.broken {
		return nil // a late request still has to arrive on it
	}
	return c.Conn.Close()
}
