package nats

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/twochat-connector/twochat-connector/connector"
)

func portOf(t *testing.T, address string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConnection_Validate(t *testing.T) {
	for name, test := range map[string]struct {
		c     Connection
		level connector.FindingLevel // "" means no finding
		thing string
	}{
		"plain":               {c: Connection{URL: "nats://10.0.0.1:4222"}},
		"several":             {c: Connection{URL: "nats://a:4222, nats://b:4222"}},
		"no URL":              {Connection{}, connector.FindingRefused, "url"},
		"no scheme":           {Connection{URL: "localhost:4222"}, connector.FindingRefused, "url"},
		"other scheme":        {Connection{URL: "http://localhost:4222"}, connector.FindingRefused, "url"},
		"no host":             {Connection{URL: "nats://:4222"}, connector.FindingRefused, "url"},
		"a colon too many":    {Connection{URL: "nats://a:b:4222"}, connector.FindingRefused, "url"},
		"IPv6 in no brackets": {Connection{URL: "nats://::1:4222"}, connector.FindingRefused, "url"},
		"IPv6":                {c: Connection{URL: "nats://[::1]:4222"}},
		"port too large":      {Connection{URL: "nats://a:65536"}, connector.FindingRefused, "url"},
		"no port":             {c: Connection{URL: "nats://a"}},
		"second is wrong":     {Connection{URL: "nats://a:4222,b"}, connector.FindingRefused, "url"},
		"password in the URL": {
			Connection{URL: "nats://me:secret@localhost:4222"},
			connector.FindingRefused,
			"url",
		},
		"credentials in clear": {
			Connection{URL: "nats://10.0.0.1:4222", TokenFile: "t"},
			connector.FindingRefused,
			"url",
		},
		"credentials in clear, one of": {
			Connection{URL: "tls://10.0.0.1:4222,nats://10.0.0.2:4222", CredsFile: "c"},
			connector.FindingRefused, "url",
		},
		"credentials in clear, accepted": {
			Connection{URL: "nats://10.0.0.1:4222", TokenFile: "t", Insecure: true},
			connector.FindingWarning, "insecure",
		},
		"credentials over TLS": {c: Connection{URL: "tls://10.0.0.1:4222", NKeyFile: "n"}},
		"credentials over TLS by CA": {c: Connection{
			URL: "nats://10.0.0.1:4222", NKeyFile: "n",
			TLS: TLS{CAFile: "ca"},
		}},
		"credentials on loopback":       {c: Connection{URL: "nats://127.0.0.1:4222", NKeyFile: "n"}},
		"credentials on loopback, IPv6": {c: Connection{URL: "nats://[::1]:4222", NKeyFile: "n"}},
		"credentials on localhost":      {c: Connection{URL: "nats://localhost:4222", NKeyFile: "n"}},
		"a name that looks like loopback": {
			Connection{URL: "nats://127.0.0.1.example.com:4222", NKeyFile: "n"},
			connector.FindingRefused, "url",
		},
		"two credentials": {
			Connection{URL: "tls://a:4222", NKeyFile: "n", TokenFile: "t"},
			connector.FindingRefused,
			"creds_file",
		},
		"half a pair": {Connection{URL: "tls://a:4222", TLS: TLS{CertFile: "c"}}, connector.FindingRefused, "tls"},
		"any certificate": {
			Connection{URL: "tls://a:4222", TLS: TLS{Insecure: true}},
			connector.FindingWarning,
			"tls.insecure",
		},
	} {
		findings := test.c.Validate()
		switch {
		case test.level == "" && len(findings) == 0:
		case len(findings) != 1 || findings[0].Level != test.level || findings[0].Thing != test.thing ||
			findings[0].Text == "" || findings[0].Hint == "":
			t.Errorf("%s: %+v", name, findings)
		}
		for _, f := range findings {
			if strings.Contains(f.Text+f.Hint, "secret") {
				t.Errorf("%s: a secret in %+v", name, f)
			}
		}
	}
}

func TestConnection_TokenIsReadAnewAtEachConnect(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	broker := startServer(t, server.Options{Authorization: "right"})
	c := Connection{URL: broker.ClientURL(), TokenFile: token}
	write("wrong\n")
	if conn, err := c.Dial(t.Context(), quiet); !errors.Is(err, connector.ErrNotNow) {
		conn.Close()
		t.Fatalf("got %v, want ErrNotNow", err)
	}
	write("right\n")
	conn, err := c.Dial(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	// The same connection, after the server and its token were changed.
	write("other\n")
	port := portOf(t, broker.Addr().String())
	broker.Shutdown()
	broker.WaitForShutdown()
	startServer(t, server.Options{Authorization: "other", Port: port})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for conn.FlushWithContext(ctx) != nil {
		select {
		case <-ctx.Done():
			t.Fatal("the connection does not come back")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestConnection_DialIsBounded(t *testing.T) {
	// A server that accepts connections and does not answer.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	_, err = Connection{URL: "nats://" + silent.Addr().String()}.Dial(ctx, quiet)
	if !errors.Is(err, context.Canceled) || time.Since(began) > 3*time.Second {
		t.Fatalf("%v after %v, want the context's error at once", err, time.Since(began))
	}
	// No server.
	if err := silent.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err = (Connection{URL: "nats://" + silent.Addr().String()}).Dial(t.Context(), quiet); !errors.Is(err,
		connector.ErrNotNow) {
		t.Fatalf("got %v, want ErrNotNow", err)
	}
	if _, err = (Connection{URL: "nats://127.0.0.1:1", TokenFile: "/does/not/exist"}).Dial(t.Context(),
		quiet); !errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("a missing file: got %v, want ErrNotNow", err)
	}
}
