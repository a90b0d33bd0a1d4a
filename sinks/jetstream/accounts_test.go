package jetstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// configured runs a server with a configuration in nats-server's own format.
func configured(t *testing.T, text string) *testServer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "server.conf")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	options, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	s := &testServer{options: *options}
	s.start(t)
	t.Cleanup(s.stop)
	return s
}

// accounts is a server whose JetStream belongs to another account, and is imported under a prefix. Beside what one
// replica needs, further subjects may be imported.
func accounts(t *testing.T, responses string, further ...string) (s *testServer, owner Config, importer Config) {
	t.Helper()
	exports, imports := "", ""
	for _, subject := range further {
		exports += fmt.Sprintf("{ service: %q }\n", subject)
		imports += fmt.Sprintf("{ service: { account: JS, subject: %q } }\n", subject)
	}
	s = configured(t, fmt.Sprintf(`
listen: "127.0.0.1:-1"
jetstream { store_dir: %q }
no_auth_user: app
accounts {
  JS {
    jetstream: enabled
    users: [ { user: js, password: js } ]
    exports: [
      { service: "$JS.API.>"%s }
      { service: "whatsapp.>" }, { service: "whatsapp-checkpoint.*" }, { service: "whatsapp-quarantine.*" }
      %s
    ]
  }
  APP {
    users: [ { user: app, password: app } ]
    imports: [
      { service: { account: JS, subject: "$JS.API.>" }, to: "JS.acme.API.>" }
      { service: { account: JS, subject: "whatsapp.>" } }
      { service: { account: JS, subject: "whatsapp-checkpoint.*" } },
      { service: { account: JS, subject: "whatsapp-quarantine.*" } }
      %s
    ]
  }
}`, t.TempDir(), responses, exports, imports))
	importer = config(s.url())
	importer.APIPrefix, importer.Timeout = "JS.acme.API", 5*time.Second
	addStream(t, admin(s), openSink(t, importer, connector.ModeStructured).config.streamConfig(1))
	return s, owner, importer
}

func admin(s *testServer) string { return strings.Replace(s.url(), "nats://", "nats://js:js@", 1) }

// deliver takes the stream over, commits, and takes it over again like a restart, by direct gets and by a consumer.
func deliver(t *testing.T, c Config) {
	t.Helper()
	sink := openSink(t, c, connector.ModeStructured)
	findings, err := sink.Check(t.Context(), []connector.Claim{sinktest.Claim(stream, "one")})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		if f.Level == connector.FindingRefused {
			t.Fatalf("refused: %+v", f)
		}
	}
	log := openLog(t, sink, sinktest.Claim(stream, "one"))
	checkpoint := acquire(t, log).Checkpoint
	for range 4 {
		checkpoint = commit(t, log, checkpoint, sinktest.Events(log.claim.Stream, checkpoint.Sequence+1, 100))
	}
	for i, direct := range []bool{true, false} {
		claim := sinktest.Claim(stream, fmt.Sprint("restart ", i))
		claim.Window = 300
		again := openSink(t, c, connector.ModeStructured)
		k, err := again.connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.known(t.Context(), k, true); err != nil {
			t.Fatal(err)
		}
		again.mu.Lock()
		again.settings.direct = direct
		again.mu.Unlock()
		log := openLog(t, again, claim)
		state := acquire(t, log)
		if len(state.Seen) != 300 || state.Checkpoint.Sequence != checkpoint.Sequence {
			t.Fatalf("direct %v: %d events, sequence %d", direct, len(state.Seen), state.Checkpoint.Sequence)
		}
		checkpoint = commit(t, log, state.Checkpoint, sinktest.Events(claim.Stream, checkpoint.Sequence+1, 3))
	}
	// The same list under another name is found by a consumer.
	claim := sinktest.Claim("another", "one")
	claim.Stream.SourceKey = log.claim.Stream.SourceKey
	_, err = openLog(t, sink, claim).Acquire(t.Context())
	wantRefused(t, err, `under the name "`+stream+`"`)
}

func TestAccounts_streamedReplies(t *testing.T) {
	t.Parallel()
	s, _, c := accounts(t, ", response_type: stream")
	deliver(t, c)
	wantSequences(t, clientOf(t, admin(s)), stream, 406)
}

