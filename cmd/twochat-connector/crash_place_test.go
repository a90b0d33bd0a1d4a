//go:build linux

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/demo"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// place is a broker in a process of its own, on which a test inflicts faults.
type place interface {
	// start starts it with the data it had, and waits until it answers.
	start(t *testing.T)
	// kill is kill -9; pause and resume are SIGSTOP and SIGCONT.
	kill(t *testing.T)
	pause(t *testing.T)
	resume(t *testing.T)
	// sink returns the section `sink` of the connector's configuration.
	sink() string
	// read returns all events in the broker by the name of their stream, in the order of each log. It uses another client
	// than the one that wrote them.
	read(t *testing.T) map[string][]json.RawMessage
	// logs names the broker's log files.
	logs() []string
}

// natsPlace is nats-server with JetStream, which syncs every write to disk: one process, or a cluster in which faults
// hit one server at a time.
type natsPlace struct {
	binary, folder string
	options        string // more keys of the connector's section sink.jetstream
	ports          []int
	processes      []*process
	victim         int
}

func newNATSPlace(t *testing.T, binary, options string) *natsPlace {
	return newNATSCluster(t, binary, options, 1)
}

func newNATSCluster(t *testing.T, binary, options string, servers int) *natsPlace {
	t.Helper()
	p := &natsPlace{binary: binary, folder: t.TempDir(), options: options, processes: make([]*process, servers)}
	var routes []string
	for range servers {
		p.ports = append(p.ports, sinktest.FreePorts(t, 1))
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", sinktest.FreePorts(t, 1)))
	}
	for i, port := range p.ports {
		config := fmt.Sprintf("server_name: n%d\nlisten: 127.0.0.1:%d\nmax_payload: 4MB\njetstream: { store_dir: %q, sync_interval: always }\n",
			i+1, port, filepath.Join(p.folder, fmt.Sprint(i+1)))
		if servers > 1 {
			config += fmt.Sprintf("cluster: { name: three, listen: %q, routes: [%s] }\n",
				strings.TrimPrefix(routes[i], "nats://"), strings.Join(routes, ", "))
		}
		if err := os.WriteFile(p.config(i), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, process := range p.processes {
			process.kill()
		}
	})
	return p
}

func (p *natsPlace) config(i int) string {
	return filepath.Join(p.folder, fmt.Sprintf("nats-%d.conf", i+1))
}

func (p *natsPlace) url() string {
	var urls []string
	for _, port := range p.ports {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	return strings.Join(urls, ",")
}

func (p *natsPlace) logs() []string {
	var logs []string
	for i := range p.ports {
		logs = append(logs, filepath.Join(p.folder, fmt.Sprintf("nats-%d.log", i+1)))
	}
	return logs
}

func (p *natsPlace) sink() string {
	return fmt.Sprintf("jetstream: { url: %q, create: true%s }", p.url(), p.options)
}

func (p *natsPlace) start(t *testing.T) {
	t.Helper()
	for i, process := range p.processes {
		if !process.running() {
			p.processes[i] = launch(t, p.logs()[i], nil, p.binary, "-c", p.config(i))
		}
	}
	if !eventually(t.Context(), 30*time.Second, func() bool {
		js, closeConn, err := p.dial()
		if err != nil {
			return false
		}
		defer closeConn()
		_, err = js.AccountInfo(t.Context())
		return err == nil
	}) {
		t.Fatalf("nats-server does not start:\n%s", tail(p.logs()[0], 20))
	}
}

// kill and pause hit the servers in turn.
func (p *natsPlace) kill(*testing.T) {
	p.victim = (p.victim + 1) % len(p.processes)
	p.processes[p.victim].kill()
}

func (p *natsPlace) pause(*testing.T) {
	p.victim = (p.victim + 1) % len(p.processes)
	p.processes[p.victim].signal(syscall.SIGSTOP)
}

func (p *natsPlace) resume(*testing.T) { p.processes[p.victim].signal(syscall.SIGCONT) }

// forgetIDs makes the server forget message ids at once. While the server remembers them, they hide most duplicates
// that a missing guard would write.
func (p *natsPlace) forgetIDs(t *testing.T) {
	t.Helper()
	p.edit(t, func(c *jetstream.StreamConfig) { c.Duplicates = 100 * time.Millisecond })
}

// edit changes the settings of the stream.
func (p *natsPlace) edit(t *testing.T, change func(*jetstream.StreamConfig)) {
	t.Helper()
	js, closeConn, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn()
	if !eventually(t.Context(), 30*time.Second, func() bool {
		var stream jetstream.Stream
		if stream, err = js.Stream(t.Context(), streamName); err != nil {
			return false
		}
		config := stream.CachedInfo().Config
		change(&config)
		_, err = js.UpdateStream(t.Context(), config)
		return err == nil
	}) {
		t.Fatal(err)
	}
}

func (p *natsPlace) dial() (jetstream.JetStream, func(), error) {
	conn, err := natsgo.Connect(p.url(), natsgo.Timeout(2*time.Second), natsgo.NoReconnect())
	if err != nil {
		return nil, nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return js, conn.Close, nil
}

// stream returns the stream that the connector created.
func (p *natsPlace) stream(t *testing.T) (jetstream.Stream, func()) {
	t.Helper()
	js, closeConn, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), streamName)
	if err != nil {
		closeConn()
		t.Fatal(err)
	}
	return stream, closeConn
}

func (p *natsPlace) read(t *testing.T) map[string][]json.RawMessage {
	t.Helper()
	var err error
	for range 4 { // a consumer on a cluster may get stuck if its leader was just killed
		var events map[string][]json.RawMessage
		if events, err = p.tryRead(t.Context()); err == nil {
			return events
		}
	}
	t.Fatalf("read back: %v", err)
	return nil
}

func (p *natsPlace) tryRead(ctx context.Context) (map[string][]json.RawMessage, error) {
	js, closeConn, err := p.dial()
	if err != nil {
		return nil, err
	}
	defer closeConn()
	events := make(map[string][]json.RawMessage)
	err = readStream(ctx, js, func(subject string, data []byte) error { return sortOut(events, subject, data) })
	return events, err
}

// streamName is the JetStream stream that the connector creates.
const streamName = "WHATSAPP"

// readStream calls each for every message that is in the stream now, in order.
func readStream(ctx context.Context, js jetstream.JetStream, each func(subject string, data []byte) error) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := demo.ReadStream(ctx, js, streamName, ">", each)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return err
}

// sortOut adds an event to those of its stream. It leaves out checkpoints and rejects, which have subjects of their
// own.
func sortOut(events map[string][]json.RawMessage, subject string, data []byte) error {
	if !strings.HasPrefix(subject, "whatsapp.") {
		return nil
	}
	name, err := streamOf(data)
	if err != nil {
		return err
	}
	if token, _, _ := strings.Cut(strings.TrimPrefix(subject, "whatsapp."), "."); token != name {
		return fmt.Errorf("an event of stream %s has the subject of %s", name, token)
	}
	events[name] = append(events[name], data)
	return nil
}

// streamOf returns the name of the stream that an event comes from.
func streamOf(event []byte) (string, error) {
	var envelope struct{ Source string }
	if err := json.Unmarshal(event, &envelope); err != nil {
		return "", err
	}
	name, ok := strings.CutPrefix(envelope.Source, "//2chat.co/whatsapp/")
	if !ok {
		return "", fmt.Errorf("an event has the source %q", envelope.Source)
	}
	return name, nil
}
