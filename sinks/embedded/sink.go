package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/jetstream"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// Defaults of Config.
const (
	DefaultListen = "127.0.0.1:4222"
	DefaultDir    = "./twochat-data"
)

const (
	// startTimeout is how long the server may take to read its data from disk.
	startTimeout = time.Minute
	// clientTries and clientWait are how often, and at which interval, to check whether the client has found the server
	// again.
	clientTries = 50
	clientWait  = 100 * time.Millisecond
	// maxPayload has room for the largest message that 2Chat may list, and its envelope.
	maxPayload = 4 << 20
	// maxMemory limits what clients may keep in memory streams; the connector has none.
	maxMemory = 64 << 20
	// maxStore leaves the limit to the disk and to Config.MaxBytes. The server's default would be three quarters of the
	// space that was free at its start, for as long as it runs.
	maxStore = 1 << 60
)

// Config is the sink's part of the configuration.
type Config struct {
	// Listen is the address for NATS clients, on loopback. With port 0 the system chooses a port.
	Listen string `yaml:"listen"`
	// Dir is the folder for the data; one process at a time may use it.
	Dir string `yaml:"dir"`
	// MaxAge is how long events are kept, and MaxBytes how many bytes; 0 means forever, and as much as fits on the disk.
	// If the stream is full, new messages wait in 2Chat: no event is removed before MaxAge.
	MaxAge   time.Duration `yaml:"max_age"`
	MaxBytes int64         `yaml:"max_bytes"`
}

func (c Config) withDefaults() Config {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Dir == "" {
		c.Dir = DefaultDir
	}
	return c
}

// Address is where clients reach the server, and where its data is.
func (c Config) Address() string {
	c = c.withDefaults()
	if _, port, err := net.SplitHostPort(c.Listen); err != nil || port == "0" {
		return "data in " + c.Dir
	}
	return "nats://" + c.Listen + ", data in " + c.Dir
}

// Validate returns what is wrong with the settings, or nil. It does no I/O.
func (c Config) Validate() []connector.Finding {
	var findings []connector.Finding
	refuse := func(thing, text, hint string) {
		findings = append(findings, connector.Finding{Level: connector.FindingRefused, Thing: thing, Text: text, Hint: hint})
	}
	c = c.withDefaults()
	host, port, err := net.SplitHostPort(c.Listen)
	n, portErr := strconv.Atoi(port)
	switch ip := net.ParseIP(host); {
	case err != nil || portErr != nil || n < 0 || n > 65535:
		refuse("listen", "not an address", "write host:port, like "+DefaultListen)
	case host != "localhost" && (ip == nil || !ip.IsLoopback()):
		refuse("listen", "the embedded server has no passwords, and would be open to other machines",
			"listen on 127.0.0.1, or run your own NATS server and use the sink `jetstream`")
	}
	if c.MaxAge < 0 || c.MaxBytes < 0 {
		refuse("max_age, max_bytes", "below zero", "remove them for no limit")
	}
	if c.MaxAge > 0 && c.MaxAge < jetstream.MinMaxAge {
		refuse("max_age", "less than a server allows",
			"write "+jetstream.MinMaxAge.String()+" or more, or remove it for no limit")
	}
	return findings
}

// Sink is a JetStream sink with its server.
type Sink struct {
	*jetstream.Sink
	config Config
	dir    string // absolute
	lock   *lock
	log    *serverLog
	logger *slog.Logger
	inside inside
	health health

	reached *reachedFile
	folder  atomic.Pointer[folder]

	once     sync.Once
	closeErr error
}

// inside makes connections to the current server, as an earlier one may have been stopped.
type inside struct {
	mu     sync.Mutex
	server *server.Server // nil while no server runs
}

// InProcessConn is called by the client, also whenever it has lost a connection.
func (i *inside) InProcessConn() (net.Conn, error) {
	running := i.running()
	if running == nil {
		return nil, errors.New("the embedded NATS server is not running")
	}
	return running.InProcessConn()
}

func (i *inside) running() *server.Server {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.server
}

func (i *inside) set(s *server.Server) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.server = s
}

// Open starts the server on the folder's data, and creates the stream or applies the configured limits to it. If there
// is not enough room, the sink opens nevertheless, and starts the server once there is room. The caller has to close
// the sink.
func Open(c Config, encoding connector.Encoding, logger *slog.Logger) (*Sink, error) {
	return opened(c, encoding, logger, (*Sink).start)
}

// start starts the server on the data folder, as Open or OpenForCheck needs it.
type start func(s *Sink, ctx context.Context) error