// TestAccounts_oneReply: with a plain service export the first start would work, but no restart. The check reports this
// at once, with an empty stream and with a full one, and a restart names it.
func TestAccounts_oneReply(t *testing.T) {
	t.Parallel()
	_, _, c := accounts(t, "")
	refused := func(when string) {
		t.Helper()
		findings, err := openSink(t, c, connector.ModeStructured).Check(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		last := findings[len(findings)-1]
		if last.Level != connector.FindingRefused || !strings.Contains(last.Hint, "response_type: stream") {
			t.Errorf("%s: %+v", when, findings)
		}
	}
	refused("before anything was written")
	claim := sinktest.Claim(stream, "one")
	log := openLog(t, openSink(t, c, connector.ModeStructured), claim)
	commit(t, log, acquire(t, log).Checkpoint, sinktest.Events(claim.Stream, 1, 400))
	refused("afterwards")
	claim.Instance, claim.Window = "two", 300
	restarted := openLog(t, openSink(t, c, connector.ModeStructured), claim)
	_, err := restarted.Acquire(t.Context())
	if !errors.Is(err, connector.ErrNotNow) { // it might have been a server that died while it answered
		t.Fatalf("got %v, want ErrNotNow", err)
	}
	_, err = restarted.Acquire(t.Context())
	wantRefused(t, err, "only the first of several replies", "response_type: stream")
}

// TestCheck_AServerThatFreezes: a server that freezes between two replies looks like one that withholds the second.
func TestCheck_AServerThatFreezes(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	p := startProxy(t, s.url())
	var frozen atomic.Bool
	freeze := func(said []byte) []byte {
		if frozen.Load() {
			return nil
		}
		frozen.Store(bytes.Contains(said, []byte("Idle Heartbeat")))
		return said
	}
	p.rewrite.Store(&freeze)
	c.URL = p.url()
	findings, err := openSink(t, c, connector.ModeStructured).Check(t.Context(), nil)
	if !frozen.Load() {
		t.Fatal("the server did not freeze")
	}
	if err == nil {
		t.Errorf("got %+v, want an error: the server cannot be reached", findings)
	}
}

// TestCheck_ALostAnswer: a lost answer is not a missing permission.
func TestCheck_ALostAnswer(t *testing.T) {
	t.Parallel()
	s, c := startStream(t)
	p := startProxy(t, s.url())
	var lost atomic.Bool
	lose := func(said []byte) []byte {
		if bytes.Contains(said, []byte("expected stream does not match")) && lost.CompareAndSwap(false, true) {
			return nil
		}
		return said
	}
	p.rewrite.Store(&lose)
	c.URL = p.url()
	findings, err := openSink(t, c, connector.ModeStructured).Check(t.Context(), nil)
	if err != nil || !lost.Load() {
		t.Fatalf("lost %v, %v", lost.Load(), err)
	}
	for _, f := range findings {
		if f.Level == connector.FindingRefused {
			t.Errorf("refused: %+v", f)
		}
	}
}

// TestAccounts_notImported names what is missing.
func TestAccounts_notImported(t *testing.T) {
	t.Parallel()
	_, _, c := accounts(t, ", response_type: stream")
	c.APIPrefix = "JS.other.API"
	findings, err := openSink(t, c, connector.ModeStructured).Check(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if last := findings[len(findings)-1]; last.Level != connector.FindingRefused ||
		!strings.Contains(last.Hint, "JS.other.API.>") {
		t.Errorf("%+v", findings)
	}
}

// TestLeafNode reaches the stream in the hub's domain through a leaf node that has a JetStream of its own.
func TestLeafNode(t *testing.T) {
	t.Parallel()
	port := freePorts(t, 1)[0]
	hub := configured(t, fmt.Sprintf(`
server_name: hub
listen: "127.0.0.1:-1"
jetstream { store_dir: %q, domain: hub }
leafnodes { listen: "127.0.0.1:%d" }`, t.TempDir(), port))
	leaf := configured(t, fmt.Sprintf(`
server_name: leaf
listen: "127.0.0.1:-1"
jetstream { store_dir: %q, domain: leaf }
leafnodes { remotes: [ { url: "nats-leaf://127.0.0.1:%d" } ] }`, t.TempDir(), port))
	c := config(leaf.url())
	c.Domain = "hub"
	sink := openSink(t, c, connector.ModeStructured)
	eventually(t, "the leaf node to join", func() bool {
		err := sink.Create(t.Context())
		if err != nil && !errors.Is(err, connector.ErrNotNow) {
			t.Fatal(err)
		}
		return err == nil
	})
	deliver(t, c)
	wantSequences(t, hub.client(t), stream, 406)
	if !strings.HasPrefix(sink.hints.edit("--ack"), "`nats --js-domain hub stream edit WHATSAPP") {
		t.Error(sink.hints.edit("--ack"))
	}
	// A domain that no server has may join later.
	c.Domain = "elsewhere"
	if _, err := openSink(t, c, connector.ModeStructured).Check(t.Context(), nil); err == nil ||
		!strings.Contains(err.Error(), "domain") {
		t.Errorf("got %v", err)
	}
}

func TestConfig_domainAndPrefix(t *testing.T) {
	for _, row := range []struct {
		domain, prefix string
		want           string // prefix of the API's subjects; empty if it is refused
	}{
		{"", "", "$JS.API."},
		{"hub", "", "$JS.hub.API."},
		{"", "JS.acme.API", "JS.acme.API."},
		{"", "$JS.acme.API", "$JS.acme.API."},
		{"hub", "JS.acme.API", ""},
		{"a.b", "", ""},
		{"", "JS.acme.API.>", ""},
		{"", "JS..API", ""},
	} {
		c := config("nats://127.0.0.1")
		c.Domain, c.APIPrefix = row.domain, row.prefix
		findings := c.Validate()
		if (len(findings) > 0) != (row.want == "") || row.want != "" && c.api() != row.want {
			t.Errorf("%+v: %q, %+v", row, c.api(), findings)
		}
	}
}

// TestAccounts_members: announcements are imported like events, or a refusal names what to import, although whoever
// listens keeps the server from saying that nobody takes them.
func TestAccounts_members(t *testing.T) {
	t.Parallel()
	s, _, c := accounts(t, ", response_type: stream")
	c.Timeout = time.Second
	sink := openSink(t, c, connector.ModeStructured)
	wantWarning(t, sink, "import the service whatsapp-members.* of the stream's account too")
	listening, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sink.HearMembers(listening, func(string, bool) {}) }()
	var err error
	for range silencesBorne + 2 {
		bounded, end := context.WithTimeout(t.Context(), 300*time.Millisecond) // as the caller does
		err = sink.AnnounceMember(bounded, member)
		end()
		wantMembers(t, sink)
	}
	stop()
	wantRefused(t, err, "import the service whatsapp-members.*")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.stop()

	_, _, c = accounts(t, ", response_type: stream", "whatsapp-members.*")
	sink = openSink(t, c, connector.ModeStructured)
	wantWarning(t, sink, "")
	notices := hear(t, sink)
	announce(t, sink, member)
	if got := next(t, notices); got != (notice{member, false}) {
		t.Errorf("heard %+v", got)
	}
	wantMembers(t, sink, member)
}
