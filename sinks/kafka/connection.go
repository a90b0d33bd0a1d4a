package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// dialTimeout limits the making of a connection: dialling, TLS, versions, authentication.
const dialTimeout = 5 * time.Second

// dialer makes connections to brokers. It does TLS itself, so that certificates are read again for each connection.
func (c Config) dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	base := &net.Dialer{Timeout: dialTimeout}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		plain, err := base.DialContext(ctx, network, address)
		if err != nil || !c.TLS.on() {
			return plain, err
		}
		config, err := c.TLS.load(address)
		if err != nil {
			return nil, errors.Join(err, plain.Close())
		}
		secure := tls.Client(plain, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(&handshakeError{err}, plain.Close())
		}
		return secure, nil
	}
}

// handshakeError means that a broker accepted the connection, but the TLS handshake failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return "tls: " + e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }

func (t TLS) load(address string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.Insecure}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		config.ServerName = host
	}
	if t.CAFile != "" {
		pem, err := secret.Text(t.CAFile)
		if err != nil {
			return nil, &secret.FileError{Key: "tls.ca_file", Err: err}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM([]byte(pem)) {
			return nil, &secret.FileError{Key: "tls.ca_file", Err: fmt.Errorf("no certificate in %s", secret.Shown(t.CAFile))}
		}
	}
	if t.CertFile != "" {
		pair, err := secret.KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, &secret.FileError{Key: "tls.cert_file", Err: err}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// mechanism is the SASL mechanism of the configuration, nil for none. It reads its secret at the start of each
// exchange.
func (s SASL) mechanism() sasl.Mechanism {
	if s.Mechanism == "" {
		return nil
	}
	return credentials{s}
}

type credentials struct{ settings SASL }

var _ sasl.Mechanism = credentials{}

func (c credentials) Name() string { return strings.ToUpper(c.settings.Mechanism) }

func (c credentials) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	if c.settings.Mechanism == saslOAuth {
		token, err := line("sasl.token_file", c.settings.TokenFile)
		if err != nil {
			return nil, nil, err
		}
		return bearer{}, []byte("n,,\x01auth=Bearer " + token + "\x01\x01"), nil // RFC 7628 §3.1
	}
	password, err := line("sasl.password_file", c.settings.PasswordFile)
	if err != nil {
		return nil, nil, err
	}
	var inner sasl.Mechanism = plain.Mechanism{Username: c.settings.Username, Password: password}
	switch c.settings.Mechanism {
	case saslScram256:
		inner, err = scram.Mechanism(scram.SHA256, c.settings.Username, password)
	case saslScram512:
		inner, err = scram.Mechanism(scram.SHA512, c.settings.Username, password)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("prepare %s: %w", c.settings.Mechanism, err)
	}
	return inner.Start(ctx)
}

func line(key, file string) (string, error) {
	text, err := secret.Line(file)
	if err != nil {
		return "", &secret.FileError{Key: key, Err: err}
	}
	return text, nil
}

// bearer is the client's part of OAUTHBEARER after the token: a server that refuses it sends the reason, and waits for
// an answer.
type bearer struct{}

func (bearer) Next(_ context.Context, challenge []byte) (bool, []byte, error) {
	if len(challenge) != 0 {
		return false, nil, errors.New("oauthbearer: the broker refuses the token of sasl.token_file")
	}
	return true, nil, nil
}
