package kafka

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
)

// opening checks the first answer on a connection. From Kafka it is small, and has the number of the first request. The
// answer of a web server or of another broker would be parsed as lists with hundreds of millions of entries, which no
// deadline ends.
type opening struct {
	net.Conn
	seen bool
}

// largestOpening limits the answer to a request for versions, which has some hundreds of bytes.
const largestOpening = 1 << 20

var (
	errOtherProtocol = errors.New("the server there does not speak Kafka; check that the port is the broker's " +
		"listener for clients")
	errWantsTLS = errors.New("the listener speaks TLS; set `sink.kafka.tls.enabled: true`")
)

func (o *opening) Read(p []byte) (int, error) {
	if o.seen || len(p) < 8 {
		return o.Conn.Read(p)
	}
	n, err := io.ReadAtLeast(o.Conn, p, 8)
	switch {
	case n >= 3 && (p[0] == 0x15 || p[0] == 0x16) && p[1] == 3: // a TLS record: an alert or a handshake of SSL 3 or newer
		return 0, errWantsTLS
	case n > 0 && errors.Is(err, io.ErrUnexpectedEOF):
		return 0, errOtherProtocol
	case err != nil:
		return n, err
	case binary.BigEndian.Uint32(p) > largestOpening || binary.BigEndian.Uint32(p[4:]) != 1:
		return 0, errOtherProtocol
	}
	o.seen = true
	return n, nil
}
