package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/clitest"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

const adminToken = "admin-canary-5d1c0be7"

// With a token and TLS, status can ask the admin server by its configuration alone, or by URL with the token and the
// authority. If one of them is missing, status says which. Nothing prints the token.
func TestAdmin_TokenAndTLS(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 10, History: 30})
	dir := t.TempDir()
	cert, key := sinktest.SelfSigned(t, time.Now().Add(-time.Minute))
	otherCert, otherKey := sinktest.SelfSigned(t, time.Now().Add(-time.Minute))
	token := filepath.Join(dir, "token")
	put := func(path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	put(token, adminToken+"\n")
	put(filepath.Join(dir, "wrong"), "another-token-0123456789")
	path := configure(t, url, "file: { path: "+filepath.Join(dir, "events.jsonl")+" }")
	port := clitest.ClosedPort(t)
	replace(t, path, "listen: '127.0.0.1:0'", fmt.Sprintf("listen: '%s', token_file: %s, tls: { cert_file: %s, key_file: %s }",
		port, token, cert, key))
	r := start(t, "run", "--config", path)
	base := r.admin()
	if base != "https://"+port {
		t.Fatalf("it says to be at %s", base)
	}
	var shown strings.Builder
	says := func(want int, words string, args ...string) {
		t.Helper()
		code, out, errOut := finish(t, append([]string{"status"}, args...)...)
		shown.WriteString(out + errOut)
		if code != want || !strings.Contains(out+errOut, words) {
			t.Errorf("status %v ends with %d, want %d and %q: %s%s", args, code, want, words, out, errOut)
		}
	}
	says(cli.ExitFine, "all is well", "--config", path, "--wait", "20s")
	wrong, missing := filepath.Join(dir, "wrong"), filepath.Join(dir, "missing")
	untrusted := "not signed by an authority that is trusted here"
	says(cli.ExitFine, "all is well", "--admin", base, "--ca-file", cert, "--token-file", token)
	says(cli.ExitFailed, untrusted, "--admin", base, "--token-file", token)
	says(cli.ExitFailed, untrusted, "--admin", base, "--ca-file", otherCert, "--token-file", token)
	says(cli.ExitFailed, "it asks for a token", "--admin", base, "--ca-file", cert)
	says(cli.ExitFailed, "it asks for another token", "--admin", base, "--ca-file", cert, "--token-file", wrong)
	says(cli.ExitFailed, "it speaks TLS", "--admin", "http://"+port, "--token-file", token)
	says(cli.ExitFailed, "no such file", "--admin", base, "--ca-file", cert, "--token-file", missing)
	says(cli.ExitUsage, "no such file", "--admin", base, "--ca-file", missing)
	says(cli.ExitUsage, "no certificate in", "--admin", base, "--ca-file", token)

	// A certificate other than the configured one is not trusted, whoever signed it.
	elsewhere := filepath.Join(t.TempDir(), "config.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(elsewhere, strings.NewReplacer(cert, otherCert, key, otherKey).Replace(string(content)))
	says(cli.ExitFailed, "another than that of admin.tls.cert_file", "--config", elsewhere)

	code, out, errOut := finish(t, "check", "--config", path)
	shown.WriteString(out + errOut)
	wantCode(t, code, cli.ExitWrong)
	clitest.WantText(t, "check beside it", out, "a connector is already running there")

	// A token that was replaced is required at once.
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	put(token, "exchanged-token-0123456789")
	says(cli.ExitFine, "all is well", "--config", path)
	wantCode(t, r.end(), cli.ExitFine)
	if text := shown.String() + r.out.String() + r.err.String(); strings.Contains(text, adminToken) {
		t.Error("the token is shown")
	}
}

// A probe needs no token. It needs TLS if the server has TLS.
func TestAdmin_ProbesWithoutToken(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 11, History: 30})
	r := startWith(t, []string{"TWOCHAT_ADMIN_TOKEN=" + adminToken}, "run", "--config",
		configure(t, url, "file: { path: "+filepath.Join(t.TempDir(), "events.jsonl")+" }"))
	base := r.admin()
	until(t, "readiness", func() bool {
		status, body := get(t, base+"/readyz")
		if strings.Contains(body, "support") {
			t.Fatalf("without the token the probe names a stream: %s", body)
		}
		return status == http.StatusOK
	})
	for _, place := range []string{"/metrics", "/status", "/"} {
		if status, _ := get(t, base+place); status != http.StatusUnauthorized {
			t.Errorf("%s answers %d without the token", place, status)
		}
	}
	wantCode(t, r.end(), cli.ExitFine)
}

// A token that is too short is refused by check, with and without --offline, and by run, with the same hint.
func TestAdmin_ShortToken(t *testing.T) {
	_, url := fakeAPI(t, twochattest.Options{Seed: 10, History: 3})
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("short"), 0o400); err != nil {
		t.Fatal(err)
	}
	path := configure(t, url, "file: { path: "+filepath.Join(dir, "events.jsonl")+" }")
	replace(t, path, "listen: '127.0.0.1:0'", "listen: '127.0.0.1:0', token_file: "+token)
	for _, args := range [][]string{{"check", "--offline"}, {"check"}, {"run"}} {
		code, out, errOut := finish(t, append(args, "--config", path)...)
		if code == cli.ExitFine {
			t.Errorf("%v passes", args)
		}
		clitest.WantText(t, args[0], out+errOut, "fewer than 16 characters", "write only 16 or more random characters")
	}
	replace(t, path, token, token+"-elsewhere")
	code, _, _ := finish(t, "check", "--offline", "--config", path)
	wantCode(t, code, cli.ExitFine)
}
