package admin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// certificate is the server's certificate. It is read again if its files change. While they cannot be read or do not match,
// for example between the writing of one and the other, the previous certificate stays in use.
type certificate struct {
	files config.AdminTLS

	mu              sync.Mutex
	public, private string // what was read last
	pair            *tls.Certificate
	broken          bool
}

// current is the certificate for a handshake that begins now.
func (c *certificate) current(logger *slog.Logger) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.read()
	if broken := err != nil; broken != c.broken {
		c.broken = broken
		if broken {
			logger.Error("the certificate of the admin server cannot be read: the one before stays in use", "cause", err)
		} else {
			logger.Info("the certificate of the admin server can be read again")
		}
	}
	if c.pair == nil {
		return nil, err
	}
	return c.pair, nil
}

// read reads the files where they are others than before.
func (c *certificate) read() error {
	public, err := c.files.CertFile.Read()
	if err != nil {
		return unreadable("admin.tls.cert_file", "the server's certificate, in PEM,", err)
	}
	private, err := c.files.KeyFile.Read()
	if err != nil {
		return unreadable("admin.tls.key_file", "the certificate's key, in PEM,", err)
	}
	if c.pair != nil && public == c.public && private == c.private {
		return nil
	}
	publicPEM, err := secret.Decode([]byte(public))
	if err != nil {
		return unreadable("admin.tls.cert_file", "the server's certificate, in PEM,", err)
	}
	privatePEM, err := secret.Decode([]byte(private))
	if err != nil {
		return unreadable("admin.tls.key_file", "the certificate's key, in PEM,", err)
	}
	pair, err := tls.X509KeyPair([]byte(publicPEM), []byte(privatePEM))
	if err != nil {
		return cli.UsageOf(cli.Hinted(fmt.Errorf("admin.tls: %w", err),
			"name a certificate in PEM with admin.tls.cert_file, and the key that belongs to it with admin.tls.key_file"))
	}
	c.public, c.private, c.pair = public, private, &pair
	return nil
}

// unreadable is the error of a key whose file cannot be used.
func unreadable(key, content string, err error) error {
	hint := "write " + content + " into the file that " + key + " names"
	var errno syscall.Errno
	if errors.As(err, &errno) {
		hint = "put " + content + " into a file that this user may read, and the file's path into " + key
	}
	return cli.UsageOf(cli.Hinted(fmt.Errorf("%s: %s", key, strings.TrimPrefix(err.Error(), "read secret: ")), hint))
}
