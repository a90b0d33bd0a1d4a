package nats

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/twochat-connector/twochat-connector/connector"
)

// certificate makes a self-signed one for 127.0.0.1 and writes it, and its key, as PEM.
func certificate(t *testing.T) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(
		os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)); err != nil {
		t.Fatal(err)
	}
	if pair, err = tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	return pair, certFile, keyFile
}

func TestConnection_TLS(t *testing.T) {
	pair, certFile, keyFile := certificate(t)
	_, otherFile, _ := certificate(t)
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
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
