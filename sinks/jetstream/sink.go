package jetstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	natssink "github.com/twochat-connector/twochat-connector/sinks/nats"
)

// Defaults of Config.
const (
	DefaultStream  = "WHATSAPP"
	DefaultSubject = "whatsapp"
	DefaultTimeout = 10 * time.Second
)

// Config is the sink's part of the configuration.
type Config struct {
	natssink.Connection `yaml:",inline"`

	// Stream is the JetStream stream that holds events, checkpoints and quarantine.
	Stream string `yaml:"stream"`
	// Subject is the prefix of the subjects of events; checkpoints and quarantine have a suffix on its last token.
	Subject string `yaml:"subject"`
	// Domain is the JetStream domain of the stream, if servers are connected as leaf nodes. APIPrefix is the prefix under
	// which another account's JetStream API is imported, instead of $JS.API. At most one of them is set.
	Domain    string `yaml:"domain"`
	APIPrefix string `yaml:"api_prefix"`
	// Create creates the stream if it does not exist. Replicas, MaxAge and MaxBytes are used only for that. Replicas 0
	// means three in a cluster, else one. MaxAge and MaxBytes 0 mean no limit.
	Create   bool          `yaml:"create"`
	Replicas int           `yaml:"replicas"`
	MaxAge   time.Duration `yaml:"max_age"`
	MaxBytes int64         `yaml:"max_bytes"`
	// Timeout is the time limit of each exchange with the server.
	Timeout time.Duration `yaml:"timeout"`
}

// Address says where the stream is.
func (c Config) Address() string {
	return c.Connection.Address() + ", stream " + c.withDefaults().Stream
}

// Validate returns what is wrong with the settings, or nil. It does no I/O.
func (c Config) Validate() []connector.Finding {
	findings := c.Connection.Validate()
	refuse := func(thing, text, hint string) {
		findings = append(findings, connector.Finding{Level: connector.FindingRefused, Thing: thing, Text: text, Hint: hint})
	}
	c = c.withDefaults()
	if wrong := natssink.CheckSubject(c.Subject); wrong != "" {
		refuse("subject", wrong, "write something like whatsapp or acme.whatsapp")
	}
	if len(c.Stream) > 255 || strings.ContainsAny(c.Stream, ".*>/\\ \t\r\n") {
		refuse("stream", "not the name of a JetStream stream", "use letters, digits, _ and -")
	}
	if c.Domain != "" && c.APIPrefix != "" {
		refuse("domain", "domain and api_prefix exclude each other", "keep one of them")
	}
	if strings.ContainsAny(c.Domain, ".*> \t\r\n") {
		refuse("domain", "not the name of a JetStream domain", "write only the domain's name, like hub")
	}
	if wrong := natssink.CheckSubject(strings.TrimPrefix(c.APIPrefix, "$")); c.APIPrefix != "" && wrong != "" {
		refuse("api_prefix", wrong, "write the subject under which the API is imported, like JS.hub.API")
	}
	if c.Replicas < 0 || c.Replicas > 5 {
		refuse("replicas", "not between 1 and 5", "remove it, or write 3")
	}
	if c.MaxAge < 0 || c.MaxBytes < 0 || c.Timeout < 0 {
		refuse("max_age, max_bytes, timeout", "below zero", "remove them for no limit")
	}
	if c.MaxAge > 0 && c.MaxAge < MinMaxAge {
		refuse("max_age", "less than a server allows", "write "+MinMaxAge.String()+" or more, or remove it for no limit")
	}
	return findings
}

// MinMaxAge is the shortest age limit that a server accepts for a stream.
const MinMaxAge = 100 * time.Millisecond

