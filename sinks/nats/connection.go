package nats

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// dialTimeout limits one attempt to connect, if the context does not limit it more. A server that hangs accepts
// connections but does not answer, and there may be other servers to try.
const dialTimeout = 3 * time.Second

// Connection configures how NATS servers are reached. Core NATS and JetStream share it.
type Connection struct {
	// URL is one server, or several separated by commas: nats://host:4222, or tls://host:4222 to insist on TLS.
	URL string `yaml:"url"`
	// At most one of CredsFile, NKeyFile and TokenFile names the credentials. They are read again at each connect.
	CredsFile string `yaml:"creds_file"`
	NKeyFile  string `yaml:"nkey_file"`
	TokenFile string `yaml:"token_file"`
	TLS       TLS    `yaml:"tls"`
	// Insecure accepts credentials in clear text to another machine.
	Insecure bool `yaml:"insecure"`

	// Section is the path of these keys in the configuration, for messages: sink.nats.
	Section string `yaml:"-"`
	// InProcess connects to a server inside this process without a socket; then the URL is not used.
	InProcess natsgo.InProcessConnProvider `yaml:"-"`
}

// TLS configures server and client certificates. Any field that is set turns on TLS, at least version 1.2.
type TLS struct {
	CAFile     string `yaml:"ca_file"`
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
	// Insecure accepts any certificate.
	Insecure bool `yaml:"insecure"`
}

// Validate returns what is wrong with the settings, or nil. It does no I/O.
func (c Connection) Validate() []connector.Finding {
	var findings []connector.Finding
	refuse := func(thing, text, hint string) {
		findings = append(findings, connector.Finding{Level: connector.FindingRefused, Thing: thing, Text: text, Hint: hint})
	}
	warn := func(thing, text, hint string) {
		findings = append(findings, connector.Finding{Level: connector.FindingWarning, Thing: thing, Text: text, Hint: hint})
	}
	if c.TLS.CertFile != "" && c.TLS.KeyFile == "" || c.TLS.CertFile == "" && c.TLS.KeyFile != "" {
		refuse("tls", "a client certificate needs both cert_file and key_file", "set both, or neither")
	}
	if c.TLS.Insecure {
		warn("tls.insecure", "the server's certificate is not checked: anybody on the network path can read and change everything",
			"set tls.ca_file instead")
	}
	credentials := 0
	for _, file := range []string{c.CredsFile, c.NKeyFile, c.TokenFile} {
		if file != "" {
			credentials++
		}
	}
	if credentials > 1 {
		refuse("creds_file", "at most one of creds_file, nkey_file and token_file can be used", "keep one of them")
	}
	if c.InProcess != nil {
		return findings
	}
	if strings.TrimSpace(c.URL) == "" {
		refuse("url", "no server is configured", "set a URL like nats://127.0.0.1:4222")
		return findings
	}
	for address := range strings.SplitSeq(c.URL, ",") {
		u, err := parseServer(address)
		switch {
		case err != nil:
			// The address is not quoted, as it may contain a password.
			refuse("url", "not the URL of a NATS server",
				"write nats://host:4222 or tls://host:4222, several separated by commas")
			return findings
		case u.User != nil:
			refuse("url", "credentials do not belong in a URL", "move them into a file: creds_file, nkey_file or token_file")
			return findings
		case credentials > 0 && u.Scheme != "tls" && !c.TLS.wanted() && !loopback(u.Hostname()):
			if c.Insecure {
				warn("insecure", "credentials go over the network in clear text", "write tls:// in the URL, or set tls.ca_file")
				continue
			}
			refuse("url", "credentials would go over the network in clear text",
				"write tls:// in the URL, or set tls.ca_file, or accept it with insecure: true")
			return findings
		}
	}
	return findings
}

