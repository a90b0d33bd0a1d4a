package admin

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// A renewed certificate is served without a restart. If the new one is incomplete or missing, the old one stays in
// use.
func TestCertificate_ReadAgain(t *testing.T) {
	dir := t.TempDir()
	put := func(name, from string, age time.Duration) {
		t.Helper()
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if at := time.Now().Add(-age); os.Chtimes(path, at, at) != nil {
			t.Fatal("the file keeps its time")
		}
	}
	pairOf := func(cert, key string) config.AdminTLS {
		return config.AdminTLS{CertFile: config.NewFileSecret(cert), KeyFile: config.NewFileSecret(key)}
	}
	certOf := func(file string) []byte {
		t.Helper()
		c := certificate{files: pairOf(file+".crt", file+".key")}
		if err := c.read(); err != nil {
			t.Fatal(err)
		}
		return c.pair.Certificate[0]
	}
	for _, name := range []string{"old", "new"} {
		cert, key := sinktest.SelfSigned(t, time.Now().Add(-time.Minute))
		put(name+".crt", cert, 0)
		put(name+".key", key, 0)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	put("tls.crt", at("old.crt"), time.Hour)
	put("tls.key", at("old.key"), time.Hour)
	c := &certificate{files: pairOf(at("tls.crt"), at("tls.key"))}
	var logged bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&logged, nil))
	shows := func(when, want string) {
		t.Helper()
		got, err := c.current(logger)
		if err != nil || !bytes.Equal(got.Certificate[0], certOf(at(want))) {
			t.Errorf("%s: it is not the %s one, %v", when, want, err)
		}
	}
	shows("at first", "old")
	put("tls.crt", at("new.crt"), 0)
	shows("with half of the new pair", "old")
	shows("still", "old")
	put("tls.key", at("new.key"), 0)
	shows("with the new pair", "new")
	if err := os.Remove(at("tls.key")); err != nil {
		t.Fatal(err)
	}
	shows("without a key", "new")
	if lines := strings.Count(logged.String(), "\n"); lines != 3 {
		t.Errorf("logged %d lines, want one each for broken, mended, broken: %s", lines, logged.String())
	}
}

func TestWantCertificate(t *testing.T) {
	own, key := sinktest.SelfSigned(t, time.Now().Add(-time.Minute))
	other, _ := sinktest.SelfSigned(t, time.Now().Add(-time.Minute))
	c := certificate{files: config.AdminTLS{CertFile: config.NewFileSecret(own), KeyFile: config.NewFileSecret(key)}}
	if err := c.read(); err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]bool{own: true, other: false, key: false, "/nowhere/tls.crt": false} {
		if err := wantCertificate(config.NewFileSecret(file), []*x509.Certificate{leaf}); (err == nil) != want {
			t.Errorf("%s: %v", file, err)
		}
	}
	if wantCertificate(config.NewFileSecret(own), nil) == nil {
		t.Error("a server without a certificate is taken")
	}
}
