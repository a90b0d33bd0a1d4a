package admin

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestGuarded(t *testing.T) {
	answers := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	handler := guarded(answers, []string{"metrics.example.com"}, "messaging")
	for host, want := range map[string]int{
		"127.0.0.1:8080": 204, "[::1]:8080": 204, "10.1.2.3": 204, "localhost:8080": 204, "twochat-connector:8080": 204,
		"":                        204,
		"connector.shop.svc:8080": 204, "connector.shop.svc.cluster.local": 204, "ip-10-0-0-1.ec2.internal:8080": 204,
		"Metrics.Example.com:8080": 204,
		"connector.messaging:8080": 204, "Connector.Messaging.": 204, "connector.messaging.svc:8080": 204,
		"connector.other:8080": 421, "a.connector.messaging": 421, "messaging.com": 421, ".messaging": 421, "evil.com": 421,
		"evil.example:8080": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "evil.example.": 421,
		"svc.evil.example": 421,
	} {
		request := httptest.NewRequest(http.MethodGet, "/status", nil)
		request.Host = host
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		if response.Code != want {
			t.Errorf("%q: %d, want %d", host, response.Code, want)
		}
	}
}

func TestBounded_LetsInWhenOneLeaves(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	b := &bounded{Listener: listener, slots: make(chan struct{}, 1)}
	accepted := make(chan net.Conn)
	go func() {
		for range 2 {
			conn, err := b.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- conn
		}
	}()
	for range 2 {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Fatal("a second one is let in beside the first")
	default:
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := (<-accepted).Close(); err != nil {
		t.Fatal(err)
	}
}
