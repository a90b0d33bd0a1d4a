package jetstream

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/connector"
)

// TestCreate_waitsForTheThirdServer: a cluster that one server has not joined yet is not taken for a small one.
func TestCreate_waitsForTheThirdServer(t *testing.T) {
	t.Parallel()
	ports := freePorts(t, 3)
	two, three := []*url.URL{routeTo(ports[0]), routeTo(ports[1])}, []*url.URL{
		routeTo(ports[0]), routeTo(ports[1]),
		routeTo(ports[2]),
	}
	servers := []*testServer{
		clusterServer(t, 0, ports[0], two), clusterServer(t, 1, ports[1], two),
		clusterServer(t, 2, ports[2], three),
	}
	for _, s := range servers[:2] {
		s.start(t)
		t.Cleanup(s.stop)
	}
	meet(t, servers[:2])
	sink := openSink(t, config(servers[0].url()+","+servers[1].url()), connector.ModeStructured)
	var err error
	eventually(t, "word of the server that is missing", func() bool {
		err = sink.Create(t.Context())
		if !errors.Is(err, connector.ErrNotNow) {
			t.Fatalf("got %v, want ErrNotNow", err)
		}
		return strings.Contains(err.Error(), "sink.jetstream.replicas")
	})
	if findings, err := sink.Check(t.Context(), nil); err != nil || !findings[len(findings)-1].Missing {
		t.Errorf("%+v, %v", findings, err)
	}
	servers[2].start(t)
	t.Cleanup(servers[2].stop)
	eventually(t, "the stream", func() bool {
		err := sink.Create(t.Context())
		if err != nil && !errors.Is(err, connector.ErrNotNow) {
			t.Fatal(err)
		}
		return err == nil
	})
	info, err := sink.held().streamInfo(t.Context(), DefaultStream)
	if err != nil || info.Config.Replicas != 3 {
		t.Fatalf("%+v, %v", info, err)
	}
}

// TestCreate_oneServer creates one replica if there is no cluster, and reports it.
func TestCreate_oneServer(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	sink := openSink(t, config(s.url()), connector.ModeStructured)
	if err := sink.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	findings, err := sink.Check(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range findings {
		found = found || f.Level == connector.FindingWarning && strings.Contains(f.Text, "one replica") &&
			!strings.Contains(f.Hint, "--replicas")
	}
	if !found {
		t.Errorf("%+v", findings)
	}
}

// TestCreate_limitOfBytes names the key that an account requires.
func TestCreate_limitOfBytes(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	account, err := s.server.LookupAccount("$G")
	if err != nil {
		t.Fatal(err)
	}
	if err := account.UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": {
		MaxMemory: 1 << 20, MaxStore: 8 << 20, MaxStreams: -1, MaxConsumers: -1, MaxBytesRequired: true,
		StoreMaxStreamBytes: 4 << 20,
	}}); err != nil {
		t.Fatal(err)
	}
	c := config(s.url())
	wantRefused(t, openSink(t, c, connector.ModeStructured).Create(t.Context()), "max_bytes")
	c.MaxBytes = 6 << 20
	wantRefused(t, openSink(t, c, connector.ModeStructured).Create(t.Context()), "max_bytes")
	c.MaxBytes = 2 << 20
	sink := openSink(t, c, connector.ModeStructured)
	if !strings.Contains(sink.hints.addCommand(), "--max-bytes=2097152") {
		t.Error(sink.hints.addCommand())
	}
	if err := sink.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestCreate_whatTheServerRefuses is reported, with what can be done: the command that creates the stream would fail as
// well.
func TestCreate_whatTheServerRefuses(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	if _, err := s.client(t).AddStream(&natsgo.StreamConfig{
		Name:     "OTHER",
		Subjects: []string{DefaultSubject + ".>"},
	}); err != nil {
		t.Fatal(err)
	}
	c := config(s.url())
	sink := openSink(t, c, connector.ModeStructured)
	for _, refused := range []error{sink.Create(t.Context()), sink.CheckCreate(t.Context())} {
		wantRefused(t, refused, "the stream OTHER already has its subjects", "sink.jetstream.stream: OTHER")
	}
	c.Replicas, c.Subject, c.Stream = 3, "thrice", "THRICE"
	sink = openSink(t, c, connector.ModeStructured)
	for _, refused := range []error{sink.Create(t.Context()), sink.CheckCreate(t.Context())} {
		wantRefused(t, refused, "supports one replica, not 3", "remove `sink.jetstream.replicas`")
	}
	c = config(s.url())
	for age, want := range map[time.Duration]int{MinMaxAge: 0, MinMaxAge - 1: 1} {
		if c.MaxAge = age; len(c.Validate()) != want {
			t.Errorf("%s: %v", age, c.Validate())
		}
	}
}

