package twochat

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

func TestClient_RedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, location := range []string{other.URL, "/open/whatsapp/messages/x", "", "://+595981048477"} {
		c := serve(t, answerWith(http.StatusTemporaryRedirect, "", "Location", location))
		_, err := c.Page(t.Context(), stream, 0, "")
		if pageError(t, err).Fault != connector.FaultRequest || strings.Contains(err.Error(), "595981048477") {
			t.Errorf("redirect to %q: %v", location, err)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

func TestClient_Gzip(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		out := gzip.NewWriter(w)
		_, _ = io.WriteString(out, documented)
		if r.URL.Query().Get("page_number") == "1" {
			_ = out.Flush() // without a trailer
			return
		}
		_ = out.Close()
	})
	page, err := c.Page(t.Context(), stream, 0, "")
	if err != nil || len(page.Messages) != 2 {
		t.Fatalf("%d messages, error %v", len(page.Messages), err)
	}
	if _, err := c.Page(t.Context(), stream, 1, ""); err == nil || pageError(t, err).Fault != connector.FaultInvalid {
		t.Errorf("without its trailer: %v", err)
	}
}

func TestClient_BodyTooLarge(t *testing.T) {
	for _, announced := range []bool{true, false} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if announced {
				w.Header().Set("Content-Length", fmt.Sprint(DefaultMaxPageBytes+1))
				_, _ = io.WriteString(w, `{"messages":[]}`)
				return
			}
			w.Header().Set("Content-Encoding", "gzip")
			out := gzip.NewWriter(w)
			blanks := []byte(strings.Repeat(" ", 1<<20))
			for range DefaultMaxPageBytes>>20 + 1 {
				if _, err := out.Write(blanks); err != nil {
					return
				}
			}
			_ = out.Close()
		})
		_, err := c.Page(t.Context(), stream, 0, "")
		if fault := pageError(t, err); fault.Fault != connector.FaultInvalid || !strings.Contains(err.Error(), "8 MiB") {
			t.Errorf("announced %v: %v", announced, err)
		}
	}
}

// raw serves each connection with bytes that no HTTP server would send.
func raw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return "http://" + listener.Addr().String()
}

func TestClient_BrokenConnections(t *testing.T) {
	say := func(text string) func(net.Conn) { return func(c net.Conn) { _, _ = io.WriteString(c, text) } }
	for _, test := range []struct {
		name  string
		serve func(net.Conn)
		want  connector.PageFault
	}{
		{"closed", func(net.Conn) {}, connector.FaultTransient},
		{"reset", func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, connector.FaultTransient},
		{"not HTTP", say("+5215512345432 secret text\r\n\r\n"), connector.FaultTransient},
		{"bad header", say("HTTP/1.1 200 OK\r\n+5215512345432 secret text\r\n\r\n"), connector.FaultTransient},
		{"bad length", say("HTTP/1.1 200 OK\r\nContent-Length: +5215512345432\r\n\r\n"), connector.FaultTransient},
		{"cut body", say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"messages\":[]}"), connector.FaultInvalid},
		{
			"cut chunk", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"messages\":[]}"),
			connector.FaultInvalid,
		},
		{
			"cut at a lucky place", say("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"success\":true,\"page_number\":0}"),
			connector.FaultInvalid,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := clientOf(t, raw(t, test.serve))
			_, err := c.Page(t.Context(), stream, 0, "")
			if fault := pageError(t, err); fault.Fault != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
			clean(t, err)
		})
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	_, err = clientOf(t, "http://"+address).Page(t.Context(), stream, 0, "")
	if pageError(t, err).Fault != connector.FaultTransient || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
	tls := httptest.NewUnstartedServer(answerWith(200, `{"messages":[]}`))
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	t.Cleanup(tls.Close)
	_, err = clientOf(t, tls.URL).Page(t.Context(), stream, 0, "")
	if pageError(t, err).Fault != connector.FaultTransient || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown certificate: %v", err)
	}
}

func TestClient_TimeoutAndContext(t *testing.T) {
	release := make(chan struct{})
	started := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page_number") == "1" { // a body that stalls
			_, _ = io.WriteString(w, `{"messages":[`)
			w.(http.Flusher).Flush()
		}
		started <- struct{}{}
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	for number := range 2 {
		c, err := New(Config{BaseURL: server.URL, Key: func() (string, error) {
			return apiKey, nil
		}, Timeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Page(t.Context(), stream, number, "")
		if fault := pageError(t, err); fault.Fault != connector.FaultTransient || !strings.Contains(err.Error(), "50ms") ||
			errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("page %d: %v", number, err)
		}
		<-started
		c.Close()

		c = clientOf(t, server.URL)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-started
			cancel()
		}()
		_, err = c.Page(ctx, stream, number, "")
		var fault *connector.PageError
		if !errors.Is(err, context.Canceled) || errors.As(err, &fault) {
			t.Errorf("page %d, cancelled: %v", number, err)
		}
		clean(t, err)
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err = c.Page(ctx, stream, number, "")
		if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &fault) {
			t.Errorf("page %d, past its deadline: %v", number, err)
		}
		<-started
		cancel()
	}
}
