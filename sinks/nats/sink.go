package nats

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/file"
)

// Config is the sink's part of the configuration.
type Config struct {
	Connection `yaml:",inline"`
	// Subject is the prefix of all subjects.
	Subject string `yaml:"subject"`
	// State is a folder for the checkpoints, as core NATS stores nothing.
	State string `yaml:"state"`
}

// Validate returns what is wrong with the settings, or nil. It does no I/O.
func (c Config) Validate() []connector.Finding {
	findings := c.Connection.Validate()
	if wrong := CheckSubject(c.Subject); wrong != "" {
		findings = append(findings, connector.Finding{
			Level: connector.FindingRefused, Thing: "subject", Text: wrong,
			Hint: "set a subject like whatsapp",
		})
	}
	if c.State == "" {
		findings = append(findings, connector.Finding{
			Level: connector.FindingRefused, Thing: "state",
			Text: "core NATS stores nothing, so a folder for the checkpoints is required",
			Hint: "set a path like ./whatsapp.state, or use the sink jetstream",
		})
	}
	return findings
}

const (
	// flushTimeout limits how long a commit waits for the server to read it. A connection to a server that has not
	// answered by then is closed.
	flushTimeout = 3 * time.Second
	// allowance is how much of a server's max_payload must be left for the headers and attributes of an event.
	allowance = 4 << 10
)

// limits bound a commit.
var limits = connector.Limits{Messages: 1_000, Bytes: 4 << 20}

// Sink publishes to core NATS. It is a sinks.Sink.
type Sink struct {
	config Config
	enc    connector.Encoding
	logger *slog.Logger
	store  *file.StateStore

	turn   chan struct{} // guards what follows
	conn   *natsgo.Conn  // nil until first used
	closed bool
}

// Open returns the sink. It does no I/O.
func Open(c Config, enc connector.Encoding, logger *slog.Logger) (*Sink, error) {
	c.Section = "sink.nats"
	s := &Sink{config: c, enc: enc, logger: logger, turn: make(chan struct{}, 1)}
	s.store = file.NewStateStore(c.State, limits, s.write)
	return s, nil
}

// Log returns a stream's log in the sink.
func (s *Sink) Log(claim connector.Claim) connector.Log {
	return &connectedLog{Log: s.store.Log(claim), sink: s}
}

// connectedLog is a log of the store that can be acquired only while the server is reachable.
type connectedLog struct {
	connector.Log
	sink *Sink
}

var _ connector.Log = (*connectedLog)(nil)

func (l *connectedLog) Acquire(ctx context.Context) (connector.State, error) {
	if _, err := l.sink.connection(ctx); err != nil {
		return connector.State{}, fmt.Errorf("acquire: %w", err)
	}
	return l.Log.Acquire(ctx)
}

var errClosed = errors.New("the sink is closed")

// connection returns the connection, and makes one if there is none. An error means that nothing can be sent now.
func (s *Sink) connection(ctx context.Context) (*natsgo.Conn, error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", connector.ErrNotNow, ctx.Err())
	}
	if s.closed {
		return nil, errClosed
	}
	if s.conn == nil || s.conn.IsClosed() {
		conn, err := s.config.Dial(ctx, s.logger)
		if err != nil {
			return nil, err
		}
		s.conn = conn
	}
	if !s.conn.IsConnected() {
		return nil, fmt.Errorf("%w: %s: %w", connector.ErrNotNow, s.config.where(), natsgo.ErrDisconnected)
	}
	return s.conn, nil
}

