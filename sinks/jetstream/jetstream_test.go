package jetstream

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(serverProcess); file != "" {
		serve(file)
		return
	}
	flag.Parse()
	// The tests mostly wait for servers: running a few more of them than there are processors does no harm.
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set("6"); err != nil {
			log.Fatal(err)
		}
	}
	goleak.VerifyTestMain(m)
}

// testServer runs a NATS server with JetStream in this process, on a port that it keeps over restarts.
type testServer struct {
	options server.Options
	server  *server.Server
}

func startServer(t testing.TB, change func(*server.Options)) *testServer {
	t.Helper()
	s := &testServer{options: server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		MaxPayload: 1 << 20,
	}}
	if change != nil {
		change(&s.options)
	}
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

func (s *testServer) start(t testing.TB) {
	t.Helper()
	options := s.options
	srv, err := server.NewServer(&options)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server did not start")
	}
	s.server = srv
	if address, ok := srv.Addr().(*net.TCPAddr); ok {
		s.options.Port = address.Port
	}
}

func (s *testServer) stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

func (s *testServer) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", s.options.Port) }

// client is another client than the sink's. It reads message by message, from the leader.
func (s *testServer) client(t testing.TB) natsgo.JetStreamContext {
	t.Helper()
	return clientOf(t, s.url())
}

