package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/admin"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// setup is a set-up that may be broken: a configuration in a folder of its own, and the arguments it is started with.
type setup struct {
	t        *testing.T
	dir, api string
	text     string // the configuration
	sink     string
	words    []string
	env      []string
	hear     func(io.Writer) // receives the libraries' log if not nil
	says     []string        // what both check and run have to print
	shown    string          // the last answer of /readyz of run
	finished []func()
}

// write makes the configuration and returns its path.
func (s *setup) write() string {
	text := s.text
	if text == "" {
		text = fmt.Sprintf("twochat:\n  base_url: %s\n  api_key_file: %s\n  streams: [{ number: %q, name: support }]\nstart: beginning\n"+
			"poll: { min_interval: 1s, max_interval: 1s, timeout: 1s, monthly_credits: 1000000000 }\nadmin: { listen: '127.0.0.1:0' }\nsink:\n  %s\n",
			s.api, filepath.Join(s.dir, "key"), twochattest.DefaultNumber, s.sink)
	}
	path := filepath.Join(s.dir, "config.yaml")
	s.put("config.yaml", text)
	return path
}

func (s *setup) put(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// change replaces a part of the configuration.
func (s *setup) change(from, to string) {
	s.t.Helper()
	s.write()
	content, err := os.ReadFile(filepath.Join(s.dir, "config.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(string(content), from) {
		s.t.Fatalf("the configuration lacks %q", from)
	}
	s.text = strings.ReplaceAll(string(content), from, to)
}

// command runs a command line until it ends or the context does.
func (s *setup) command(ctx context.Context, args ...string) *running {
	r := &running{t: s.t, ended: make(chan struct{})}
	ctx, r.stop = context.WithCancel(ctx)
	go func() {
		defer close(r.ended)
		r.code = run(ctx, &cli.Program{Env: s.env, In: strings.NewReader(""), Out: &r.out, Err: &r.err, StandardLog: s.hear},
			args)
	}()
	return r
}

// runOnce lets the connector read and deliver, and stops it, so that the sink already holds events.
func (s *setup) runOnce() {
	s.t.Helper()
	if ready, r := s.starts(true, time.Minute); !ready {
		s.t.Fatalf("the former instance does not start: %s", r.err.String())
	}
}

// starts runs the connector, and reports whether it becomes ready in time.
func (s *setup) starts(wanted bool, within time.Duration) (bool, *running) {
	ctx, cancel := context.WithTimeout(s.t.Context(), within)
	defer cancel()
	r := s.command(s.t.Context(), append([]string{"run", "--config", s.write()}, s.words...)...)
	defer func() { r.stop(); <-r.ended }()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-r.ended:
			return false, r
		case <-ctx.Done():
			return false, r
		case <-ticker.C:
		}
		server := r.logged("started", "admin")
		if server == "" {
			continue
		}
		if body, err := tryGet(server + "/readyz"); err == nil {
			s.shown = body
		}
		if readsAndDelivers(ctx, server) {
			return true, r
		}
	}
}

// readsAndDelivers reports whether an instance is ready, and has read each list down to what is delivered.
func readsAndDelivers(ctx context.Context, server string) bool {
	var r pipeline.Report
	body, err := admin.Target{URL: server, Where: server}.Ask(ctx)
	if err != nil || json.Unmarshal(body, &r) != nil || !r.Ready {
		return false
	}
	return !slices.ContainsFunc(r.Streams, func(s pipeline.StreamReport) bool { return s.LastSuccessfulPoll.IsZero() })
}

// notReady is how long run is watched if check refuses the set-up. A correct set-up is ready within two seconds.
const notReady = 4 * time.Second

// If check says ready, the set-up runs, and otherwise it does not. The set-ups are broken in every known way, and some
// are correct.
func TestCheck_AgreesWithRun(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	_, wellURL := fakeAPI(t, twochattest.Options{Seed: 31, History: 30})
	cases := slices.Concat(agreeOnConfiguration(), agreeOnAPI(), agreeOnFiles(), agreeOnNATS(t), agreeOnKafka(t),
		agreeOnCauses(t))
	if len(cases) < 40 {
		t.Fatalf("only %d set-ups", len(cases))
	}
	seen := map[string]bool{}
	var wait sync.WaitGroup
	slots := make(chan struct{}, 12)
	for _, c := range cases {
		if seen[c.name] {
			t.Fatalf("two set-ups are called %s", c.name)
		}
		seen[c.name] = true
		dir := t.TempDir()
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			s := &setup{t: t, dir: dir, api: wellURL, sink: "file: { path: " + filepath.Join(dir, "events.jsonl") + " }"}
			s.put("key", testKey+"\n")
			c.set(s)
			s.agree(c.name, c.ready)
		})
	}
	wait.Wait()
	t.Logf("%d set-ups", len(cases))
}

