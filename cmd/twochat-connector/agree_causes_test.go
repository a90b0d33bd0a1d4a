package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// agreeOnCauses are set-ups for which check and run have to name the same cause, with the same hint.
func agreeOnCauses(t *testing.T) []agreement {
	cert, key := sinktest.SelfSigned(t, time.Now().Add(-time.Minute))
	other, _ := sinktest.SelfSigned(t, time.Now().Add(-time.Minute))
	old, oldKey := sinktest.SelfSigned(t, time.Now().Add(-48*time.Hour))
	plain := natsAt(t, "jetstream { store_dir: STORE }")
	secure := natsAt(t, "jetstream { store_dir: STORE }\ntls { cert_file: '"+cert+"', key_file: '"+key+"' }")
	mutual := natsAt(t, "jetstream { store_dir: STORE }\ntls { cert_file: '"+cert+"', key_file: '"+key+"', ca_file: '"+
		cert+"', verify: true }")
	expired := natsAt(t, "jetstream { store_dir: STORE }\ntls { cert_file: '"+old+"', key_file: '"+oldKey+"' }")
	locked := natsAt(t, "jetstream { store_dir: STORE }\nauthorization { token: other }")
	_, kafka := fakeKafka(t)
	at := func(url, scheme string) string { return scheme + url[strings.Index(url, "://"):] }
	sink := func(url, more string, says ...string) func(*setup) {
		return func(s *setup) {
			s.sink, s.says = "jetstream: { url: '"+url+"', stream: CAUSE, subject: cause, create: true"+more+" }", says
		}
	}
	core := func(url, more string, says ...string) func(*setup) {
		return func(s *setup) {
			s.sink, s.says = "nats: { url: '"+url+"', subject: cause, state: "+filepath.Join(s.dir, "state")+more+" }", says
		}
	}
	withFile := func(content string, set func(path string) func(*setup)) func(*setup) {
		return func(s *setup) {
			s.put("secret", content)
			set(filepath.Join(s.dir, "secret"))(s)
		}
	}
	list := []agreement{
		{"NATS, credentials that are none", false, withFile("hello\n", func(path string) func(*setup) {
			return sink(plain, ", creds_file: "+path, "does not contain NATS credentials",
				"into the file that sink.jetstream.creds_file names")
		})},
		{"NATS, credentials missing", false, sink(plain, ", creds_file: /nowhere/creds", "no such file or directory",
			"the file's path into sink.jetstream.creds_file")},
		{"NATS, seed that is none", false, withFile("hello\n", func(path string) func(*setup) {
			return sink(plain, ", nkey_file: "+path, "does not contain the seed of a user's nkey",
				"into the file that sink.jetstream.nkey_file names")
		})},
		{"NATS, authority that is none", false, withFile("hello\n", func(path string) func(*setup) {
			return sink(at(secure, "tls"), ", tls: { ca_file: "+path+" }", "there is no certificate in it",
				"into the file that sink.jetstream.tls.ca_file names")
		})},
		{"NATS, other authority", false, sink(at(secure, "tls"), ", tls: { ca_file: "+other+" }",
			"not signed by an authority in the file of sink.jetstream.tls.ca_file")},
		{"NATS, authority not known", false, sink(at(secure, "tls"), "", "not signed by an authority that this machine trusts",
			"into sink.jetstream.tls.ca_file")},
		{"NATS, TLS spoken to in clear", false, sink(at(secure, "nats"), "",
			"not signed by an authority that this machine trusts", "into sink.jetstream.tls.ca_file")},
		{"NATS, other name in the certificate", false, sink(at(secure, "tls"),
			", tls: { ca_file: "+cert+", server_name: other.example }", "is for another name",
			"into sink.jetstream.tls.server_name")},
		{"NATS, certificate out of date", false, sink(at(expired, "tls"), ", tls: { ca_file: "+old+" }",
			"its certificate has expired", "renew the server's certificate")},
		{"NATS, certificate of ours wanted", false, sink(at(mutual, "tls"), ", tls: { ca_file: "+cert+" }",
			"it requires a client certificate", "name them in sink.jetstream.tls.cert_file")},
		{"NATS, certificate of ours not taken", false, func(s *setup) {
			mine, private := sinktest.SelfSigned(s.t, time.Now().Add(-time.Minute))
			sink(at(mutual, "tls"), ", tls: { ca_file: "+cert+", cert_file: "+mine+", key_file: "+private+" }",
				"it does not accept the certificate of sink.jetstream.tls.cert_file")(s)
		}},
		{"NATS in clear spoken to with TLS", false, sink(at(plain, "tls"), "",
			"it does not speak TLS, which the configuration requires", "write nats:// in sink.jetstream.url")},
		{"NATS wants credentials", false, sink(locked, "", "it requires credentials, but none are configured",
			"sink.jetstream.token_file")},
		{"NATS refuses a token", false, withFile("wrong\n", func(path string) func(*setup) {
			return sink(locked, ", token_file: "+path, "it refuses the credentials of sink.jetstream.token_file",
				"write valid ones")
		})},
		{"NATS under a name that does not resolve", false, sink("nats://nobody.invalid:4222", "",
			"its name does not resolve", "correct the host in sink.jetstream.url")},
		{"NATS, unknown domain", false, sink(plain, ", domain: hub", "JetStream domain hub: it does not answer",
			"`sink.jetstream.domain`")},
		{"NATS, API that is not imported", false, sink(plain, ", api_prefix: JS.hub.API", "this account does not import it")},
		{"core NATS, other authority", false, core(at(secure, "tls"), ", tls: { ca_file: "+other+" }",
			"in the file of sink.nats.tls.ca_file")},
		{"core NATS, credentials that are none", false, withFile("hello\n", func(path string) func(*setup) {
			return core(plain, ", creds_file: "+path, "into the file that sink.nats.creds_file names")
		})},
		{"Kafka in clear spoken to with TLS", false, func(s *setup) {
			s.sink, s.says = "kafka: { brokers: ['"+kafka+"'], tls: { enabled: true } }",
				[]string{"does not answer a TLS handshake", "remove sink.kafka.tls"}
		}},
		{"Kafka that speaks no Kafka", false, func(s *setup) {
			s.sink, s.says = "kafka: { brokers: ['"+strings.TrimPrefix(plain, "nats://")+"'] }",
				[]string{"does not speak Kafka", "sink.kafka.brokers"}
		}},
		{"Kafka, authority missing", false, func(s *setup) {
			s.sink = "kafka: { brokers: ['" + kafka + "'], tls: { enabled: true, ca_file: /nowhere/ca.pem } }"
			s.says = []string{"no such file or directory", "the file's path into sink.kafka.tls.ca_file"}
		}},
		{"embedded, address of another NATS server", false, func(s *setup) {
			s.sink = "embedded: { listen: '" + strings.TrimPrefix(plain, "nats://") + "', dir: " + filepath.Join(s.dir,
				"data") + " }"
			s.says = []string{"another NATS server is running there (version ", "`sink.jetstream.url: " + plain + "`"}
		}},
		{"embedded, address of something else", false, func(s *setup) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				s.t.Error(err)
				return
			}
			s.finished = append(s.finished, func() { _ = listener.Close() })
			s.sink = "embedded: { listen: '" + listener.Addr().String() + "', dir: " + filepath.Join(s.dir, "data") + " }"
			s.says = []string{"the embedded NATS server cannot listen there: address already in use"}
		}},
		{"configuration in latin-1", false, func(s *setup) {
			s.change("start:", "# caf\xe9\nstart:")
			s.says = []string{"config.yaml:5: expected UTF-8"}
		}},
		{"configuration in UTF-16 without a mark", false, func(s *setup) {
			s.write()
			content, err := os.ReadFile(filepath.Join(s.dir, "config.yaml"))
			if err != nil {
				s.t.Error(err)
			}
			var wide []byte
			for _, unit := range utf16.Encode([]rune(string(content))) {
				wide = append(wide, byte(unit), byte(unit>>8))
			}
			s.text = string(wide)
			s.says = []string{"config.yaml:1: expected UTF-8, found NUL characters"}
		}},
		{"no privacy key, told once", false, func(s *setup) {
			s.change("admin:", "privacy: { identifiers: pseudonymous, key_file: "+filepath.Join(s.dir, "missing")+" }\nadmin:")
			s.says = []string{"privacy.key_file: " + filepath.Join(s.dir, "missing") + ": no such file or directory"}
		}},
		{"JetStream stream purged, and begun anew", true, purgedStream(plain, "purged", true)},
		{"JetStream stream purged", false, purgedStream(plain, "emptied", false)},
		{"plan spent, and stop", false, func(s *setup) {
			fake := twochattest.New(twochattest.Options{
				Seed: 34, History: 3, Key: testKey, RequestsPerMinute: 600_000,
				Credits: 5000,
			})
			server := httptest.NewServer(fake)
			fake.Consume(5000)
			s.finished, s.api = append(s.finished, server.Close), server.URL
			s.change("monthly_credits: 1000000000", "monthly_credits: 1000, when_spent: stop")
			s.says = []string{"all 5000 calls of the account's plan are used", "get a larger plan at 2Chat"}
		}},
	}
	waiting := answering("server asks to wait", false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusServiceUnavailable)
	}, nil)
	asked := waiting.set
	waiting.set = func(s *setup) {
		asked(s)
		s.says = []string{"the server has a problem", "2Chat asked to wait 10m0s"}
	}
	list = append(list, waiting)
	for name, status := range map[string]int{"key refused": 403, "key wrong": 401, "credits spent": 402} {
		blocked := answering("account blocked, "+name, false, says(status, `{"detail":"no"}`),
			says(200, `{"success":true,"account":{"blocked":true},"limits":{"requests_per_minute":6000},"usage":{}}`))
		set := blocked.set
		blocked.set = func(s *setup) {
			set(s)
			s.says = []string{"2Chat says that the account is blocked", quota.BlockedHint}
		}
		list = append(list, blocked)
	}
	return list
}

