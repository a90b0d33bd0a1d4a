// Package handshake explains why a TLS handshake with a broker failed, and what to do about it.
package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
)

// Keys are the full configuration keys that a handshake depends on.
type Keys struct {
	CA, Cert, ServerName, Address string
	// CAGiven is true if a CA file is configured, and CertGiven if a client certificate is.
	CAGiven, CertGiven bool
}

// Failure returns why a handshake failed and what to do; ok is false if the error has another origin.
func Failure(err error, keys Keys) (cause, hint string, ok bool) {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
		alert   tls.AlertError
	)
	switch {
	case errors.As(err, &unknown) && keys.CAGiven:
		return "its certificate is not signed by an authority in the file of " + keys.CA,
			"put the certificate of the authority that signed the server's into the file of " + keys.CA, true
	case errors.As(err, &unknown):
		return "its certificate is not signed by an authority that this machine trusts",
			"put the certificate of the authority that signed it into a file, and the file's path into " + keys.CA, true
	case errors.As(err, &host):
		return "its certificate is for another name than the configured one" + names(host.Certificate),
			"write a name from the certificate into " + keys.Address + ", or into " + keys.ServerName, true
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate has expired or is not valid yet, or this machine's clock is wrong",
			"renew the server's certificate, or set the clock", true
	case errors.As(err, &invalid):
		return "its certificate may not be used for a server",
			"give the server a certificate for servers (extended key usage serverAuth), with the names that clients use",
			true
	case errors.As(err, &record):
		return "it does not speak TLS on this port", "use its TLS port, or set up TLS there; to connect without TLS, check " +
			keys.Address + " and the keys beside " + keys.CA, true
	case errors.As(err, &alert), aboutAlert(err):
		cause, hint = refusedOurs(alertText(err), keys)
		return cause, hint, true
	}
	return "", "", false
}

// Closed describes a server that closed the connection directly after the handshake without a reason.
func Closed(keys Keys) (cause, hint string) {
	return refusedOurs("it closed the connection after the handshake, as it does without a valid client certificate", keys)
}

// names returns the first few names of the server's certificate, which are public.
func names(certificate *x509.Certificate) string {
	if certificate == nil {
		return ""
	}
	list := certificate.DNSNames
	for _, ip := range certificate.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		return " (it has no name)"
	}
	more := ""
	if len(list) > 3 {
		list, more = list[:3], " and others"
	}
	return fmt.Sprintf(" (it has %s%s)", strings.Join(list, ", "), more)
}

// aboutAlert reports whether the other side aborted the handshake. The library does not export the type of that error,
// so only its text shows it.
func aboutAlert(err error) bool { return strings.Contains(err.Error(), "remote error: tls: ") }

// alertText returns the alert with which the server aborted a handshake.
func alertText(err error) string {
	text := err.Error()
	return text[strings.LastIndex(text, "tls: ")+len("tls: "):]
}

// refusedOurs describes a handshake that the server aborted, by its alert.
func refusedOurs(said string, keys Keys) (cause, hint string) {
	switch {
	case !strings.Contains(said, "certificate"):
		return "it aborts the TLS handshake (" + said + ")",
			"check which TLS versions and ciphers the server accepts; the connector supports 1.2 and 1.3"
	case keys.CertGiven:
		return "it does not accept the certificate of " + keys.Cert + " (" + said + ")",
			"put a certificate that the server's authority has signed, and its key, into the files of " + keys.Cert +
				" and the key beside it"
	}
	return "it requires a client certificate (" + said + ")",
		"put one into a file, its key into another, and name them in " + keys.Cert + " and the key_file beside it"
}
