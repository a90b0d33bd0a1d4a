package embedded

import (
	"errors"
	"log/slog"
	"net"
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
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, c Config, mode connector.Mode) *Sink {
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

func loopbackConfig(t testing.TB) Config {
	t.Helper()
	return Config{Listen: "127.0.0.1:0", Dir: t.TempDir()}
}

// reader is a client that reads the embedded server over its socket.
func reader(t *testing.T, sink *Sink) natsgo.JetStreamContext {
	t.Helper()
	conn, err := natsgo.Connect(sink.URL())
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

func stored(t *testing.T, sink *Sink, prefix string) []*natsgo.RawStreamMsg {
	t.Helper()
	js := reader(t, sink)
	info, err := js.StreamInfo(sink.Stream())
	if err != nil {
		t.Fatal(err)
	}
	var out []*natsgo.RawStreamMsg
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
		m, err := js.GetMsg(sink.Stream(), seq)
		if errors.Is(err, natsgo.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject == prefix || strings.HasSuffix(prefix, ".") && strings.HasPrefix(m.Subject, prefix) {
			out = append(out, m)
		}
	}
	return out
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, mode := range []connector.Mode{connector.ModeStructured, connector.ModeBinary} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			sinktest.Run(t, sinktest.Suite{
				// There is one server per process, so sinks on the same storage are those of one server.
				New:     func(t *testing.T) sinktest.Storage { return newStorage(t, mode) },
				Promise: sinktest.AllOrNothing, Oversized: 5 << 20, OversizedItem: 5 << 20,
			})
		})
	}
}

