package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks"
)

const testKey = "UAK-canary-0f9c2f5e"

// fakeAPI starts a fake 2Chat with the test's key and a rate that slows nobody down.
func fakeAPI(t *testing.T, o twochattest.Options) (*twochattest.Fake, string) {
	t.Helper()
	o.Key = testKey
	if o.RequestsPerMinute == 0 {
		o.RequestsPerMinute = 600_000
	}
	fake := twochattest.New(o)
	server, err := fake.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return fake, server.URL
}

// configure writes a configuration with at most two streams, the admin server on a free port, and the given sink.
func configure(t *testing.T, baseURL, sink string, more ...string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(testKey+"\n"), 0o400); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("twochat:\n  base_url: %s\n  api_key_file: %s\n  streams: [{ number: %q, name: support }]\nstart: beginning\npoll: { min_interval: 1s, max_interval: 1s, monthly_credits: 1000000000 }\nadmin: { listen: '127.0.0.1:0' }\nsink:\n  %s\n%s\n",
		baseURL, filepath.Join(dir, "key"), twochattest.DefaultNumber, sink, strings.Join(more, "\n"))
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// running is a command that runs inside the test.
type running struct {
	t        *testing.T
	out, err clitest.Output
	stop     context.CancelFunc
	ended    chan struct{}
	code     int
}

// start runs a command line in the background. The test's end stops it and waits for it.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	return startWith(t, nil, args...)
}

// startWith is start with an environment.
func startWith(t *testing.T, env []string, args ...string) *running {
	t.Helper()
	return startOn(t, 0, env, args...)
}

// startOn is startWith on a terminal of so many columns; 0 for any number.
func startOn(t *testing.T, columns int, env []string, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, stop: stop, ended: make(chan struct{})}
	r.out.Width, r.err.Width = columns, columns
	go func() {
		defer close(r.ended)
		r.code = run(ctx, &cli.Program{
			Env: env, In: strings.NewReader(""), Out: &r.out, Err: &r.err,
			StandardLog: log.SetOutput,
		}, args)
	}()
	t.Cleanup(func() {
		r.end()
		if t.Failed() {
			t.Logf("%s ended with %d\nstdout: %.4000s\nstderr: %.8000s", args[0], r.code, r.out.String(), r.err.String())
		}
	})
	return r
}

// end stops the command as a signal would, and returns its exit code.
func (r *running) end() int {
	r.stop()
	return r.wait()
}

func (r *running) wait() int {
	r.t.Helper()
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	select {
	case <-r.ended:
		return r.code
	case <-timer.C:
		r.t.Fatalf("the command does not end; stderr: %s", r.err.String())
		return -1
	}
}

// finish runs a command line to its end.
func finish(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	r := start(t, args...)
	code = r.wait()
	return code, r.out.String(), r.err.String()
}

// terminalColumns are those of a terminal that somebody opens.
const terminalColumns = 80

// finishAtTerminal is finish at a terminal of 80 columns. It fails the test if a line is wider.
func finishAtTerminal(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	r := startOn(t, terminalColumns, nil, args...)
	code = r.wait()
	out, errOut = r.out.String(), r.err.String()
	wantFits(t, strings.Join(args, " "), out+errOut)
	return code, out, errOut
}

// wantFits wants no line of a text to be wider than a terminal, but for one that ends in a word that is too wide for it: a
// command to copy, a path or a URL. Lines of JSON, such as a log's or an item's, are no prose.
func wantFits(t *testing.T, what, said string) {
	t.Helper()
	for line := range strings.Lines(said) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(strings.TrimSpace(line), "{") {
			continue
		}
		if text.Fit(line, terminalColumns) != line {
			t.Errorf("%s prints a line of %d columns: %s", what, text.Width(line), line)
		}
	}
}

// until waits for something to become true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.Now().Add(20 * time.Second)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		<-ticker.C
	}
}

// logged returns the attribute of the first log line with a message, or "" if there is none yet.
func (r *running) logged(message, attribute string) string {
	lines := bufio.NewScanner(strings.NewReader(r.err.String()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line map[string]any
		if json.Unmarshal(lines.Bytes(), &line) == nil && line["msg"] == message {
			return fmt.Sprint(line[attribute])
		}
	}
	return ""
}

func (r *running) admin() string {
	r.t.Helper()
	until(r.t, "the start line", func() bool { return r.logged("started", "admin") != "" })
	return r.logged("started", "admin")
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	client := http.Client{Transport: transport, Timeout: 10 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// tryGet asks the admin server, which may not run yet, or may have stopped.
func tryGet(url string) (body string, err error) { return tryGetWith("", url) }

// tryGetWith is tryGet with a token, unless the token is empty.
func tryGetWith(token, url string) (body string, err error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// over reports whether the command has ended.
func (r *running) over() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// auditFile compares a file of events with what the fake has listed.
func auditFile(t *testing.T, fake *twochattest.Fake, path string) twochattest.Report {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	a := twochattest.Audit{Compact: true}
	for line := range bytes.Lines(content) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // still being written
		}
		if err := a.SeeCloudEvent(line); err != nil {
			t.Fatal(err)
		}
	}
	return a.Report(fake.Truth(""))
}

func wantCode(t *testing.T, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("exit code %d, want %d", got, want)
	}
}

func replace(t *testing.T, path, from, to string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(content, []byte(from)) {
		t.Fatalf("%s lacks %q", path, from)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(content, []byte(from), []byte(to)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// embeddedServer runs a JetStream server and returns its URL.
func embeddedServer(t *testing.T) string {
	t.Helper()
	address := clitest.ClosedPort(t)
	embeddedServerAt(t, address)
	return "nats://" + address
}

func embeddedServerAt(t *testing.T, address string) {
	t.Helper()
	c := *sinks.Defaults().Embedded
	c.Listen, c.Dir = address, t.TempDir()
	sink, err := sinks.Open(sinks.Config{Embedded: &c}, connector.Encoding{
		Mode:       connector.ModeStructured,
		TypePrefix: "co.2chat.whatsapp",
	}, cli.QuietLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sink.Close(); err != nil {
			t.Error(err)
		}
	})
}
