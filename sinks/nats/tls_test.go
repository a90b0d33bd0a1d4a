package nats

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

func TestConnection_TLS(t *testing.T) {
	certFile, keyFile := sinktest.SelfSigned(t, time.Now().Add(-time.Minute))
	otherFile, _ := sinktest.SelfSigned(t, time.Now().Add(-time.Minute))
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	secured := func(least, most uint16, client tls.ClientAuthType) string {
		s := startServer(t, server.Options{
			TLS: true, TLSTimeout: 5, TLSVerify: client == tls.RequireAndVerifyClientCert,
			TLSConfig: &tls.Config{
				Certificates: []tls.Certificate{pair}, MinVersion: least, MaxVersion: most,
				ClientAuth: client, ClientCAs: pool,
			},
		})
		return strings.Replace(s.ClientURL(), "nats://", "tls://", 1)
	}
	plain := startServer(t, server.Options{}).ClientURL()
	modern, old := secured(tls.VersionTLS12, 0, tls.NoClientCert), secured(tls.VersionTLS10, tls.VersionTLS11,
		tls.NoClientCert)
	mutual := secured(tls.VersionTLS12, 0, tls.RequireAndVerifyClientCert)
	for name, test := range map[string]struct {
		c  Connection
		ok bool
	}{
		"known authority":   {Connection{URL: modern, TLS: TLS{CAFile: certFile}}, true},
		"unknown authority": {Connection{URL: modern}, false},
		"another authority": {Connection{URL: modern, TLS: TLS{CAFile: otherFile}}, false},
		"another name": {Connection{
			URL: modern,
			TLS: TLS{CAFile: certFile, ServerName: "example.com"},
		}, false},
		"any certificate":    {Connection{URL: modern, TLS: TLS{Insecure: true}}, true},
		"older than TLS 1.2": {Connection{URL: old, TLS: TLS{Insecure: true}}, false},
		"client certificate": {Connection{URL: mutual, TLS: TLS{
			CAFile: certFile, CertFile: certFile,
			KeyFile: keyFile,
		}}, true},
		"no client certificate":               {Connection{URL: mutual, TLS: TLS{CAFile: certFile}}, false},
		"TLS wanted, the server has none":     {Connection{URL: plain, TLS: TLS{CAFile: certFile}}, false},
		"tls in the URL, the server has none": {Connection{URL: strings.Replace(plain, "nats://", "tls://", 1)}, false},
		"a file that is missing":              {Connection{URL: modern, TLS: TLS{CAFile: "/does/not/exist"}}, false},
		"a file without a certificate":        {Connection{URL: modern, TLS: TLS{CAFile: keyFile}}, false},
		"a pair that is no pair is not accepted": {Connection{URL: modern, TLS: TLS{
			CAFile: certFile, CertFile: otherFile,
			KeyFile: keyFile,
		}}, false},
	} {
		conn, err := test.c.Dial(t.Context(), quiet)
		if err == nil {
			conn.Close()
		}
		if (err == nil) != test.ok || err != nil && !errors.Is(err, connector.ErrNotNow) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