// Address is the URL of the servers, with only the hosts in it.
func (c Connection) Address() string {
	if c.InProcess != nil {
		return "in this process"
	}
	var servers []string
	for address := range strings.SplitSeq(c.URL, ",") {
		if u, err := parseServer(address); err == nil {
			servers = append(servers, u.Scheme+"://"+u.Host)
		}
	}
	return strings.Join(servers, ", ")
}

// parseServer reads the URL of one server. Its error does not quote it, as it may contain a password.
func parseServer(address string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" ||
		strings.Contains(u.Hostname(), ":") && !strings.HasPrefix(u.Host, "[") {
		return nil, errNotServer
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errNotServer
		}
	}
	return u, nil
}

var errNotServer = errors.New("not the URL of a NATS server")

// Dial makes one attempt to connect, limited by the context and to three seconds. Its error wraps connector.ErrNotNow
// if no server can be reached. Afterwards the connection reconnects by itself forever; what is published while it is
// lost fails at once and is not sent later. A connection that closed for good (after a change of nkeys) has to be
// dialled again. The caller closes it.
func (c Connection) Dial(ctx context.Context, logger *slog.Logger) (*natsgo.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	options, err := c.options(logger)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", c.named(err))
	}
	first := &dialer{ctx: ctx}
	options.CustomDialer = first
	if deadline, ok := ctx.Deadline(); ok {
		options.Timeout = min(dialTimeout, time.Until(deadline))
	}
	conn, err := options.Connect()
	first.connected()
	switch {
	case err == nil && ctx.Err() == nil:
		return conn, nil
	case err == nil:
		conn.Close()
		return nil, fmt.Errorf("connect to NATS: %w", ctx.Err())
	case ctx.Err() != nil:
		return nil, fmt.Errorf("connect to NATS at %s: %w", c.where(), ctx.Err())
	}
	return nil, fmt.Errorf("connect to NATS at %s: %w", c.where(), c.named(err))
}

// named returns the known reason why no connection can be made. It wraps ErrNotNow.
func (c Connection) named(err error) error {
	if o := c.unavailable(err); o != nil {
		return o
	}
	return fmt.Errorf("%w: %w", connector.ErrNotNow, err)
}

// where is the address, for people. A URL contains no credentials (see Validate).
func (c Connection) where() string {
	if c.InProcess != nil {
		return "this process's own server"
	}
	return c.URL
}

func (c Connection) options(logger *slog.Logger) (natsgo.Options, error) {
	o := natsgo.GetDefaultOptions()
	o.Name = "twochat-connector"
	o.InProcessServer = c.InProcess
	o.Servers = nil
	for address := range strings.SplitSeq(c.URL, ",") {
		o.Servers = append(o.Servers, strings.TrimSpace(address))
	}
	if c.InProcess != nil {
		o.Servers = []string{natsgo.DefaultURL}
	}
	o.Timeout = dialTimeout
	o.SkipHostLookup = true // the dialer resolves names, and ends with the context
	// With a buffer, what was published while the server was away would be sent when it is back, long after it was given
	// up.
	o.ReconnectBufSize = -1
	// A server that stalls must not block a publish for the default time of a minute.
	o.FlusherTimeout = flusherTimeout
	// A server that hangs, or that is cut off, is left for another one within seconds; by default that takes six minutes.
	o.PingInterval, o.MaxPingsOut = pingInterval, pingsOut
	o.ReconnectWait = reconnectWait
	o.MaxReconnect = -1
	// A server that refuses for a moment must not end the connection. But only a new connection reads a new nkey, so with
	// an nkey the second refusal ends the connection.
	o.IgnoreAuthErrorAbort = c.NKeyFile == ""
	o.DisconnectedErrCB = func(_ *natsgo.Conn, err error) {
		if err != nil {
			logger.Warn("NATS connection lost", "error", plain(err))
		}
	}
	o.ReconnectedCB = func(*natsgo.Conn) { logger.Info("NATS connection is back") }
	o.AsyncErrorCB = func(_ *natsgo.Conn, _ *natsgo.Subscription, err error) {
		logger.Warn("NATS reports an error", "error", plain(err))
	}
	if err := c.TLS.apply(&o); err != nil {
		return o, err
	}
	o.Secure = c.secure()
	// A server may name other servers, and those may be on other machines.
	o.IgnoreDiscoveredServers = !o.Secure && !c.Insecure && (c.CredsFile != "" || c.NKeyFile != "" || c.TokenFile != "")
	return o, c.authenticate(&o)
}

