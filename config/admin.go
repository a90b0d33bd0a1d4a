package config

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// Admin is the server for metrics, probes and status.
type Admin struct {
	Listen    string     `yaml:"listen" doc:"host:port of metrics, probes and status"`
	Hosts     []string   `yaml:"hosts" doc:"host names that requests may use, besides addresses, names of private networks and SERVICE.NAMESPACE of the pod's own namespace"`
	TokenFile FileSecret `yaml:"token_file" doc:"file with a token that /metrics, /status and the page require, re-read when it changes; the environment variable TWOCHAT_ADMIN_TOKEN takes precedence; empty = no token is required"`
	TLS       AdminTLS   `yaml:"tls"`

	// token is from TWOCHAT_ADMIN_TOKEN, which is not a key of the file. It is a pointer so that it is not printed.
	token *string
}

// AdminTLS is the certificate of the admin server.
type AdminTLS struct {
	CertFile FileSecret `yaml:"cert_file" doc:"file with the server's certificate and its intermediate certificates, in PEM, re-read when it changes; with it the server accepts only TLS"`
	KeyFile  FileSecret `yaml:"key_file" doc:"file with the certificate's key, in PEM, re-read when it changes"`
}

// Set reports whether the server uses TLS.
func (t AdminTLS) Set() bool { return t.CertFile.Set() }

// minToken is the minimum length of a token. A shorter one could be guessed.
const minToken = 16

// errNoToken means that no token is configured.
var errNoToken = errors.New("no token is configured")

// AsksForToken reports whether the server requires a token.
func (a *Admin) AsksForToken() bool { return a.token != nil || a.TokenFile.Set() }

// Token reads the token: TWOCHAT_ADMIN_TOKEN, else the present content of token_file. It is safe for concurrent use. If
// AsksForToken is false, it returns an error.
func (a *Admin) Token() (string, error) {
	if a.token != nil {
		return *a.token, nil
	}
	if !a.TokenFile.Set() {
		return "", errNoToken
	}
	token, err := a.TokenFile.Line()
	if err != nil {
		return "", err
	}
	if flaw := tokenFlaw(token); flaw != "" {
		return "", fmt.Errorf("read secret: %s %s", a.TokenFile, flaw)
	}
	return token, nil
}

// TokenHint is what to do about an error of Token.
func TokenHint(err error) string { return fileHint("admin.token_file", err) }

// AdminTokenIn is the admin server's token in an environment, or "" if there is none.
func AdminTokenIn(env []string) (string, error) {
	l := newLoader()
	l.readAdminToken(valueIn(env, AdminTokenVariable))
	switch given := l.config.Admin.token; {
	case len(l.problems) > 0:
		return "", l.problems
	case given == nil:
		return "", nil
	default:
		return *given, nil
	}
}

// valueIn is the value of a variable; if it is set twice, the last value counts.
func valueIn(env []string, name string) string {
	value := ""
	for _, entry := range env {
		if named, given, ok := strings.Cut(entry, "="); ok && named == name {
			value = given
		}
	}
	return value
}

// tokenFlaw explains why a text cannot be the token, or is "" if it can. It continues a sentence, as the text of
// keyFlaw does.
func tokenFlaw(token string) string {
	switch {
	case !headerSafe(token):
		return "contains blanks or unprintable characters, which a token cannot have: write only the token, without a word such " +
			"as Bearer before it"
	case len(token) < minToken:
		return fmt.Sprintf("has fewer than %d characters, which could be guessed", minToken)
	}
	return ""
}

// readAdminToken takes the token without the white space that a shell or a Secret put around it.
func (l *loader) readAdminToken(value string) {
	if value == "" {
		return
	}
	origin := Origin{Name: "environment " + AdminTokenVariable, rank: inEnvironment}
	token, err := secret.Trim([]byte(value))
	if err != nil {
		l.problem(origin, "", "expected a token, but the value "+err.Error())
		return
	}
	if flaw := tokenFlaw(token); flaw != "" {
		l.problem(origin, "", "expected a token, but the value "+flaw)
		return
	}
	l.config.Admin.token = &token
}

func (a *Admin) validate(wrong func(path, text string)) {
	if host, port, err := net.SplitHostPort(a.Listen); err != nil || !validPort(port) || strings.ContainsAny(host, " /") {
		wrong("admin.listen", "expected host:port, such as 127.0.0.1:8080 or :8080")
	}
	switch {
	case a.TLS.CertFile.Set() && !a.TLS.KeyFile.Set():
		wrong("admin.tls.key_file", "expected a file with the key of the certificate in admin.tls.cert_file")
	case a.TLS.KeyFile.Set() && !a.TLS.CertFile.Set():
		wrong("admin.tls.cert_file", "expected a file with the certificate of the key in admin.tls.key_file")
	}
}

// findings explains who may read what the server shows, if it listens beyond this machine.
func (a *Admin) findings() []connector.Finding {
	host, _, err := net.SplitHostPort(a.Listen)
	switch {
	case err != nil || loopback(host):
	case !a.AsksForToken():
		// This is not a warning: in a cluster most run it that way, behind network rules.
		return []connector.Finding{{
			Level: connector.FindingOK, Thing: "admin.listen",
			Text: "whoever reaches it may read metrics and status, which name no customer; with admin.token_file it requires a token",
		}}
	case !a.TLS.Set():
		return []connector.Finding{{
			Level: connector.FindingWarning, Thing: "admin.token_file", Text: "the token goes over the network in clear text",
			Hint: "set admin.tls.cert_file and admin.tls.key_file, or listen on loopback behind a proxy that encrypts",
		}}
	}
	return nil
}