func (s *setup) agree(name string, ready bool) {
	defer func() {
		for _, finish := range slices.Backward(s.finished) {
			finish()
		}
	}()
	check := s.command(s.t.Context(), append([]string{"check", "--config", s.write()}, s.words...)...)
	<-check.ended
	said := check.code == cli.ExitFine
	if said != strings.Contains(check.out.String(), "Ready to run") {
		s.t.Errorf("%s: check ends with %d, and says: %s", name, check.code, check.out.String())
	}
	if !said && check.code != cli.ExitWrong && check.code != cli.ExitUsage {
		s.t.Errorf("%s: check ends with %d: %s", name, check.code, check.err.String())
	}
	for line := range strings.Lines(check.out.String()) {
		if strings.HasPrefix(line, "refused") && !strings.Contains(check.out.String(), line+"         → ") {
			s.t.Errorf("%s: a refusal without a hint: %s", name, line)
		}
	}
	within := notReady
	if said || ready {
		within = 40 * time.Second
	}
	runs, r := s.starts(ready, within)
	if said != runs || said != ready {
		s.t.Errorf("%s: check says ready %t, run is ready %t, expected %t\ncheck: %s%s\nrun (%d): %.1500s",
			name, said, runs, ready, check.out.String(), check.err.String(), r.code, r.err.String())
	}
	all := check.out.String() + check.err.String()
	for _, words := range s.says {
		if !strings.Contains(all, words) || !strings.Contains(r.err.String()+s.shown, words) {
			s.t.Errorf("%s: both have to say %q\ncheck: %s\nrun: %.2500s\nreadyz: %s", name, words, all, r.err.String(), s.shown)
		}
	}
	s.tellsOnce(name, check.out.String())
	wantKeys(s.t, name, all+r.err.String()+s.shown)
	for _, text := range []string{"*fmt.", "*errors.", "*net.", "%!"} {
		if all := check.out.String() + check.err.String() + r.err.String(); strings.Contains(all, text) {
			s.t.Errorf("%s: %s is shown: %s", name, text, all)
		}
	}
}

// tellsOnce fails the test if one key of the configuration is refused twice: that is one fault.
func (s *setup) tellsOnce(name, said string) {
	seen := map[string]bool{}
	for line := range strings.Lines(said) {
		refused, ok := strings.CutPrefix(line, "refused")
		thing, _, _ := strings.Cut(strings.TrimSpace(refused), ": ")
		ok = ok && keySaid.FindString(thing) == thing
		if ok && seen[thing] {
			s.t.Errorf("%s: %s is refused twice:\n%s", name, thing, said)
		}
		seen[thing] = seen[thing] || ok
	}
}

// wantKeys checks that each sink key named in a text exists. Hints are put together at run time, so no test of the
// source can check them.
func wantKeys(t *testing.T, name, text string) {
	t.Helper()
	for _, key := range regexp.MustCompile(`\bsink\.[a-z]+\.[a-z_]+(\.[a-z_]+)?`).FindAllString(text, -1) {
		known := slices.ContainsFunc(config.Reference(), func(k config.Key) bool {
			return k.Path == key ||
				strings.HasPrefix(k.Path, key+".")
		})
		if !known {
			t.Errorf("%s: it names the key %s, which is not there", name, key)
		}
	}
}

type agreement struct {
	name  string
	ready bool
	set   func(s *setup)
}

// changed is a set-up whose configuration has one part replaced.
func changed(name, from, to string) agreement {
	return agreement{name, false, func(s *setup) { s.change(from, to) }}
}

