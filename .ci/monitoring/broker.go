package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// slowBroker is a proxy of a NATS server that delays messages, JetStream's answers included, like a server with a slow
// disk. Everything else passes at once, because such a server still answers pings.
type slowBroker struct {
	delay atomic.Int64 // a time.Duration
}

// listen forwards connections from a port to the server's port until the context ends.
func (b *slowBroker) listen(ctx context.Context, port, server string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go b.serve(ctx, client, server)
		}
	}()
	return nil
}

func (b *slowBroker) serve(ctx context.Context, client net.Conn, port string) {
	defer client.Close()
	server, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })()
	go func() {
		defer server.Close()
		_, _ = io.Copy(server, client) // either end closes, which ends the other
	}()
	var writing sync.Mutex
	write := func(said []byte) {
		writing.Lock()
		defer writing.Unlock()
		_, _ = client.Write(said)
	}
	held := make(chan heldMessage, 10_000)
	defer close(held)
	go func() {
		for m := range held {
			if wait(ctx, time.Until(m.due)) == nil {
				write(m.said)
			}
		}
	}()
	for said := bufio.NewReader(server); ; {
		line, err := said.ReadBytes('\n')
		if err != nil {
			return
		}
		if !bytes.HasPrefix(line, []byte("MSG ")) && !bytes.HasPrefix(line, []byte("HMSG ")) {
			write(line)
			continue
		}
		fields := bytes.Fields(line)
		size, err := strconv.Atoi(string(fields[len(fields)-1]))
		if err != nil {
			return
		}
		body := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(said, body); err != nil {
			return
		}
		held <- heldMessage{time.Now().Add(time.Duration(b.delay.Load())), append(line, body...)}
	}
}

// heldMessage is a message of the server, and when it is passed on.
type heldMessage struct {
	due  time.Time
	said []byte
}
