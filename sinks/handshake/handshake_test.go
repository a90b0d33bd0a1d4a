package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

// Each way in which a handshake fails has its own cause, and a hint with the keys that fix it.
func TestFailure(t *testing.T) {
	bare := Keys{
		CA: "sink.x.tls.ca_file", Cert: "sink.x.tls.cert_file", ServerName: "sink.x.tls.server_name",
		Address: "sink.x.url",
	}
	ca, cert := bare, bare
	ca.CAGiven, cert.CertGiven = true, true
	named := &x509.Certificate{
		DNSNames:    []string{"a.example", "b.example", "c.example", "d.example"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	alert := errors.New("remote error: tls: certificate required")
	seen := map[string]bool{}
	for _, row := range []struct {
		err         error
		keys        Keys
		cause, hint string
	}{
		{
			x509.UnknownAuthorityError{},
			bare, "not signed by an authority that this machine trusts",
			"the file's path into sink.x.tls.ca_file",
		},
		{
			x509.UnknownAuthorityError{},
			ca, "not signed by an authority in the file of sink.x.tls.ca_file",
			"into the file of sink.x.tls.ca_file",
		},
		{
			x509.HostnameError{Certificate: named, Host: "h"},
			bare, "(it has a.example, b.example, c.example and others)",
			"into sink.x.tls.server_name",
		},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}, bare, "(it has no name)", "sink.x.url"},
		{x509.CertificateInvalidError{Reason: x509.Expired}, bare, "has expired", "renew"},
		{x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}, bare, "may not be used for a server", "serverAuth"},
		{
			tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"},
			bare, "it does not speak TLS",
			"sink.x.url",
		},
		{alert, bare, "it requires a client certificate (certificate required)", "sink.x.tls.cert_file"},
		{
			alert, cert, "it does not accept the certificate of sink.x.tls.cert_file (certificate required)",
			"the server's authority has signed",
		},
		{
			errors.New("remote error: tls: protocol version not supported"), bare, "(protocol version not supported)",
			"1.2 and 1.3",
		},
	} {
		cause, hint, ok := Failure(fmt.Errorf("connect: %w", row.err), row.keys)
		if !ok || !strings.Contains(cause, row.cause) || !strings.Contains(hint, row.hint) {
			t.Errorf("%v: %t, %q, %q; want %q and %q", row.err, ok, cause, hint, row.cause, row.hint)
		}
		if seen[cause] {
			t.Errorf("%q is the cause of two failures", cause)
		}
		seen[cause] = true
	}
	if cause, _, ok := Failure(errors.New("connection refused"), bare); ok {
		t.Errorf("what is no handshake is told as %q", cause)
	}
	if cause, hint := Closed(bare); !strings.Contains(cause, "requires a client certificate") ||
		!strings.Contains(hint, "sink.x.tls.cert_file") {
		t.Errorf("%q, %q", cause, hint)
	}
}
