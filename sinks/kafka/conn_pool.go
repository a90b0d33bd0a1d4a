package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
)

// idleTime is how long an unused connection is kept; brokers close theirs after ten minutes.
const idleTime = 2 * time.Minute

// connPool holds the connections to brokers, by address. A connection carries one request at a time. If anything fails
// on a connection, especially by a timeout, it is closed together with all idle ones to the same broker, which would
// fail as well. kafka-go's Transport keeps those and tries one after the other.
type connPool struct {
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	mechanism sasl.Mechanism // nil for none
	client    string         // the client id that the brokers see

	mu     sync.Mutex
	idle   map[string][]*brokerConn
	closed bool
}

func newConnPool(config Config, client string) *connPool {
	return &connPool{
		dial: config.dialer(), mechanism: config.SASL.mechanism(), client: client,
		idle: make(map[string][]*brokerConn),
	}
}

// brokerConn is one connection.
type brokerConn struct {
	net      net.Conn
	protocol *protocol.Conn
	versions map[protocol.ApiKey]int16
	identify bool // the broker reports topic ids
	used     time.Time
}

// connectError means that a broker could not be reached, or that the versions or credentials failed: no request was
// sent to it.
type connectError struct {
	address string
	err     error
}

func (e *connectError) Error() string { return e.address + ": " + plainText(e.err) }
func (e *connectError) Unwrap() error { return e.err }

// brokenError means that a connection failed during a request, so it is not known whether the request arrived.
type brokenError struct {
	address string
	err     error
}

func (e *brokenError) Error() string { return e.address + ": " + plainText(e.err) }
func (e *brokenError) Unwrap() error { return e.err }

// plainText is the part of a network error that a person needs. The broker's address precedes it already, and the local
// address does not help.
func plainText(err error) string {
	var op *net.OpError
	var name *net.DNSError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return "the name " + name.Name + " does not resolve"
	case isTimeout(err):
		return "no answer in time"
	case errors.Is(err, io.EOF):
		return "the connection was closed"
	case errors.As(err, &op) && op.Err != nil:
		return op.Err.Error()
	}
	return err.Error()
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// ask sends a request to the broker at an address and returns its answer. It waits until the context ends, but at most
// for the given time.
func (w *connPool) ask(
	ctx context.Context, address string, within time.Duration, request protocol.Message,
) (protocol.Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, &connectError{address, err}
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c := w.take(address)
	if c == nil {
		var err error
		if c, err = w.connect(ctx, address); err != nil {
			w.drop(address)
			return nil, &connectError{address, err}
		}
	}
	if err := c.speaks(request); err != nil {
		w.put(address, c)
		return nil, err
	}
	if _, ok := request.(*identities); ok && !c.identify {
		w.put(address, c)
		return &identities{}, nil
	}
	var answer protocol.Message
	err := c.bounded(ctx, func() (err error) {
		answer, err = c.protocol.RoundTrip(request)
		return err
	})
	if err != nil {
		_ = c.net.Close() // the cause is reported
		w.drop(address)
		return nil, &brokenError{address, err}
	}
	w.put(address, c)
	return answer, nil
}

// bounded runs do, and ends it with the context.
func (c *brokerConn) bounded(ctx context.Context, do func() error) error {
	deadline, _ := ctx.Deadline()
	if err := c.net.SetDeadline(deadline); err != nil {
		return err
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = c.net.SetDeadline(time.Unix(1, 0)) // if that fails, the connection is closed
	})
	err := do()
	if !stop() {
		<-ended
		return errors.Join(ctx.Err(), err) // the answer may be whole, but the connection cannot be used any more
	}
	return err
}

// speaks checks that the broker knows a version of the request that carries the leader's epoch.
func (c *brokerConn) speaks(request protocol.Message) error {
	key := request.ApiKey()
	least := map[protocol.ApiKey]int16{protocol.Metadata: 7, protocol.ListOffsets: 4, protocol.Fetch: 9}[key]
	if v, ok := c.versions[key]; !ok || v < least {
		return fmt.Errorf("%w (%s)", errTooOld, key)
	}
	return nil
}

// errTooOld means that a broker cannot be asked in a way that shows whether it still leads.
var errTooOld = errors.New("the broker is older than Kafka 2.1, and does not report the term for which it leads a partition")

