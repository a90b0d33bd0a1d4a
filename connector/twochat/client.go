package twochat

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// DefaultTimeout is the time limit of a request if Config.Timeout is 0.
const DefaultTimeout = 15 * time.Second

// The default and the largest limit for the decompressed size of an answer, in bytes. A hundred items of ordinary chats
// are 30 to 100 KB; a hundred of the longest texts that WhatsApp accepts (65,536 characters) are 6.5 MB.
const (
	DefaultMaxPageBytes = 8 << 20
	LimitPageBytes      = 64 << 20
)

// Config is the configuration of a Client.
type Config struct {
	// BaseURL is the API's address without the /open: https://api.p.2chat.io. Only https, or http on loopback.
	BaseURL string
	// Key returns the API key. It is called for every request, so that a rotated key is picked up, and concurrently.
	Key func() (string, error)
	// Timeout is the time limit of a request, from dialling to the last byte of the body; 0 means DefaultTimeout.
	Timeout time.Duration
	// MaxPageBytes is the largest decompressed size of an answer, in bytes, up to LimitPageBytes; 0 means
	// DefaultMaxPageBytes.
	MaxPageBytes int
	// Version of the program, for the User-Agent header.
	Version string
	Privacy Privacy
	// Rows makes each message's data a row instead of the item (see Columns).
	Rows bool
	// ExactText keeps \u0000 and unpaired surrogates in items; otherwise they are replaced by U+FFFD.
	ExactText bool
	// Transport makes the requests; nil means a transport of the client's own, with keep-alive and gzip.
	Transport http.RoundTripper
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Client reads message lists. It is safe for concurrent use, except that page 0 of a stream must not be read
// concurrently.
type Client struct {
	base      string
	key       func() (string, error)
	timeout   time.Duration
	maxBody   int
	agent     string
	privacy   *redactor
	rows      bool
	exactText bool
	transport http.RoundTripper
	own       *http.Transport // the transport, if the client made it
	now       func() time.Time
	scratch   sync.Pool // of *scratch
	shapes    *shapeWatch

	mu    sync.Mutex
	lists map[list]*remembered
}

var _ connector.Pages = (*Client)(nil)

// list names a message list within one client.
type list struct{ number, remote string }

// remembered is what the client keeps of a list's last page 0 to recognise that the next one is the same.
type remembered struct {
	fingerprint connector.Fingerprint
	body        [sha256.Size]byte
	validators  validators
	// asked counts the conditional requests since the last plain one.
	asked int
	// untrue means that the server gave the same validator to different pages. No more conditional requests are made then.
	untrue bool
}

// scratch is the working memory of one call.
type scratch struct {
	body  []byte
	items []item
	text  []byte
}

// keptScratch is the largest working memory, in bytes of body, that is reused for the next call.
const keptScratch = 1 << 20

// New returns a Client. It does no I/O. The error lists everything that is wrong with the configuration.
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
	if config.MaxPageBytes < 0 || config.MaxPageBytes > LimitPageBytes {
		problems = append(problems, fmt.Errorf("a page of up to %d bytes: expected 1 to %d", config.MaxPageBytes,
			LimitPageBytes))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("2chat client: %w", err)
	}
	c := &Client{
		base: base, key: config.Key, timeout: config.Timeout, maxBody: config.MaxPageBytes, agent: "twochat-connector/" +
			config.Version, privacy: redactor,
		rows: config.Rows, exactText: config.ExactText, transport: config.Transport, now: config.Now,
		lists: make(map[list]*remembered),
	}
	c.scratch.New = func() any { return new(scratch) }
	if c.timeout == 0 {
		c.timeout = DefaultTimeout
	}
	if c.maxBody == 0 {
		c.maxBody = DefaultMaxPageBytes
	}
	if config.Version == "" {
		c.agent = "twochat-connector/unknown"
	}
	if c.now == nil {
		c.now = time.Now
	}
	c.shapes = newShapeWatch(c.now)
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

// checkBaseURL returns the base URL without its trailing slash. The texts of its errors do not quote the URL: a key or
// a password may have been put into it by mistake.
func checkBaseURL(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return "", errors.New("base URL: expected one like https://api.p.2chat.io")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("base URL: it must not contain a user, query or fragment")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("base URL: its scheme has to be https")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", errors.New("base URL: http is allowed on loopback only, because the API key would be sent in clear; use https")
	}
	base := strings.TrimRight(u.String(), "/")
	if strings.HasSuffix(base, "/open") {
		return "", errors.New("base URL: leave out the /open at its end")
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
