package jetstream

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy is a network that loses answers and delays requests.
type proxy struct {
	listener net.Listener
	target   string
	deaf     atomic.Bool                              // drops what the server sends
	rewrite  atomic.Pointer[func(said []byte) []byte] // replaces what the server sends, if it is set

	mu    sync.Mutex
	gate  chan struct{} // what the client sends waits while it is open
	conns []net.Conn
	wg    sync.WaitGroup
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: strings.TrimPrefix(target, "nats://")}
	p.wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			srv, err := net.Dial("tcp", p.target)
			if err != nil {
				client.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, srv)
			p.mu.Unlock()
			p.wg.Go(func() { p.pump(srv, client, true) })
			p.wg.Go(func() { p.pump(client, srv, false) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		p.release()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) pump(to, from net.Conn, upstream bool) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if upstream {
			p.mu.Lock()
			gate := p.gate
			p.mu.Unlock()
			if gate != nil {
				<-gate
			}
		}
		said := buf[:n]
		if rewrite := p.rewrite.Load(); !upstream && rewrite != nil {
			said = (*rewrite)(said)
		}
		if n > 0 && (upstream || !p.deaf.Load()) {
			if _, err := to.Write(said); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) hold() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = make(chan struct{})
}

func (p *proxy) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate != nil {
		close(p.gate)
		p.gate = nil
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (p *proxy) url() string { return "nats://" + p.listener.Addr().String() }