func (w *connPool) take(address string) *brokerConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.idle[address]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	w.idle[address] = list[:len(list)-1]
	return c
}

// put keeps a connection for the next request, and closes those that were not used for long.
func (w *connPool) put(address string, c *brokerConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		_ = c.net.Close() // it is idle
		return
	}
	now := time.Now()
	c.used = now
	w.idle[address] = append(w.idle[address], c)
	for other, list := range w.idle {
		for len(list) > 0 && now.Sub(list[0].used) > idleTime {
			_ = list[0].net.Close() // it is idle
			list = list[1:]
		}
		w.idle[other] = list
	}
}

// drop closes the idle connections to a broker.
func (w *connPool) drop(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.idle[address] {
		_ = c.net.Close() // it is idle
	}
	delete(w.idle, address)
}

func (w *connPool) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, list := range w.idle {
		for _, c := range list {
			_ = c.net.Close() // it is idle
		}
	}
	clear(w.idle)
}

// connect makes a connection: it dials, negotiates versions and authenticates.
func (w *connPool) connect(ctx context.Context, address string) (*brokerConn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := w.dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c := &brokerConn{net: conn, protocol: protocol.NewConn(&opening{Conn: conn}, w.client)}
	err = c.bounded(ctx, func() error {
		if err := c.agree(); err != nil {
			return err
		}
		return c.authenticate(ctx, address, w.mechanism)
	})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

func (c *brokerConn) agree() error {
	known, err := answerAs[*apiversions.Response](c.protocol.RoundTrip(new(apiversions.Request)))
	if err != nil {
		return err
	}
	if known.ErrorCode != 0 {
		return fmt.Errorf("versions: %w", kafkago.Error(known.ErrorCode))
	}
	c.versions = make(map[protocol.ApiKey]int16, len(known.ApiKeys))
	for _, k := range known.ApiKeys {
		key := protocol.ApiKey(k.ApiKey)
		c.versions[key] = min(key.SelectVersion(k.MinVersion, k.MaxVersion), newestSound(key))
		if key == protocol.Metadata {
			c.identify = k.MinVersion <= identityVersion && identityVersion <= k.MaxVersion
		}
	}
	c.protocol.SetVersions(c.versions)
	return nil
}

// newestSound is the newest version of a request that kafka-go writes and reads as Kafka does. In the requests of
// groups, its form of the later versions is wrong, and in a heartbeat's answer the order of the fields.
func newestSound(key protocol.ApiKey) int16 {
	switch key {
	case protocol.JoinGroup:
		return 5
	case protocol.SyncGroup:
		return 3
	case protocol.Heartbeat:
		return 0
	case protocol.LeaveGroup:
		return 2
	case protocol.DescribeGroups:
		return 4
	}
	return math.MaxInt16
}

func (c *brokerConn) authenticate(ctx context.Context, address string, mechanism sasl.Mechanism) error {
	if mechanism == nil {
		return nil
	}
	shake, err := answerAs[*saslhandshake.Response](
		c.protocol.RoundTrip(&saslhandshake.Request{Mechanism: mechanism.Name()}))
	if err != nil {
		return err
	}
	if shake.ErrorCode != 0 {
		return fmt.Errorf("authenticate with %s: %w", mechanism.Name(), kafkago.Error(shake.ErrorCode))
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	session, state, err := mechanism.Start(sasl.WithMetadata(ctx, &sasl.Metadata{Host: host}))
	if err != nil {
		return err
	}
	for done := false; !done; {
		challenge, err := answerAs[*saslauthenticate.Response](
			c.protocol.RoundTrip(&saslauthenticate.Request{AuthBytes: state}))
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) { // some brokers refuse by closing
			return fmt.Errorf("authenticate with %s: %w", mechanism.Name(), kafkago.SASLAuthenticationFailed)
		}
		if err != nil {
			return err
		}
		if challenge.ErrorCode != 0 { // its message may quote what was sent
			return fmt.Errorf("authenticate with %s: %w", mechanism.Name(), kafkago.Error(challenge.ErrorCode))
		}
		if done, state, err = session.Next(ctx, challenge.AuthBytes); err != nil {
			return err
		}
	}
	return nil
}