func clientOf(t testing.TB, url string) natsgo.JetStreamContext {
	t.Helper()
	conn, err := natsgo.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := conn.JetStream(natsgo.MaxWait(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func openSink(t testing.TB, c Config, mode connector.Mode) *Sink {
	t.Helper()
	sink, err := Open(c, connector.Encoding{Mode: mode, TypePrefix: sinktest.TypePrefix}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sink.Close(); err != nil {
			t.Error(err)
		}
	})
	return sink
}

func config(url string) Config {
	return Config{Connection: natssink.Connection{URL: url}, Timeout: 10 * time.Second}
}

func create(t testing.TB, c Config) {
	t.Helper()
	sink := openSink(t, c, connector.ModeStructured)
	if err := sink.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// all lists the messages of the stream, in order, whose subjects match the filter.
func all(t testing.TB, js natsgo.JetStreamContext, stream, filter string) []*natsgo.RawStreamMsg {
	t.Helper()
	info, err := js.StreamInfo(stream)
	if err != nil {
		t.Fatal(err)
	}
	var out []*natsgo.RawStreamMsg
	for seq := max(info.State.FirstSeq, 1); seq <= info.State.LastSeq; seq++ {
		m, err := js.GetMsg(stream, seq)
		if errors.Is(err, natsgo.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if covered([]string{filter}, m.Subject) {
			out = append(out, m)
		}
	}
	return out
}

// read decodes a stored message by rules of its own.
func read(t testing.TB, m *natsgo.RawStreamMsg) sinktest.Stored {
	t.Helper()
	test := t.(*testing.T)
	if m.Header.Get("Content-Type") == connector.StructuredType {
		stored := sinktest.Structured(test, m.Data)
		if got := m.Header.Get("Twochat-Sequence"); got != stored.Attributes["sequence"] {
			t.Fatalf("header Twochat-Sequence %q, attribute %q", got, stored.Attributes["sequence"])
		}
		return stored
	}
	attributes := make(map[string]string)
	for name, values := range m.Header {
		if attribute, ok := strings.CutPrefix(name, "ce-"); ok {
			value, err := natssink.DecodeHeader(values[0])
			if err != nil {
				t.Fatal(err)
			}
			attributes[attribute] = value
		}
	}
	return sinktest.Binary(test, attributes, m.Data)
}

func newStorage(t *testing.T, url string, c Config, mode connector.Mode,
	stop func(t *testing.T) func(t *testing.T),
) sinktest.Storage {
	create(t, c)
	purge := func(t *testing.T, subject string) {
		t.Helper()
		if err := clientOf(t, url).PurgeStream(DefaultStream, &natsgo.StreamPurgeRequest{Subject: subject}); err != nil {
			t.Fatal(err)
		}
	}
	return sinktest.Storage{
		Open: func(t *testing.T) sinktest.Sink { return openSink(t, c, mode) },
		Read: func(t *testing.T, stream string) []sinktest.Stored {
			var out []sinktest.Stored
			for _, m := range all(t, clientOf(t, url), DefaultStream, "whatsapp."+connector.SubjectToken(stream)+".>") {
				out = append(out, read(t, m))
			}
			return out
		},
		Quarantined: func(t *testing.T, stream string) []sinktest.Quarantined {
			var out []sinktest.Quarantined
			for _, m := range all(t, clientOf(t, url), DefaultStream, "whatsapp-quarantine."+connector.SubjectToken(stream)) {
				out = append(out, sinktest.Quarantine(t, m.Data))
			}
			return out
		},
		Intrude: func(t *testing.T, stream string, record []byte) {
			if _, err := clientOf(t, url).Publish("whatsapp."+connector.SubjectToken(stream)+".x.y", record); err != nil {
				t.Fatal(err)
			}
		},
		Forget: func(t *testing.T, stream string) { purge(t, "whatsapp-checkpoint."+connector.SubjectToken(stream)) },
		Vanish: func(t *testing.T) { purge(t, "") },
		Copy: func(t *testing.T) func(t *testing.T) {
			js := clientOf(t, url)
			last := func() uint64 {
				info, err := js.StreamInfo(DefaultStream)
				if err != nil {
					t.Fatal(err)
				}
				return info.State.LastSeq
			}
			copied := last()
			return func(t *testing.T) {
				for sequence := copied + 1; sequence <= last(); sequence++ {
					if err := js.DeleteMsg(DefaultStream, sequence); err != nil && !errors.Is(err, natsgo.ErrMsgNotFound) {
						t.Fatal(err)
					}
				}
			}
		},
		Erase: func(t *testing.T, stream string, sequence uint64) {
			js := clientOf(t, url)
			for _, m := range all(t, js, DefaultStream, "whatsapp."+connector.SubjectToken(stream)+".>") {
				if read(t, m).Sequence == sequence {
					if err := js.DeleteMsg(DefaultStream, m.Sequence); err != nil {
						t.Fatal(err)
					}
				}
			}
		},
		Stop: stop,
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, mode := range []connector.Mode{connector.ModeStructured, connector.ModeBinary} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			sinktest.Run(t, sinktest.Suite{
				New: func(t *testing.T) sinktest.Storage {
					s := startServer(t, nil)
					c := config(s.url())
					c.Timeout = 3 * time.Second
					storage := newStorage(t, s.url(), c, mode, func(t *testing.T) func(t *testing.T) {
						s.stop()
						return func(t *testing.T) { s.start(t) }
					})
					storage.Folder = s.options.StoreDir
					return storage
				},
				Promise: sinktest.AllOrNothing, Oversized: 2 << 20, OversizedItem: 2 << 20,
			})
		})
	}
}

func acquire(t testing.TB, log connector.Log) connector.State {
	t.Helper()
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func commit(t testing.TB, log connector.Log, c connector.Checkpoint, events []connector.Event) connector.Checkpoint {
	t.Helper()
	next := sinktest.Next(c, events, nil, c.Sequence+uint64(len(events)))
	if err := log.Commit(t.Context(), events, nil, next); err != nil {
		t.Fatal(err)
	}
	return next
}

func openLog(t testing.TB, sink *Sink, claim connector.Claim) *Log {
	t.Helper()
	log, ok := sink.Log(claim).(*Log)
	if !ok {
		t.Fatal("not a Log of this package")
	}
	t.Cleanup(func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return log
}

// wantSequences checks that the sink holds exactly the events 1 to n of a stream, in order.
func wantSequences(t testing.TB, js natsgo.JetStreamContext, stream string, n uint64) {
	t.Helper()
	var got []uint64
	for _, m := range all(t, js, DefaultStream, "whatsapp."+connector.SubjectToken(stream)+".>") {
		got = append(got, read(t, m).Sequence)
	}
	var want []uint64
	for i := range n {
		want = append(want, i+1)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("sequences %v, want 1 to %d", got, n)
	}
}

func deadline(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
