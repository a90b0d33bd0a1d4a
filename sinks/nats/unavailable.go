package nats

import (
	"errors"
	"net"

	natsgo "github.com/nats-io/nats.go"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/handshake"
	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// contents describes what the file of a key must contain.
var contents = map[string]string{
	"creds_file":    "a user's JWT and seed, as `nsc generate creds` prints them,",
	"nkey_file":     "the seed of a user's nkey, as `nk -gen user` prints it,",
	"token_file":    "the token",
	"tls.ca_file":   "the certificate of the authority that signed the server's, in PEM,",
	"tls.cert_file": "the connector's certificate, in PEM, with its private key in that of tls.key_file,",
}

// key is the full name of a key.
func (c Connection) key(name string) string {
	if c.Section == "" {
		return name
	}
	return c.Section + "." + name
}

// unavailable is the known reason why no connection can be made; else nil.
func (c Connection) unavailable(err error) *connector.Unavailable {
	var file *secret.FileError
	if errors.As(err, &file) {
		return &connector.Unavailable{Thing: c.key(file.Key), Cause: file.Err.Error(), Hint: file.Hint(c.key(file.Key),
			contents[file.Key])}
	}
	server := func(cause, hint string) *connector.Unavailable {
		return &connector.Unavailable{Thing: "NATS server " + c.where(), Cause: cause, Hint: hint}
	}
	keys := handshake.Keys{
		CA: c.key("tls.ca_file"), Cert: c.key("tls.cert_file"), ServerName: c.key("tls.server_name"), Address: c.key("url"),
		CAGiven: c.TLS.CAFile != "", CertGiven: c.TLS.CertFile != "",
	}
	if cause, hint, ok := handshake.Failure(err, keys); ok {
		return server(cause, hint)
	}
	var dns *net.DNSError
	var on *net.OpError
	switch {
	case errors.Is(err, natsgo.ErrTLS):
		return server(handshake.Closed(keys))
	case errors.Is(err, natsgo.ErrSecureConnWanted):
		return server("it does not speak TLS, which the configuration requires",
			"set up TLS on the server; or, to connect without TLS, write nats:// in "+c.key("url")+" and remove "+c.key("tls"))
	case errors.Is(err, natsgo.ErrSecureConnRequired):
		return server("it requires TLS", "write tls:// in "+c.key("url"))
	case errors.Is(err, natsgo.ErrAuthExpired), errors.Is(err, natsgo.ErrAccountAuthExpired):
		return server("the credentials have expired", "write new ones into the file that "+c.key(c.credentialKey())+" names")
	case errors.Is(err, natsgo.ErrAuthorization), errors.Is(err, natsgo.ErrAuthRevoked):
		return server(c.unauthorized())
	case errors.As(err, &dns):
		return server("its name does not resolve",
			"correct the host in "+c.key("url")+", or check that this machine's DNS knows it")
	case errors.As(err, &on) && on.Op == "read" && on.Timeout():
		return server("it accepts connections, but does not greet as a NATS server does",
			"check that "+c.key("url")+" names the port for NATS clients (usually 4222), and that the server does not hang")
	}
	return nil
}

// credentialKey is the key of the credentials in use, or else the most common one.
func (c Connection) credentialKey() string {
	switch {
	case c.NKeyFile != "":
		return "nkey_file"
	case c.TokenFile != "":
		return "token_file"
	}
	return "creds_file"
}

// unauthorized explains why a server refuses the connector.
func (c Connection) unauthorized() (cause, hint string) {
	if c.CredsFile == "" && c.NKeyFile == "" && c.TokenFile == "" {
		return "it requires credentials, but none are configured",
			"name a file with credentials in " + c.key("creds_file") + ", " + c.key("nkey_file") + " or " + c.key("token_file")
	}
	key := c.key(c.credentialKey())
	return "it refuses the credentials of " + key, "write valid ones into the file that " + key +
		" names, or let the server know this user"
}