// write publishes, and waits until the server has read all of it.
func (s *Sink) write(
	ctx context.Context, stream connector.Stream, events []connector.Event, rejects []connector.Reject,
) error {
	conn, err := s.connection(ctx)
	if err != nil {
		return err
	}
	messages, err := s.messages(stream, events, rejects, conn.MaxPayload())
	if err != nil {
		return err
	}
	for i, m := range messages {
		if err := conn.PublishMsg(m); err != nil {
			if i == 0 {
				return fmt.Errorf("%w: publish: %w", connector.ErrNotNow, err)
			}
			return fmt.Errorf("publish: %w", err)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	server := conn.ConnectedUrlRedacted()
	if err := conn.FlushWithContext(bounded); err != nil {
		// The server hangs, or is cut off: the next attempt uses another one, or the same one over a new connection.
		if ctx.Err() == nil {
			err = errors.Join(err, conn.ForceReconnect())
		}
		return fmt.Errorf("flush to %s: %w", server, err)
	}
	// The server answers in order: refusals come before its answer to the flush.
	if errors.Is(conn.LastError(), natsgo.ErrPermissionViolation) {
		conn.Close() // the error stays with the connection
		return &connector.Refusal{
			Thing: "subject " + s.config.Subject, Cause: "the server does not allow this user to publish there",
			Hint: fmt.Sprintf("allow publishing to %s.> and %s", s.config.Subject,
				QuarantineSubject(s.config.Subject, stream.Name)),
		}
	}
	return nil
}

func (s *Sink) messages(
	stream connector.Stream, events []connector.Event, rejects []connector.Reject, most int64,
) ([]*natsgo.Msg, error) {
	messages := make([]*natsgo.Msg, 0, len(events)+len(rejects))
	for i := range events {
		m := Message(s.config.Subject, &events[i], s.enc)
		if int64(Size(m)) > most {
			return nil, &connector.Rejected{
				Key:    events[i].Key,
				Reason: fmt.Sprintf("larger than the server's max_payload of %d bytes", most),
			}
		}
		messages = append(messages, m)
	}
	for i := range rejects {
		m, err := RejectMessage(s.config.Subject, stream, &rejects[i], s.enc, most)
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// Create creates the parent of the state's folder. On core NATS there is nothing to create.
func (s *Sink) Create(context.Context) error { return s.store.Create() }

// Check checks that the server can be reached and that the state can be written.
func (s *Sink) Check(ctx context.Context, _ []connector.Claim) ([]connector.Finding, error) {
	findings := file.CheckState(s.config.State)
	conn, err := s.connection(ctx)
	if err != nil {
		return findings, fmt.Errorf("check: %w", err)
	}
	findings = append(findings,
		connector.Finding{
			Level: connector.FindingOK, Thing: "url",
			Text: "connected to nats-server " + conn.ConnectedServerVersion(),
		},
		connector.Finding{
			Level: connector.FindingWarning, Thing: "nats", Text: "core NATS stores nothing: best effort only",
			Hint: "use the sink jetstream if no message may be lost",
		})
	if most := conn.MaxPayload(); most < 64<<10+allowance {
		findings = append(findings, connector.Finding{
			Level: connector.FindingWarning, Thing: "max_payload",
			Text: fmt.Sprintf("the server accepts messages of at most %d bytes; larger ones go to the quarantine", most),
			Hint: "set max_payload: 1MB in the server's configuration",
		})
	}
	return findings, nil
}

// Follow calls each with every event from now on. Core NATS stores no events, so options that ask for past ones are
// refused.
func (s *Sink) Follow(ctx context.Context, options connector.FollowOptions, each func(event []byte) error) error {
	if options.Once || !options.Since.IsZero() {
		return &connector.Refusal{
			Thing: "nats", Cause: "core NATS stores no events, so there are none to read back",
			Hint: "follow it from now on, or use the sink jetstream, which stores events",
		}
	}
	conn, err := s.config.Dial(ctx, s.logger)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("follow: %w", err)
	}
	defer conn.Close()
	subscription, err := conn.SubscribeSync(EventsSubject(s.config.Subject, options.Stream))
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	for {
		m, err := subscription.NextMsgWithContext(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, natsgo.ErrSlowConsumer):
			s.logger.Warn("events skipped: they came faster than they could be shown")
			continue
		case err != nil:
			return fmt.Errorf("follow: %w", err)
		}
		event, err := DecodeEvent(m.Header, m.Data)
		if err != nil {
			s.logger.Warn("a message that is not an event", "error", err.Error())
			continue
		}
		if err := each(event); err != nil {
			return err
		}
	}
}

// ReadBack returns a refusal, as core NATS stores no events.
func (s *Sink) ReadBack(context.Context, string, func(connector.StoredRecord) error, func([]byte) error) error {
	return &connector.Refusal{
		Thing: "core NATS", Cause: "published messages cannot be read again",
		Hint: "check its subscribers, or use the sink jetstream",
	}
}

// Promise returns the delivery guarantee of core NATS.
func (s *Sink) Promise() connector.Promise {
	return connector.Promise{
		Text: "Best effort: each message is usually published once; core NATS stores nothing and confirms " +
			"only that the server has read it.",
		Exceptions: []string{
			"A consumer that is not subscribed when an event is published, or that is too slow, never gets it.",
			"A lost connection or a crash between publishing and writing the state doubles the events of one commit.",
			"A server that stops before it has forwarded an event loses it.",
		},
	}
}

// Close ends the connection. Logs have to be closed before it.
func (s *Sink) Close() error {
	s.turn <- struct{}{}
	s.closed = true
	if s.conn != nil {
		s.conn.Close()
	}
	<-s.turn
	return s.store.Close()
}
