package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

// The topics that are read: one with every mode, as if the mode had been changed, and one with every codec.
const (
	modesTopic  = "whatsapp.messages"
	codecsTopic = "whatsapp.codecs"
)

// written is a stream as one configuration of the connector writes it.
type written struct {
	name, number, topic string
	events              string // the keys of events
	codec               string // "" is the default
	row                 bool
}

var streams = []written{
	{name: "structured", number: "+15550100100", topic: modesTopic},
	{name: "binary", number: "+15550100101", topic: modesTopic, events: "mode: binary"},
	{name: "headers", number: "+15550100102", topic: modesTopic, events: "headers: true"},
	{name: "row", number: "+15550100103", topic: modesTopic, events: "data: row", row: true},
	{name: "binary-row", number: "+15550100104", topic: modesTopic, events: "mode: binary, data: row", row: true},
	{name: "zstd", number: "+15550100105", topic: codecsTopic, codec: "zstd"},
	{name: "lz4", number: "+15550100106", topic: codecsTopic, codec: "lz4"},
	{name: "snappy", number: "+15550100107", topic: codecsTopic, codec: "snappy"},
	{name: "none", number: "+15550100108", topic: codecsTopic, codec: "none"},
}

// history is the number of messages that each number has at the start. With this seed each number has every shape that
// the fake knows, which the reference requires.
const (
	history = 1000
	seed    = 7
)

// world is a broker, a fake 2Chat, and connectors between them.
type world struct {
	broker    string // its address
	connector string
	folder    string
	fake      *twochattest.Fake
	api       *httptest.Server
	running   []*exec.Cmd
	client    *kgo.Client
}

// place is the position of a record.
type place struct {
	Topic     string
	Partition int32
	Offset    int64
}

// openWorld requires a running broker.
func openWorld(connector, broker, folder string) (*world, error) {
	w := &world{broker: broker, connector: connector, folder: folder}
	options := twochattest.Options{Seed: seed, History: history, RequestsPerMinute: 6000}
	for _, s := range streams {
		options.Numbers = append(options.Numbers, s.number)
	}
	w.fake = twochattest.New(options)
	w.api = httptest.NewServer(w.fake)
	var err error
	w.client, err = kgo.NewClient(kgo.SeedBrokers(broker))
	return w, err
}

func (w *world) close() {
	w.end(syscall.SIGKILL)
	if w.client != nil {
		w.client.Close()
	}
	w.api.Close()
}

// start starts the connectors, one for each stream.
func (w *world) start(ctx context.Context) error {
	for _, s := range streams {
		log, err := os.OpenFile(filepath.Join(w.folder, s.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		config := filepath.Join(w.folder, s.name+".yaml")
		if err := os.WriteFile(config, []byte(w.configuration(s)), 0o600); err != nil {
			return err
		}
		command := exec.CommandContext(ctx, w.connector, "run", "--config", config)
		command.Env = append(os.Environ(), "TWOCHAT_API_KEY=any")
		command.Stdout, command.Stderr = log, log
		err = command.Start()
		_ = log.Close() // the process has its own
		if err != nil {
			return fmt.Errorf("start the connector: %w", err)
		}
		w.running = append(w.running, command)
	}
	return nil
}

func (w *world) configuration(s written) string {
	events, codec := s.events, s.codec
	if codec == "" {
		codec = "gzip"
	}
	return fmt.Sprintf(`twochat: { base_url: %q, streams: [ { number: %q } ] }
start: beginning
poll: { min_interval: 1s, max_interval: 1s }
events: { %s }
sink: { kafka: { brokers: [%q], topic: %s, create: true, compression: %s } }
admin: { listen: "127.0.0.1:0" }
`, w.api.URL, s.number, events, w.broker, s.topic, codec)
}

// end ends the connectors with a signal.
func (w *world) end(signal os.Signal) {
	for _, command := range w.running {
		_ = command.Process.Signal(signal)
	}
	for _, command := range w.running {
		_ = command.Wait()
	}
	w.running = nil
}

// change adds to the lists: messages on top, late ones below what was delivered, and ones that cannot become an event.
func (w *world) change() {
	for _, s := range streams {
		w.fake.Insert(s.number, 3)
		w.fake.Late(s.number, 5)
		w.fake.Backdated(s.number)
		w.fake.Skeleton(s.number)
		w.fake.Poison(s.number, twochattest.PoisonNoID)
	}
}

// abort leaves an aborted transaction in each partition that has events, as a connector does that is killed during a
// commit: copies of events, which only readers of committed records skip.
func (w *world) abort(ctx context.Context, records []*kgo.Record) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(w.broker), kgo.TransactionalID("aborts"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.GzipCompression()), // as the connector does
	)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.BeginTransaction(); err != nil {
		return err
	}
	var copies []*kgo.Record
	seen := map[place]bool{}
	for _, r := range records {
		at := place{Topic: r.Topic, Partition: r.Partition}
		if seen[at] || r.Attrs.IsControl() {
			continue
		}
		seen[at] = true
		copies = append(copies, &kgo.Record{
			Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers,
		})
	}
	if err := client.ProduceSync(ctx, copies...).FirstErr(); err != nil {
		return fmt.Errorf("write what is aborted: %w", err)
	}
	return client.EndTransaction(ctx, kgo.TryAbort)
}

// fill lets the connectors write, kills them meanwhile, restarts them, leaves in each partition what such a kill may
// leave, and changes the lists.
func (w *world) fill(ctx context.Context) (*reference, error) {
	began := time.Now()
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	found, err := w.await(ctx, (*reference).begun)
	if err != nil {
		return nil, err
	}
	for _, s := range streams {
		w.fake.Insert(s.number, 150) // so that each is killed with more than a page left to read
	}
	w.end(syscall.SIGKILL)
	killed := len(found.events)
	if err := w.start(ctx); err != nil {
		return nil, err
	}
	settled := func(r *reference) error { return r.audit(w.fake) }
	if found, err = w.await(ctx, settled); err != nil {
		return nil, err
	}
	if err := w.abort(ctx, found.records); err != nil {
		return nil, err
	}
	w.change() // below what was delivered, so they are late
	if found, err = w.await(ctx, settled); err != nil {
		return nil, err
	}
	w.end(syscall.SIGTERM)
	if err := w.ready(ctx); err != nil {
		return nil, err
	}
	fmt.Printf("%d events of %d streams in two topics, as listed, with %d aborted ones and %d markers; killed after %d; %.1f s\n",
		len(found.events), len(streams), len(found.aborted), found.markers(), killed, time.Since(began).Seconds())
	return found, nil
}

// await waits until the topics hold what is wanted, and returns it.
func (w *world) await(ctx context.Context, wanted func(*reference) error) (*reference, error) {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	for {
		found, err := w.read(ctx)
		if err == nil {
			if err = wanted(found); err == nil {
				return found, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w; the connectors said last:\n%s", err, w.lastWords())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (w *world) lastWords() string {
	var out strings.Builder
	for _, s := range streams {
		text, err := os.ReadFile(filepath.Join(w.folder, s.name+".log"))
		if err != nil {
			continue
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&out, "%s: %s\n", s.name, lines[len(lines)-1])
	}
	return out.String()
}