// newStorage is an embedded server that the test keeps; the sinks under test connect to it like further users of it.
func newStorage(t *testing.T, mode connector.Mode) sinktest.Storage {
	sink := open(t, loopbackConfig(t), mode)
	return sinktest.Storage{
		Folder: sink.dir,
		Open:   func(t *testing.T) sinktest.Sink { return beside(t, sink, mode) },
		Read: func(t *testing.T, stream string) []sinktest.Stored {
			var out []sinktest.Stored
			for _, m := range stored(t, sink, "whatsapp."+connector.SubjectToken(stream)+".") {
				if mode == connector.ModeStructured {
					out = append(out, sinktest.Structured(t, m.Data))
					continue
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
				out = append(out, sinktest.Binary(t, attributes, m.Data))
			}
			return out
		},
		Quarantined: func(t *testing.T, stream string) []sinktest.Quarantined {
			var out []sinktest.Quarantined
			for _, m := range stored(t, sink, "whatsapp-quarantine."+connector.SubjectToken(stream)) {
				out = append(out, sinktest.Quarantine(t, m.Data))
			}
			return out
		},
		Intrude: func(t *testing.T, stream string, record []byte) {
			subject := "whatsapp." + connector.SubjectToken(stream) + ".x.y"
			if _, err := reader(t, sink).Publish(subject, record); err != nil {
				t.Fatal(err)
			}
		},
		Forget: func(t *testing.T, stream string) {
			if err := reader(t, sink).PurgeStream(sink.Stream(), &natsgo.StreamPurgeRequest{Subject: "whatsapp-checkpoint." +
				connector.SubjectToken(stream)}); err != nil {
				t.Fatal(err)
			}
		},
		Vanish: func(t *testing.T) {
			if err := reader(t, sink).PurgeStream(sink.Stream()); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func claim(instance string) connector.Claim { return sinktest.Claim("595981048477", instance) }

func write(t *testing.T, sink *Sink, instance string, n int) connector.Checkpoint {
	t.Helper()
	log := sink.Log(claim(instance))
	defer func() {
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}()
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events := sinktest.Events(claim(instance).Stream, state.Checkpoint.Sequence+1, n)
	next := sinktest.Next(state.Checkpoint, events, nil, state.Checkpoint.Sequence+uint64(n))
	if err := log.Commit(t.Context(), events, nil, next); err != nil {
		t.Fatal(err)
	}
	return next
}

func TestOpen_goesOnWithItsFolder(t *testing.T) {
	c := loopbackConfig(t)
	for i := range 3 {
		sink := open(t, c, connector.ModeStructured)
		if next := write(t, sink, "one", 5); next.Sequence != uint64(5*(i+1)) {
			t.Fatalf("start %d ends at %d", i, next.Sequence)
		}
		if err := sink.Close(); err != nil {
			t.Fatal(err)
		}
	}
	sink := open(t, c, connector.ModeStructured)
	if got := len(stored(t, sink, "whatsapp.")); got != 15 {
		t.Fatalf("%d events, want 15", got)
	}
}

func TestOpen_refusesAFolderInUse(t *testing.T) {
	c := loopbackConfig(t)
	open(t, c, connector.ModeStructured)
	_, err := Open(c, connector.Encoding{}, slog.New(slog.DiscardHandler))
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "another process") {
		t.Fatalf("got %v", err)
	}
}

func TestOpen_refusesATakenPort(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c := Config{Listen: listener.Addr().String(), Dir: t.TempDir()}
	_, err = Open(c, connector.Encoding{}, slog.New(slog.DiscardHandler))
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(err.Error(), "listen") {
		t.Fatalf("got %v", err)
	}
	// The folder is free again.
	c.Listen = "127.0.0.1:0"
	open(t, c, connector.ModeStructured)
}

// An address on which a NATS server already answers is reported as such, with the way to deliver into that server.
func TestOpen_besideAnotherServer(t *testing.T) {
	other := open(t, Config{Listen: "127.0.0.1:0", Dir: t.TempDir()}, connector.ModeStructured)
	address := strings.TrimPrefix(other.URL(), "nats://")
	_, err := Open(Config{Listen: address, Dir: t.TempDir()}, connector.Encoding{}, slog.New(slog.DiscardHandler))
	var refusal *connector.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(refusal.Cause,
		"another NATS server is running there (version "+server.VERSION+")") ||
		!strings.Contains(refusal.Hint, "`sink.jetstream.url: nats://"+address+"`") {
		t.Errorf("got %v", err)
	}
}

func TestConfig_Validate(t *testing.T) {
	for _, row := range []struct {
		c    Config
		want string // the thing that is refused
	}{
		{Config{}, ""},
		{Config{Listen: "localhost:4222"}, ""},
		{Config{Listen: "[::1]:0"}, ""},
		{Config{Listen: "0.0.0.0:4222"}, "listen"},
		{Config{Listen: ":4222"}, "listen"},
		{Config{Listen: "192.168.1.5:4222"}, "listen"},
		{Config{Listen: "127.0.0.1"}, "listen"},
		{Config{Listen: "127.0.0.1:99999"}, "listen"},
		{Config{MaxBytes: -1}, "max_age, max_bytes"},
	} {
		got := ""
		for _, finding := range row.c.Validate() {
			got = finding.Thing
		}
		if got != row.want {
			t.Errorf("%+v: refused %q, want %q", row.c, got, row.want)
		}
	}
}

func TestCommit_waitsWhereMaxBytesIsReached(t *testing.T) {
	c := loopbackConfig(t)
	c.MaxBytes = 64 << 10
	sink := open(t, c, connector.ModeStructured)
	log := sink.Log(claim("one"))
	defer log.Close()
	state, err := log.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := state.Checkpoint
	for range 100 {
		events := sinktest.Events(claim("one").Stream, checkpoint.Sequence+1, 10)
		next := sinktest.Next(checkpoint, events, nil, checkpoint.Sequence+10)
		if err = log.Commit(t.Context(), events, nil, next); err != nil {
			break
		}
		checkpoint = next
	}
	if !errors.Is(err, connector.ErrNotNow) {
		t.Fatalf("got %v, want ErrNotNow", err)
	}
	if got := len(stored(t, sink, "whatsapp.")); uint64(got) != checkpoint.Sequence {
		t.Fatalf("%d events, checkpoint at %d", got, checkpoint.Sequence)
	}
	// With more room, the same commit succeeds.
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	c.MaxBytes = 1 << 20
	sink = open(t, c, connector.ModeStructured)
	if next := write(t, sink, "two", 10); next.Sequence != checkpoint.Sequence+10 {
		t.Fatalf("went on to %d after %d", next.Sequence, checkpoint.Sequence)
	}
}

func TestCheck_findsNothingWrong(t *testing.T) {
	sink := open(t, loopbackConfig(t), connector.ModeStructured)
	findings, err := sink.Check(t.Context(), []connector.Claim{claim("one")})
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range findings {
		if finding.Level == connector.FindingRefused {
			t.Errorf("%+v", finding)
		}
	}
	if len(findings) < 3 {
		t.Errorf("findings: %+v", findings)
	}
}
