package kafka

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
)

// TestOtherProtocols connects to something other than a Kafka broker, and expects a message about that rather than an
// answer read as lists.
func TestOtherProtocols(t *testing.T) {
	for name, of := range map[string]struct {
		answer string
		want   error
	}{
		"a web server":              {"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", errOtherProtocol},
		"NATS":                      {"INFO {\"server_id\":\"NA\",\"version\":\"2.12.2\"} \r\n", errOtherProtocol},
		"few bytes":                 {"220\r\n", errOtherProtocol},
		"TLS, an alert":             {"\x15\x03\x03\x00\x02\x02\x46", errWantsTLS},
		"TLS, a longer answer":      {"\x16\x03\x01\x00\x7a\x02\x00\x00\x76\x03\x03", errWantsTLS},
		"as large as no answer is":  {"\x00\x10\x00\x01\x00\x00\x00\x01" + strings.Repeat("\x00", 16), errOtherProtocol},
		"an answer to nobody asked": {"\x00\x00\x00\x10\x00\x00\x00\x02" + strings.Repeat("\x00", 16), errOtherProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan struct{})
			w := &connPool{idle: make(map[string][]*brokerConn), dial: func(context.Context, string, string) (net.Conn, error) {
				here, there := net.Pipe()
				go func() {
					defer close(ended)
					_, _ = there.Read(make([]byte, 4096)) // the request for versions; the answer shows that it came
					_, _ = there.Write([]byte(of.answer)) // may be cut short by a client that notices that it is not Kafka
					_ = there.Close()
				}()
				return here, nil
			}}
			_, err := w.connect(t.Context(), "b:1")
			if !errors.Is(err, of.want) {
				t.Fatalf("got %v, want %v", err, of.want)
			}
			<-ended
		})
	}
}
