package embedded

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"regexp"
	"syscall"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// greetingTimeout is how long to wait for a server's greeting, which comes at once on this machine.
const greetingTimeout = time.Second

// taken is the refusal of an address that is in use. If another NATS server is running there, its greeting shows that.
func taken(listen string, err error) *connector.Refusal {
	if version, ok := greeting(listen); ok {
		return &connector.Refusal{
			Thing: "address " + listen, Cause: "another NATS server is running there (" + version +
				"), so the embedded one cannot listen there",
			Hint: "stop that server, or set another port with `sink.embedded.listen`; to deliver into it, use the sink " +
				"`jetstream` with `sink.jetstream.url: nats://" + listen + "`",
		}
	}
	var errno syscall.Errno
	cause := err.Error()
	if errors.As(err, &errno) {
		cause = errno.Error()
	}
	return &connector.Refusal{
		Thing: "address " + listen, Cause: "the embedded NATS server cannot listen there: " + cause,
		Hint: "stop the program that uses it, or set another port with `sink.embedded.listen`",
	}
}

// greeting is the version of the NATS server at an address, from its greeting to clients.
func greeting(address string) (version string, ok bool) {
	conn, err := (&net.Dialer{Timeout: greetingTimeout}).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return "", false
	}
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(greetingTimeout)) != nil {
		return "", false
	}
	line, err := bufio.NewReaderSize(io.LimitReader(conn, 64<<10), 64<<10).ReadSlice('\n')
	said, isInfo := bytes.CutPrefix(line, []byte("INFO "))
	var info struct {
		Version string `json:"version"`
	}
	if err != nil || !isInfo || json.Unmarshal(said, &info) != nil || !versionForm.MatchString(info.Version) {
		return "", false
	}
	return "version " + info.Version, true
}

// versionForm is the form of a server's version; anything else is not repeated.
var versionForm = regexp.MustCompile(`^[0-9A-Za-z.+-]{1,40}$`)
