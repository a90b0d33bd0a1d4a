package twochattest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a Fake that listens.
type Server struct {
	// URL is the base URL, http://127.0.0.1:port.
	URL    string
	server *http.Server
	served chan struct{} // closed when Serve has returned, with err
	err    error

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

// Start makes the Fake listen on a free port of the loopback interface, until Close.
func (f *Fake) Start() (*Server, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the fake 2Chat: %w", err)
	}
	s := &Server{URL: "http://" + listener.Addr().String(), served: make(chan struct{})}
	s.server = &http.Server{Handler: s.counted(f), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.served)
		s.err = s.server.Serve(listener)
	}()
	return s, nil
}

// counted lets Close wait for answers in flight, which http.Server.Close does not.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			panic(http.ErrAbortHandler)
		}
		s.running.Add(1)
		s.mu.Unlock()
		defer s.running.Done()
		next.ServeHTTP(w, r)
	})
}

// Close ends the server and every answer in flight, and waits for them. It may be called more than once.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	err := s.server.Close()
	<-s.served
	s.running.Wait()
	if !errors.Is(s.err, http.ErrServerClosed) {
		err = errors.Join(err, s.err)
	}
	if err != nil {
		return fmt.Errorf("close the fake 2Chat: %w", err)
	}
	return nil
}