func (c Config) withDefaults() Config {
	if c.Stream == "" {
		c.Stream = DefaultStream
	}
	if c.Subject == "" {
		c.Subject = DefaultSubject
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	return c
}

// Sink writes to one JetStream stream. All its Logs share one connection, which the first of them opens.
type Sink struct {
	members

	config   Config
	encoding connector.Encoding
	logger   *slog.Logger
	aliases  aliases
	hints    *hints

	warnings  warnings
	standings standings

	dialing  chan struct{} // holds a token while a connection is being made
	reading  chan struct{} // holds a token for each window that is being read back
	open     context.Context
	shut     context.CancelFunc
	encoders encoders

	mu       sync.Mutex
	link     *link
	settings settings
}

// windowsRead is how many windows are read back at a time. More would not make the start of a thousand streams faster,
// as they share a connection. But the answers contain the events' bodies, and all answers in flight are held in memory.
const windowsRead = 4

// Open returns a sink. It does no network I/O; the error lists what is wrong with the settings.
func Open(c Config, encoding connector.Encoding, logger *slog.Logger) (*Sink, error) {
	var wrong []error
	for _, finding := range c.Validate() {
		if finding.Level == connector.FindingRefused {
			wrong = append(wrong, &connector.Refusal{Thing: finding.Thing, Cause: finding.Text, Hint: finding.Hint})
		}
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	c.Section = "sink.jetstream"
	open, shut := context.WithCancel(context.Background())
	c = c.withDefaults()
	s := &Sink{
		config: c, encoding: encoding, logger: logger, hints: &hints{config: c},
		dialing: make(chan struct{}, 1), reading: make(chan struct{}, windowsRead), open: open, shut: shut,
	}
	s.members = members{sink: s, life: memberLife}
	return s, nil
}

// Log returns a stream's log in the sink.
func (s *Sink) Log(claim connector.Claim) connector.Log {
	prefix, name := s.config.Subject, claim.Stream.Name
	life, stop := context.WithCancel(context.Background())
	checkpoint := natssink.CheckpointSubject(prefix, name)
	return &Log{
		sink: s, claim: claim,
		events:     natssink.EventsSubject(prefix, name),
		checkpoint: checkpoint,
		quarantine: natssink.QuarantineSubject(prefix, name),
		standing:   s.standings.of(checkpoint),
		purger: &purger{
			logger: s.logger, stream: s.config.Stream, subject: checkpoint, name: name, life: life, stop: stop,
		},
	}
}

// Close ends the connection. It may be called more than once.
func (s *Sink) Close() error {
	s.shut()
	s.dialing <- struct{}{} // stops an attempt to connect
	defer func() { <-s.dialing }()
	s.mu.Lock()
	k := s.link
	s.link = nil
	s.mu.Unlock()
	if k != nil {
		k.close()
	}
	return nil
}

// connect returns the connection, and makes one if there is none. Its errors wrap connector.ErrNotNow, as nothing was
// sent, unless the context or the sink has ended.
func (s *Sink) connect(ctx context.Context) (*link, error) {
	if k := s.held(); k != nil && k.conn.IsConnected() && !k.lacksInbox() && s.open.Err() == nil {
		return k, nil
	}
	select {
	case s.dialing <- struct{}{}:
		defer func() { <-s.dialing }()
	case <-ctx.Done():
		return nil, fmt.Errorf("connect to NATS: %w", ctx.Err())
	}
	if s.open.Err() != nil {
		return nil, errors.New("connect to NATS: the sink is closed")
	}
	if k := s.held(); k != nil && !k.conn.IsClosed() && !k.lacksInbox() {
		if !k.conn.IsConnected() {
			return nil, fmt.Errorf("connect to NATS: %w: the connection is lost, and being re-established", connector.ErrNotNow)
		}
		return k, nil
	} else if k != nil {
		k.close()
	}
	bounded, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	defer context.AfterFunc(s.open, cancel)()
	conn, err := s.config.Dial(bounded, s.logger)
	if err != nil {
		if ctx.Err() == nil && !errors.Is(err, connector.ErrNotNow) { // our own timeout
			err = fmt.Errorf("%w: %w", connector.ErrNotNow, err)
		}
		return nil, err
	}
	k, err := newLink(conn, s.config.api(), s.config.Timeout)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to NATS: %w: %w", connector.ErrNotNow, err)
	}
	s.mu.Lock()
	s.link, s.settings = k, settings{}
	s.mu.Unlock()
	return k, nil
}

func (s *Sink) held() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

// Promise returns the delivery guarantee of JetStream.
func (s *Sink) Promise() connector.Promise {
	return connector.Promise{
		Once: true,
		Text: "Every message is in the JetStream stream " + s.config.Stream +
			" exactly once, oldest first within its chat, for every consumer, whatever crashes.",
		Exceptions: []string{
			"With one replica, or if all servers lose power at once with sync_interval at its default of two minutes, " +
				"JetStream can lose what it acknowledged. Three replicas and `sync_interval: always` prevent it.",
			"A consumer that crashes before it acknowledges gets a message again: it should ignore what it has already seen, " +
				"by source and id.",
			"What the stream's max_age removes is gone. The checkpoint outlives it, so nothing is delivered a second time.",
		},
	}
}