// TestRoomHint: an account that requires a limit of bytes gets no command that removes the limit.
func TestRoomHint(t *testing.T) {
	t.Parallel()
	sink := openSink(t, config("nats://127.0.0.1:1"), connector.ModeStructured)
	hint := sink.hints.roomHint(&jetstream.StreamConfig{MaxBytes: 2 << 20, MaxMsgs: -1})
	if !strings.HasPrefix(hint, "`nats stream edit "+DefaultStream+" --max-bytes=4194304` ") {
		t.Error(hint)
	}
}

// olderServer makes a server look older than it is to its clients.
func olderServer(t *testing.T, s *testServer) *proxy {
	t.Helper()
	p := startProxy(t, s.url())
	older := bytes.Repeat([]byte{'0'}, len(server.VERSION))
	copy(older, "2.11.")
	rewrite := func(said []byte) []byte {
		return bytes.ReplaceAll(said, []byte(`"version":"`+server.VERSION+`"`), []byte(`"version":"`+string(older)+`"`))
	}
	p.rewrite.Store(&rewrite)
	return p
}

// TestCreate_olderServer: nothing is created on a server that would ignore half of the settings.
func TestCreate_olderServer(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	c := config(olderServer(t, s).url())
	wantRefused(t, openSink(t, c, connector.ModeStructured).Create(t.Context()), "2.11.", "2.12.2")
	if _, err := s.client(t).StreamInfo(DefaultStream); !errors.Is(err, natsgo.ErrStreamNotFound) {
		t.Fatalf("the stream: %v", err)
	}
}

// TestVersions judges each server of a cluster by its own version, and the leader again when it changes.
func TestVersions(t *testing.T) {
	t.Parallel()
	servers := startCluster(t)
	sink := openSink(t, config(servers[0].url()), connector.ModeStructured)
	eventually(t, "the stream", func() bool { return sink.Create(t.Context()) == nil })
	k, err := sink.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	info, err := k.streamInfo(t.Context(), DefaultStream)
	if err != nil {
		t.Fatal(err)
	}
	names := peersOf(info)
	found := k.peers(t.Context(), names)
	if len(names) != 3 || len(found) != 3 {
		t.Fatalf("peers %v, found %+v", names, found)
	}
	for name, p := range found {
		if p.Version != server.VERSION || !p.JetStream || p.Cluster != "test" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	var r report
	found[names[2]] = peer{Name: names[2], Cluster: "test", Version: "2.12.1", JetStream: true}
	r.peers(names, found, info)
	if len(r) != 1 || r[0].Level != connector.FindingRefused || !strings.Contains(r[0].Thing, names[2]+" 2.12.1") {
		t.Errorf("%+v", r)
	}
	for version, refused := range map[string]bool{"2.12.1": true, "2.15.2": false, "": false} {
		moved := *info
		moved.Config.Metadata = map[string]string{metadataVersion: version}
		if refusal := sink.refusalOf(&moved); (refusal != nil) != refused {
			t.Errorf("a leader of version %q: %v", version, refusal)
		}
	}
	sink.hints.count(k, found)
	if sink.hints.replicas() != 3 || !strings.Contains(sink.hints.addCommand(), "--replicas 3") {
		t.Errorf("%d replicas, %s", sink.hints.replicas(), sink.hints.addCommand())
	}
	var two report
	info.Config.Replicas = 2
	two.replicas("it", info, sink)
	if len(two) == 0 || !strings.Contains(two[0].Hint, "--replicas 3") {
		t.Errorf("%+v", two)
	}
}

// TestKnown_looksAgain: a setting that is refused is checked again at once, so that a fix is noticed.
func TestKnown_looksAgain(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	log, checkpoint := own(t, c, connector.ModeStructured)
	edit(t, s.url(), func(c *jetstream.StreamConfig) { c.NoAck = true })
	log.sink.forgetSettings()
	_, err := log.Acquire(t.Context())
	wantRefused(t, err, "--ack")
	edit(t, s.url(), func(c *jetstream.StreamConfig) { c.NoAck = false })
	if state := acquire(t, log); state.Checkpoint.Sequence != checkpoint.Sequence {
		t.Errorf("%+v", state.Checkpoint)
	}
	log.sink.mu.Lock()
	defer log.sink.mu.Unlock()
	if age := time.Since(log.sink.settings.read); log.sink.settings.refusal != nil || age > settingsAge {
		t.Errorf("%v, read %s ago", log.sink.settings.refusal, age)
	}
}
