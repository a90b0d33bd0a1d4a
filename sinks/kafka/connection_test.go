package kafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/twochat-connector/twochat-connector/connector"
)

// authority makes certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	_, _, a.cert, a.key = a.sign("authority")
	return a
}

// sign makes a certificate and its key as PEM. The first one signs itself.
func (a *authority) sign(name string) (cert, key string, parsed *x509.Certificate, private *ecdsa.PrivateKey) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour),
		NotAfter:  time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:    []string{"kafka.example.com"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
		IsCA:     a.cert == nil,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := template, private
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &private.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if parsed, err = x509.ParseCertificate(raw); err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	pemOf := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return pemOf("CERTIFICATE", raw), pemOf("EC PRIVATE KEY", der), parsed, private
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// TestTLS uses a broker that requires a client certificate, with files that change while the sink is open.
func TestTLS(t *testing.T) {
	right, wrong := newAuthority(t), newAuthority(t)
	cert, key, _, _ := right.sign("broker")
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(right.cert)
	b := lenientFake(t, 1, kfake.TLS(&tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}))

	wrongCert, wrongKey, _, _ := wrong.sign("client")
	settings := TLS{
		CAFile: writeFile(t, "ca", wrong.pem()), CertFile: writeFile(t, "cert", wrongCert),
		KeyFile: writeFile(t, "key", wrongKey),
	}
	s := openSink(t, b, Config{Topic: newTopic(), TLS: settings}, connector.Encoding{})
	defer s.Close()
	if err := s.Create(t.Context()); err == nil {
		t.Fatal("a broker of another authority is trusted")
	}
	overwrite(t, settings.CAFile, right.pem())
	if eventually(t, s.Create, 3*time.Second) {
		t.Fatal("the broker takes a client of another authority")
	}
	clientCert, clientKey, _, _ := right.sign("client")
	overwrite(t, settings.CertFile, clientCert)
	overwrite(t, settings.KeyFile, clientKey)
	if !eventually(t, s.Create, 10*time.Second) {
		t.Fatal("the new certificate is not read")
	}

	other := openSink(t, b, Config{Topic: newTopic(), TLS: TLS{
		CAFile: settings.CAFile, CertFile: settings.CertFile,
		KeyFile: settings.KeyFile, ServerName: "other.example.com",
	}}, connector.Encoding{})
	defer other.Close()
	if err := other.Create(t.Context()); err == nil {
		t.Fatal("a broker of another name is trusted")
	}
	named := openSink(t, b, Config{Topic: newTopic(), TLS: TLS{
		CAFile: settings.CAFile, CertFile: settings.CertFile,
		KeyFile: settings.KeyFile, ServerName: "kafka.example.com",
	}}, connector.Encoding{})
	defer named.Close()
	if err := named.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// eventually tries until it succeeds or the time is over.
func eventually(t *testing.T, try func(context.Context) error, limit time.Duration) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for try(ctx) != nil {
		if connector.Sleep(ctx, 50*time.Millisecond) != nil {
			return false
		}
	}
	return true
}

func TestOldTLSIsRefused(t *testing.T) {
	config, err := TLS{Enabled: true}.load("kafka.example.com:9093")
	if err != nil {
		t.Fatal(err)
	}
	if config.MinVersion != tls.VersionTLS12 || config.ServerName != "kafka.example.com" || config.InsecureSkipVerify {
		t.Errorf("%+v", config)
	}
	if _, err := (TLS{CAFile: writeFile(t, "ca", "no certificate")}).load("kafka.example.com:9093"); err == nil ||
		!strings.Contains(err.Error(), "tls.ca_file") {
		t.Errorf("got %v", err)
	}
}