func agreeOnConfiguration() []agreement {
	return []agreement{
		{"well", true, func(*setup) {}},
		changed("unknown key", "start:", "starts:"),
		changed("no stream", "[{ number: \""+twochattest.DefaultNumber+"\", name: support }]", "[]"),
		changed("overlapping streams", "name: support }]", "name: support }, { number: \""+twochattest.DefaultNumber+
			"\", remote: \"+15550100777\", name: other }]"),
		changed("number without plus", "\"+1555", "\"1555"),
		changed("clear text to 2Chat", "base_url: http://127.0.0.1", "base_url: http://192.0.2.1"),
		changed("small memory", "admin:", "seen: { capacity: 10 }\nadmin:"),
		changed("pseudonymous without a key", "admin:", "privacy: { identifiers: pseudonymous }\nadmin:"),
		changed("admin address of nobody", "127.0.0.1:0", "192.0.2.1:0"),
		changed("admin name of nobody", "127.0.0.1:0", "nobody.invalid:0"),
		changed("two sinks", "sink:\n", "sink:\n  stdout: {}\n"),
		changed("one broker with credentials in clear", "sink:\n",
			"sink:\n  kafka: { brokers: ['192.0.2.1:9092'], sasl: { mechanism: plain, username: u, password_file: key } }\nx:\n"),
		{"no file", false, func(s *setup) { s.text = " " }},
		{"admin address in use", false, func(s *setup) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				s.t.Error(err)
				return
			}
			s.finished = append(s.finished, func() { _ = listener.Close() })
			s.change("127.0.0.1:0", listener.Addr().String())
		}},
		{"no key file", false, func(s *setup) { s.change(filepath.Join(s.dir, "key"), filepath.Join(s.dir, "missing")) }},
		{"empty key file", false, func(s *setup) { s.put("key", "\n") }},
		{"key in quotes", false, func(s *setup) { s.put("key", `"`+testKey+`"`) }},
		{"key from Windows", true, func(s *setup) { s.put("key", "\xef\xbb\xbf"+testKey+"\r\n") }},
		{"key in UTF-16 without a mark", false, func(s *setup) { s.put("key", "U\x00A\x00") }},
		{"folder for a key file", false, func(s *setup) { s.change(filepath.Join(s.dir, "key"), s.dir) }},
		{"key in the environment", true, func(s *setup) {
			s.env = []string{"TWOCHAT_API_KEY=" + testKey + "\n"}
			s.put("key", "")
		}},
		{"short admin token", false, func(s *setup) {
			s.put("token", "0123456789abcde")
			s.change("admin: {", "admin: { token_file: "+filepath.Join(s.dir, "token")+",")
		}},
		{"no admin token", false, func(s *setup) {
			s.change("admin: {", "admin: { token_file: "+filepath.Join(s.dir, "missing")+",")
		}},
		{"admin certificate of nobody", false, func(s *setup) {
			s.put("tls", "hello")
			file := filepath.Join(s.dir, "tls")
			s.change("admin: {", "admin: { tls: { cert_file: "+file+", key_file: "+file+" },")
		}},
		{"short privacy key", false, func(s *setup) {
			s.put("secret", "short")
			s.change("admin:", "privacy: { identifiers: pseudonymous, key_file: "+filepath.Join(s.dir, "secret")+" }\nadmin:")
		}},
		{"no privacy key", false, func(s *setup) {
			s.change("admin:", "privacy: { identifiers: pseudonymous, key_file: "+filepath.Join(s.dir, "missing")+" }\nadmin:")
		}},
	}
}

// answering is an API that behaves wrongly.
func answering(name string, ready bool, pages, info http.HandlerFunc) agreement {
	return agreement{name, ready, func(s *setup) {
		fake := twochattest.New(twochattest.Options{Seed: 32, History: 30, Key: testKey, RequestsPerMinute: 600_000})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			handler := pages
			if strings.HasPrefix(r.URL.Path, "/open/info") {
				handler = info
			}
			if handler != nil {
				handler(w, r)
				return
			}
			fake.ServeHTTP(w, r)
		}))
		s.finished = append(s.finished, server.Close)
		s.api = server.URL
		if ready { // at ten calls a minute, reading a list to its end takes long
			s.change("poll: {", "poll: { requests_per_minute: 6000,")
		}
	}}
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func agreeOnAPI() []agreement {
	detail := `{"detail":"no"}`
	return []agreement{
		answering("wrong key", false, says(401, detail), says(401, detail)),
		answering("key without rights", false, says(403, detail), nil),
		answering("number not connected", false, says(404, detail), nil),
		answering("no credits", false, says(402, detail), nil),
		answering("server broken", false, says(503, detail), nil),
		answering("web pages", false, says(200, "<html></html>"), nil),
		answering("another API", false, says(200, `{"success":true,"page_number":7,"messages":[]}`), says(404, detail)),
		answering("redirects", false, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, nil),
		answering("too many requests for ever", false, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(http.StatusTooManyRequests)
		}, nil),
		answering("no word of the account", true, nil, says(404, detail)),
		answering("the account's word broken", true, nil, says(500, "")),
		answering("the account's word forbidden", true, nil, says(403, detail)),
		answering("account blocked", false, nil,
			says(200, `{"success":true,"account":{"blocked":true},"limits":{},"usage":{}}`)),
		{"nobody at the API's address", false, func(s *setup) { s.api = "http://" + clitest.ClosedPort(s.t) }},
		{"an address that only accepts", false, func(s *setup) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				s.t.Error(err)
				return
			}
			s.finished = append(s.finished, func() { _ = listener.Close() })
			s.api = "http://" + listener.Addr().String()
		}},
		{"budget spent, and stop", false, func(s *setup) {
			fake := twochattest.New(twochattest.Options{Seed: 33, History: 3, Key: testKey, RequestsPerMinute: 600_000})
			server := httptest.NewServer(fake)
			fake.Consume(2000)
			s.finished, s.api = append(s.finished, server.Close), server.URL
			s.change("monthly_credits: 1000000000", "monthly_credits: 1000, when_spent: stop")
		}},
	}
}
