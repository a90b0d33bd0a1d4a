package kafka

import (
	"errors"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/handshake"
	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// fileContents describes what the file of a key must contain.
var fileContents = map[string]string{
	"tls.ca_file":        "the certificate of the authority that signed the brokers', in PEM,",
	"tls.cert_file":      "the connector's certificate, in PEM, with its private key in that of tls.key_file,",
	"sasl.password_file": "the password",
	"sasl.token_file":    "the token",
}

// unavailable returns what keeps the connector from talking to the brokers, if it is known, else nil. In that case
// nothing was sent to them.
func (h hints) unavailable(err error) *connector.Unavailable {
	var connect *connectError
	if !errors.As(err, &connect) || isBrokenConn(err) {
		return nil
	}
	var file *secret.FileError
	if errors.As(err, &file) {
		key := "sink.kafka." + file.Key
		return &connector.Unavailable{Thing: key, Cause: file.Err.Error(), Hint: file.Hint(key, fileContents[file.Key])}
	}
	broker := func(cause, hint string) *connector.Unavailable {
		return &connector.Unavailable{Thing: "broker " + connect.address, Cause: cause, Hint: hint}
	}
	cause, hint, ok := handshake.Failure(err, handshake.Keys{
		CA: "sink.kafka.tls.ca_file", Cert: "sink.kafka.tls.cert_file", ServerName: "sink.kafka.tls.server_name",
		Address: "sink.kafka.brokers",
		CAGiven: h.config.TLS.CAFile != "", CertGiven: h.config.TLS.CertFile != "",
	})
	var shake *handshakeError
	switch {
	case ok:
		return broker(cause, hint)
	case errors.As(err, &shake): // a listener without TLS waits for more, or closes the connection
		return broker("it accepts the connection, but does not answer a TLS handshake ("+plainText(shake.err)+")",
			"check that sink.kafka.brokers names a listener with TLS; for one without TLS, remove sink.kafka.tls")
	case errors.Is(err, errWantsTLS):
		return broker("its listener speaks TLS",
			"set `sink.kafka.tls.enabled: true`, or name its listener without TLS in sink.kafka.brokers")
	case errors.Is(err, errOtherProtocol):
		return broker("the server there does not speak Kafka",
			"check that sink.kafka.brokers names the port of the broker's listener for clients")
	}
	return nil
}