// purgedStream is a JetStream stream that was purged by hand after events were written to it. Its window forgets ids
// within moments.
func purgedStream(url, name string, anew bool) func(*setup) {
	return func(s *setup) {
		s.sink = "jetstream: { url: '" + url + "', stream: " + strings.ToUpper(name) + ", subject: " + name +
			", create: true }"
		s.runOnce()
		conn, err := natsgo.Connect(url)
		if err != nil {
			s.t.Error(err)
			return
		}
		defer conn.Close()
		js, err := jetstream.New(conn)
		if err != nil {
			s.t.Error(err)
			return
		}
		stream, err := js.Stream(s.t.Context(), strings.ToUpper(name))
		if err != nil {
			s.t.Error(err)
			return
		}
		config := stream.CachedInfo().Config
		config.Duplicates = 5 * time.Second
		if _, err := js.UpdateStream(s.t.Context(), config); err != nil {
			s.t.Error(err)
		}
		if err := stream.Purge(s.t.Context()); err != nil {
			s.t.Error(err)
		}
		if anew {
			s.words, s.says = []string{"--first-start=40"},
				[]string{"it remembers the ids of messages that were removed from it"}
			return
		}
		s.says = []string{
			"it was purged: it has held", "--first-start=all:",
			"once its duplicate window of 5s has passed",
		}
	}
}

// If the embedded server's folder belongs to nobody, whatever answers at its address belongs to somebody else, and is
// not asked for anything.
func TestCheck_ASinkOfSomebodyElse(t *testing.T) {
	other := natsAt(t, "jetstream { store_dir: STORE }")
	_, url := fakeAPI(t, twochattest.Options{Seed: 35, History: 3})
	path := configure(t, url, "embedded: { listen: '"+strings.TrimPrefix(other,
		"nats://")+"', dir: "+filepath.Join(t.TempDir(), "data")+" }")
	code, out, _ := finish(t, "check", "--config", path)
	if n := strings.Count(out, "refused"); code != cli.ExitWrong || n != 2 || !strings.Contains(out,
		"One thing is refused") || strings.Contains(out, "WHATSAPP") {
		t.Errorf("it ends with %d, and says:\n%s", code, out)
	}
}