// opened locks the folder and starts the server with begin.
func opened(c Config, encoding connector.Encoding, logger *slog.Logger, begin start) (*Sink, error) {
	var wrong []error
	for _, finding := range c.Validate() {
		wrong = append(wrong, &connector.Refusal{Thing: finding.Thing, Cause: finding.Text, Hint: finding.Hint})
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	c = c.withDefaults()
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("open data folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unusable(c, err)
	}
	held, err := takeLock(filepath.Join(dir, "lock"))
	if errors.Is(err, errInUse) {
		return nil, refuseInUse(c)
	}
	if err != nil {
		return nil, unusable(c, err)
	}
	s := &Sink{config: c, dir: dir, lock: held, log: &serverLog{logger: logger}, logger: logger, health: newHealth()}
	s.Sink, err = jetstream.Open(jetstream.Config{
		Connection: natssink.Connection{InProcess: &s.inside}, Create: true, Replicas: 1, MaxAge: c.MaxAge,
		MaxBytes: c.MaxBytes,
	}, encoding, logger)
	if err == nil {
		s.reached, err = loadReachedFile(dir, logger)
	}
	if err == nil {
		err = begin(s, context.Background())
	}
	s.folder.Store(new(identify(dir)))
	if noRoom := s.room(roomToStart); noRoom != nil {
		s.logger.Warn("the embedded NATS server waits for room on the disk", "cause", noRoom.Error())
		s.health.troubled(roomToStart)
		return s, nil
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// unusable returns the refusal of a folder that cannot be written.
func unusable(c Config, err error) error {
	return &connector.Refusal{
		Thing: "data folder " + c.Dir, Cause: "it cannot be used: " + plain(err).Error(),
		Hint: "give this user the right to write there, mount it writable, or set another folder with `sink.embedded.dir`",
	}
}

// ErrInUse means that another process, which is a connector too, uses the folder and runs its server.
var ErrInUse = errors.New("the data folder is in use")

func refuseInUse(c Config) error {
	return fmt.Errorf("%w: %w", ErrInUse, &connector.Refusal{
		Thing: "data folder " + c.Dir, Cause: "another process is using it",
		Hint: "stop that process, read from it at its NATS address, or set another folder with `sink.embedded.dir`",
	})
}

// start runs the server, and creates the stream or updates its limits.
func (s *Sink) start(ctx context.Context) error {
	address, err := free(s.config.Listen)
	if err != nil {
		return err
	}
	port := address.Port
	if strings.HasSuffix(s.config.Listen, ":0") {
		port = server.RANDOM_PORT // the server takes it at once, so that nobody else can between the trial and the start
	}
	if err := s.serve(server.Options{Host: address.IP.String(), Port: port}); err != nil {
		return err
	}
	s.config.Listen = s.inside.running().Addr().String() // after a restart its clients find it at the same address
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	// A client that has lost the server reconnects by itself within a moment.
	err = s.Create(ctx)
	for tries := 0; tries < clientTries && errors.Is(err, connector.ErrNotNow); tries++ {
		if connector.Sleep(ctx, clientWait) != nil {
			return err
		}
		err = s.Create(ctx)
	}
	if err != nil {
		return err
	}
	return s.Limit(ctx)
}

// serve starts the server on the folder's data.
func (s *Sink) serve(o server.Options) error {
	o.ServerName, o.JetStream, o.StoreDir, o.SyncAlways = "twochat-connector", true, s.dir, true
	o.JetStreamMaxMemory, o.JetStreamMaxStore, o.MaxPayload = maxMemory, maxStore, maxPayload
	o.NoSigs, o.NoSystemAccount, o.DisableJetStreamBanner = true, true, true
	running, err := server.NewServer(&o)
	if err != nil {
		return fmt.Errorf("start embedded NATS server: %w", err)
	}
	s.inside.set(running)
	running.SetLoggerV2(s.log, false, false, false) // its debug lines may name subjects, and so chats
	running.Start()
	if !running.ReadyForConnections(startTimeout) {
		return fmt.Errorf("start embedded NATS server: %w", s.log.fatal("not ready after "+startTimeout.String()))
	}
	if !running.JetStreamEnabled() {
		return fmt.Errorf("start embedded NATS server: %w", s.log.fatal("JetStream did not start"))
	}
	return nil
}

// stop ends the server, if one runs.
func (s *Sink) stop() {
	running := s.inside.running()
	if running == nil {
		return
	}
	s.inside.set(nil)
	running.Shutdown()
	running.WaitForShutdown()
}

// free resolves the address and checks that it is free, as the server itself would only log that it is not.
func free(listen string) (*net.TCPAddr, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", listen)
	if err != nil {
		return nil, taken(listen, err)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if err := listener.Close(); err != nil || !ok {
		return nil, fmt.Errorf("try address %s: %w", listen, err)
	}
	return address, nil
}

// URL is the server's URL for NATS clients on this machine.
func (s *Sink) URL() string {
	if running := s.inside.running(); running != nil {
		return running.ClientURL()
	}
	return "nats://" + s.config.Listen
}

// Stream is the name of the JetStream stream.
func (s *Sink) Stream() string { return jetstream.DefaultStream }

// Promise returns the delivery guarantee of the embedded server.
func (s *Sink) Promise() connector.Promise {
	return connector.Promise{
		Once: true,
		Text: "Every message is in the JetStream stream " + s.Stream() +
			" of the embedded server exactly once, oldest first within its chat, for every consumer, whatever crashes, " +
			"also after a loss of power: every commit is on disk before it counts.",
		Exceptions: []string{
			"There is one copy: what this disk loses is lost.",
			"If the folder and the file DIR.reached beside it are removed or restored together, this goes unnoticed: the " +
				"connector starts anew, or continues from the restored state.",
			"A consumer that crashes before it acknowledges gets a message again: it should ignore what it has already seen, " +
				"by source and id.",
			"What max_age removes is gone. The checkpoint outlives it, so nothing is delivered a second time. When " +
				"max_bytes is reached, commits wait.",
		},
	}
}

// Close ends the connection, shuts the server down, waits for it and releases the folder. It may be called more than
// once.
func (s *Sink) Close() error {
	s.once.Do(func() {
		if s.Sink != nil {
			s.closeErr = s.Sink.Close()
		}
		s.health.turn <- struct{}{} // waits for a restart in progress
		s.stop()
		if s.reached != nil {
			s.reached.close()
		}
		s.closeErr = errors.Join(s.closeErr, s.lock.release())
	})
	return s.closeErr
}