// TestBearer follows RFC 7628: the token is sent first; an empty answer is consent, anything else the reason for a
// refusal.
func TestBearer(t *testing.T) {
	file := writeFile(t, "token", "first\n")
	m := SASL{Mechanism: "oauthbearer", TokenFile: file}.mechanism()
	if m.Name() != "OAUTHBEARER" {
		t.Errorf("name %q", m.Name())
	}
	for _, token := range []string{"first", "second"} {
		overwrite(t, file, token+"\n")
		session, first, err := m.Start(t.Context())
		if err != nil || string(first) != "n,,\x01auth=Bearer "+token+"\x01\x01" {
			t.Fatalf("got %q, %v", first, err)
		}
		if ok, _, err := session.Next(t.Context(), nil); !ok || err != nil {
			t.Errorf("consent: %t, %v", ok, err)
		}
		if ok, _, err := session.Next(t.Context(), []byte(`{"status":"invalid_token"}`)); ok || err == nil ||
			strings.Contains(err.Error(), token) {
			t.Errorf("refusal: %t, %v", ok, err)
		}
	}
	overwrite(t, file, "\n")
	if _, _, err := m.Start(t.Context()); err == nil {
		t.Error("an empty token is sent")
	}
}

// TestSilentBroker limits the wait for a broker that accepts connections and does not answer.
func TestSilentBroker(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := openSink(t, &broker{address: listener.Addr().String()}, Config{}, connector.Encoding{})
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := s.Create(ctx); err == nil {
		t.Error("no error")
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestRealCredentials uses each mechanism with a real broker: the right secret is accepted, a wrong one is not.
func TestRealCredentials(t *testing.T) {
	if realBroker.real(t) == nil {
		return
	}
	open, closed, _ := secured(t, newAuthority(t))
	client := &kafkago.Client{Addr: kafkago.TCP(open.address), Transport: &kafkago.Transport{}}
	defer client.Transport.(*kafkago.Transport).CloseIdleConnections()
	for _, m := range []kafkago.ScramMechanism{kafkago.ScramMechanismSha256, kafkago.ScramMechanismSha512} {
		digest := sha256.New
		if m == kafkago.ScramMechanismSha512 {
			digest = sha512.New
		}
		salted, err := pbkdf2.Key(digest, "right", []byte("salt"), 4096, digest().Size())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.AlterUserScramCredentials(within(t),
			&kafkago.AlterUserScramCredentialsRequest{Upsertions: []kafkago.UserScramCredentialsUpsertion{
				{Name: "connector", Mechanism: m, Iterations: 4096, Salt: []byte("salt"), SaltedPassword: salted},
			}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range answer.Results {
			if r.Error != nil {
				t.Fatal(r.Error)
			}
		}
	}
	bearer := func(life time.Duration) string {
		part := base64.RawURLEncoding.EncodeToString
		return part([]byte(`{"alg":"none"}`)) + "." +
			part(fmt.Appendf(nil, `{"sub":"connector","iat":%d,"exp":%d}`, time.Now().Add(-2*time.Hour).Unix(),
				time.Now().Add(life).Unix())) + "."
	}
	for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512", "oauthbearer"} {
		t.Run(mechanism, func(t *testing.T) {
			right, wrong := "right", "wrong"
			if mechanism == "oauthbearer" {
				right, wrong = bearer(time.Hour), bearer(-time.Hour)
			}
			secret := writeFile(t, "secret", wrong+"\n")
			settings := SASL{Mechanism: mechanism, Username: "connector", PasswordFile: secret}
			if mechanism == "oauthbearer" {
				settings = SASL{Mechanism: mechanism, TokenFile: secret}
			}
			s := openSink(t, closed, Config{Topic: newTopic(), SASL: settings}, connector.Encoding{})
			defer s.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			if err := s.Create(ctx); err == nil {
				t.Fatal("the wrong secret is accepted")
			} else if strings.Contains(err.Error(), wrong) {
				t.Fatalf("the error quotes the secret: %v", err)
			}
			overwrite(t, secret, right+"\n")
			if !eventually(t, s.Create, 20*time.Second) {
				t.Fatal("the new secret is not taken")
			}
		})
	}
}
