package twochat

import (
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// DefaultTimeout bounds a request where the configuration does not.
const DefaultTimeout = 15 * time.Second

// Config is what a Client needs to know.
type Config struct {
	// BaseURL is the API's address without the /open: https://api.p.2chat.io. Only https, or http on loopback.
	BaseURL string
	// Key returns the API key. It is called for every request, from several goroutines, so that a rotated key is found.
	Key func() (string, error)
	// Timeout bounds a request from dialling to the last byte of the body; 0 is DefaultTimeout.
	Timeout time.Duration
	// Version of the program, for the User-Agent header.
	Version string
	Privacy Privacy
	// Transport carries the requests; nil is one of the client's own, with keep-alive and gzip.
	Transport http.RoundTripper
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Client reads message lists. It may be used from several goroutines, for one stream from one at a time.
type Client struct {
	base      string
	key       func() (string, error)
	timeout   time.Duration
	agent     string
	privacy   *redactor
	transport http.RoundTripper
	own       *http.Transport // the transport, where the client made it
	now       func() time.Time
	scratch   sync.Pool // of *scratch

	mu    sync.Mutex
	lists map[list]*remembered
}

var _ connector.Pages = (*Client)(nil)

// list names a message list within one client.
type list struct{ number, remote string }

// remembered is what the client keeps of a list's last page 0: enough to tell that the next one is the same.
type remembered struct {
	fingerprint connector.Fingerprint
	body        [sha256.Size]byte
	validators  validators
	// asked counts the conditional requests since the last plain one.
	asked int
	// untrue says that the server gave the same validator to different pages. It is not asked with them again.
	untrue bool
}

// scratch is the working memory of one call.
type scratch struct {
	body  []byte
	items []item
	text  []byte
}

// keptScratch is the largest working memory, in bytes of body, that is kept for the next call.
const keptScratch = 1 << 20

// New makes a Client. It does no I/O. The error lists everything that is wrong with the configuration.
func New(config Config) (*Client, error) {
	base, err := checkBaseURL(config.BaseURL)
	problems := []error{err}
	redactor, err := newRedactor(config.Privacy)
	problems = append(problems, err)
	if config.Key == nil {
		problems = append(problems, errors.New("no API key"))
	}
	if config.Timeout < 0 {
		problems = append(problems, fmt.Errorf("timeout %v is negative", config.Timeout))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("2chat client: %w", err)
	}
	c := &Client{
		base: base, key: config.Key, timeout: config.Timeout, agent: "twochat-connector/" + config.Version, privacy: redactor,
		transport: config.Transport, now: config.Now, lists: make(map[list]*remembered),
	}
	c.scratch.New = func() any { return new(scratch) }
	if c.timeout == 0 {
		c.timeout = DefaultTimeout
	}
	if config.Version == "" {
		c.agent = "twochat-connector/unknown"
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.transport == nil {
		c.own = newTransport()
		c.transport = c.own
	}
	return c, nil
}

// Close closes idle connections of the client's own transport. It may be called more than once.
func (c *Client) Close() {
	if c.own != nil {
		c.own.CloseIdleConnections()
	}
}

// newTransport is tuned for many requests to one host: idle connections are kept, and a connection that died in silence
// is found by pings rather than by every stream's time-out.
func newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 20 * time.Second, PingTimeout: 10 * time.Second},
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// checkBaseURL returns the base URL without its trailing slash. The texts of its errors do not quote the URL: a key or a
// password may have been put into it by mistake.
func checkBaseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "", errors.New("base URL: expected one like https://api.p.2chat.io")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("base URL: no user, query or fragment is allowed in it")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("base URL: its scheme has to be https")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", errors.New("base URL: http is allowed on loopback only, as the API key would travel in clear; use https")
	}
	base := strings.TrimRight(u.String(), "/")
	if strings.HasSuffix(base, "/open") {
		return "", errors.New("base URL: leave the /open at its end away")
	}
	return base, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