const (
	// flusherTimeout limits how long a write to the server may take.
	flusherTimeout = 3 * time.Second
	// pingInterval is the time between two pings of the server, and pingsOut how many answers may be missing.
	pingInterval = 2 * time.Second
	pingsOut     = 2
	// reconnectWait is how long to wait after all servers were tried in vain.
	reconnectWait = 500 * time.Millisecond
)

// plain is the text of a server's error without what it quotes, as a subject may name a chat.
func plain(err error) string {
	if errors.Is(err, natsgo.ErrPermissionViolation) {
		return "permissions violation: grant the right to publish and subscribe to the sink's subjects, and to use JetStream"
	}
	text, _, _ := strings.Cut(err.Error(), "\"")
	return text
}

// secure reports whether all data is sent encrypted.
func (c Connection) secure() bool {
	if c.TLS.wanted() {
		return true
	}
	for address := range strings.SplitSeq(c.URL, ",") {
		if !strings.HasPrefix(strings.TrimSpace(address), "tls://") {
			return false
		}
	}
	return c.InProcess == nil
}

func (c Connection) authenticate(o *natsgo.Options) error {
	switch {
	case c.CredsFile != "":
		return c.userCredentials(o)
	case c.NKeyFile != "":
		return c.userKey(o)
	case c.TokenFile != "":
		if _, err := readToken(c.TokenFile); err != nil {
			return err
		}
		o.TokenHandler = func() string {
			token, err := readToken(c.TokenFile)
			if err != nil {
				return "" // then the server refuses, and the next reconnect tries again
			}
			return token
		}
	}
	return nil
}

func (t TLS) wanted() bool { return t != TLS{} }

func (t TLS) apply(o *natsgo.Options) error {
	o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.Insecure}
	if t.CAFile != "" {
		o.RootCAsCB = func() (*x509.CertPool, error) {
			pem, err := secret.Text(t.CAFile)
			if err != nil {
				return nil, &secret.FileError{Key: "tls.ca_file", Err: err}
			}
			pool := x509.NewCertPool()
			if !pool.AppendCertsFromPEM([]byte(pem)) {
				return nil, &secret.FileError{Key: "tls.ca_file", Err: errors.New("there is no certificate in it")}
			}
			return pool, nil
		}
		if _, err := o.RootCAsCB(); err != nil {
			return err
		}
	}
	if t.CertFile != "" {
		o.TLSCertCB = func() (tls.Certificate, error) {
			pair, err := secret.KeyPair(t.CertFile, t.KeyFile)
			if err != nil {
				return pair, &secret.FileError{Key: "tls.cert_file", Err: err}
			}
			return pair, nil
		}
		if _, err := o.TLSCertCB(); err != nil {
			return err
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// dialer ends the first connect, including the handshake, with the context of Dial. Reconnects have no context.
type dialer struct {
	mu    sync.Mutex
	ctx   context.Context // of the first connect; nil once that is over
	stops []func() bool
}

// Dial is called by nats.go, also for reconnects.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	ctx := d.ctx
	d.mu.Unlock()
	first := ctx != nil
	if !first {
		ctx = context.Background()
	}
	dial := net.Dialer{Timeout: dialTimeout}
	conn, err := dial.DialContext(ctx, network, address)
	if err == nil && first {
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		d.mu.Lock()
		d.stops = append(d.stops, stop)
		d.mu.Unlock()
	}
	return conn, err
}

func (d *dialer) connected() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ctx = nil
	for _, stop := range d.stops {
		stop()
	}
	d.stops = nil
}
