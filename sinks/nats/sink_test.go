package nats

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = slog.New(slog.DiscardHandler)

// startServer starts a core NATS server; port -1 takes any.
func startServer(t *testing.T, options server.Options) *server.Server {
	t.Helper()
	options.Host, options.NoLog, options.NoSigs = "127.0.0.1", true, true
	if options.Port == 0 {
		options.Port = -1
	}
	s, err := server.NewServer(&options)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s
}

// listener is a subscriber that receives everything.
type listener struct {
	conn *natsgo.Conn
	sub  *natsgo.Subscription
	got  []*natsgo.Msg
}

func listen(t *testing.T, url string) *listener {
	t.Helper()
	conn, err := natsgo.Connect(url, natsgo.MaxReconnects(-1), natsgo.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	sub, err := conn.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(sub.SetPendingLimits(-1, -1), conn.Flush()); err != nil {
		t.Fatal(err)
	}
	return &listener{conn: conn, sub: sub}
}

// heard lists the messages on subjects that match. The server passes on everything it has read before it answers a
// flush.
func (l *listener) heard(t *testing.T, match func(subject string) bool) (list []*natsgo.Msg) {
	t.Helper()
	if err := l.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	for {
		n, _, err := l.sub.Pending()
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		m, err := l.sub.NextMsg(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		l.got = append(l.got, m)
	}
	for _, m := range l.got {
		if match(m.Subject) {
			list = append(list, m)
		}
	}
	return list
}

func TestSink_KeepsTheContract(t *testing.T) {
	for _, mode := range []connector.Mode{connector.ModeStructured, connector.ModeBinary} {
		t.Run(string(mode), func(t *testing.T) {
			sinktest.Run(t, sinktest.Suite{
				Promise: sinktest.BestEffort, Exclusive: true, Unkept: true, Oversized: 2 << 20,
				New: func(t *testing.T) sinktest.Storage { return newStorage(t, mode) },
			})
		})
	}
}

func newStorage(t *testing.T, mode connector.Mode) sinktest.Storage {
	broker := startServer(t, server.Options{})
	url := broker.ClientURL()
	l := listen(t, url)
	c := Config{
		Connection: Connection{URL: url}, Subject: "test.whatsapp",
		State: filepath.Join(t.TempDir(), "whatsapp.state"),
	}
	if findings := c.Validate(); len(findings) != 0 {
		t.Fatalf("Validate: %+v", findings)
	}
	return sinktest.Storage{
		Open: func(t *testing.T) sinktest.Sink {
			s, err := Open(c, connector.Encoding{Mode: mode, TypePrefix: sinktest.TypePrefix}, quiet)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Read: func(t *testing.T, stream string) (list []sinktest.Stored) {
			prefix := "test.whatsapp." + connector.SubjectToken(stream) + "."
			for _, m := range l.heard(t, func(subject string) bool { return strings.HasPrefix(subject, prefix) }) {
				list = append(list, stored(t, m, mode))
			}
			return list
		},
		Quarantined: func(t *testing.T, stream string) (list []sinktest.Quarantined) {
			subject := "test.whatsapp-quarantine." + connector.SubjectToken(stream)
			for _, m := range l.heard(t, func(s string) bool { return s == subject }) {
				list = append(list, sinktest.Quarantine(t, m.Data))
			}
			return list
		},
		Stop: func(t *testing.T) func(*testing.T) {
			port := broker.Addr().String()
			broker.Shutdown()
			broker.WaitForShutdown()
			return func(t *testing.T) {
				broker = startServer(t, server.Options{Port: portOf(t, port)})
			}
		},
	}
}

// stored decodes a message by the binding's rules.
func stored(t *testing.T, m *natsgo.Msg, mode connector.Mode) sinktest.Stored {
	t.Helper()
	if mode == connector.ModeStructured {
		if got := m.Header.Get("Content-Type"); got != "application/cloudevents+json; charset=utf-8" {
			t.Fatalf("content type %q", got)
		}
		return sinktest.Structured(t, m.Data)
	}
	if got := m.Header.Get("Content-Type"); got != "application/json" {
		t.Fatalf("content type %q", got)
	}
	attributes := map[string]string{}
	for name, values := range m.Header {
		if attribute, ok := strings.CutPrefix(name, "ce-"); ok {
			value, err := DecodeHeader(values[0])
			if err != nil {
				t.Fatal(err)
			}
			attributes[attribute] = value
		}
	}
	return sinktest.Binary(t, attributes, m.Data)
}

func TestSink_RefusedSubjectIsNamed(t *testing.T) {
	broker := startServer(t, server.Options{Users: []*server.User{{
		Username: "u", Password: "p",
		Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{"elsewhere.>"}}},
	}}, NoAuthUser: "u"})
	s, err := Open(Config{Connection: Connection{URL: broker.ClientURL()}, Subject: "whatsapp", State: t.TempDir()},
		connector.Encoding{TypePrefix: sinktest.TypePrefix}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	log := s.Log(sinktest.Claim("595981048477", "one"))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	state, err := log.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	events := sinktest.Events(sinktest.Stream("595981048477"), 1, 2)
	err = log.Commit(ctx, events, nil, sinktest.Next(state.Checkpoint, events, nil, 0))
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if state, err = log.Acquire(ctx); err != nil || state.Checkpoint.Sequence != 0 {
		t.Fatalf("sequence %d, %v: the checkpoint must not move", state.Checkpoint.Sequence, err)
	}
}

func serverWith(maxPayload int32) server.Options { return server.Options{MaxPayload: maxPayload} }
