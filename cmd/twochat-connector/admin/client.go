package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/pipeline"
	"github.com/twochat-connector/twochat-connector/connector"
)

// StatusWithin reads the status once, or repeatedly until everything is well or the time has passed. If nothing answers and
// the configuration is wrong, the error says both.
func (t Target) StatusWithin(ctx context.Context, patience time.Duration) (body []byte, r pipeline.Report, err error) {
	body, r, err = t.statusWithin(ctx, patience)
	if err != nil && t.Broken != nil {
		err = cli.UsageOf(cli.Together([]error{t.Broken, err, cli.Hinted(
			errors.New("the configuration is wrong, so only what can be read of it was used to ask an instance"), hintWithoutFile)}))
	}
	return body, r, err
}

func (t Target) statusWithin(ctx context.Context, patience time.Duration) (body []byte, r pipeline.Report, err error) {
	deadline := time.Now().Add(patience)
	for {
		body, r, err = t.readStatus(ctx)
		if err == nil && r.Ready && r.Healthy || !time.Now().Before(deadline) || connector.Sleep(ctx, time.Second) != nil {
			return body, r, err
		}
	}
}

func (t Target) readStatus(ctx context.Context) (body []byte, r pipeline.Report, err error) {
	if body, err = t.Ask(ctx); err != nil {
		return nil, r, err
	}
	if err := json.Unmarshal(body, &r); err != nil || r.Version == "" {
		return nil, r, cli.Hinted(fmt.Errorf("the server at %s is not a connector of this version", t.Where),
			"name the connector's admin server with --admin")
	}
	return body, r, nil
}

// statusTimeout limits the request, and statusBytes the answer (a thousand streams take a megabyte).
const (
	statusTimeout = 5 * time.Second
	statusBytes   = 32 << 20
)

// Ask reads the status of an instance, as JSON. Its errors quote no address and no token.
func (t Target) Ask(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.URL+"/status", nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: the address is not valid", t.Where)
	}
	if t.token != nil {
		token, err := t.token()
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	// A transport alone follows no redirect, which could lead the token elsewhere.
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, TLSClientConfig: t.trust}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, t.failed(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, statusBytes))
	switch {
	case err != nil:
		return nil, t.failed(err)
	case response.StatusCode != http.StatusOK:
		return nil, t.refused(response, body)
	}
	return body, nil
}

// refused is the error of an answer that is not the status.
func (t Target) refused(response *http.Response, body []byte) error {
	text, hint := fmt.Sprintf("it answered %d %s", response.StatusCode, http.StatusText(response.StatusCode)), hintRuns
	switch {
	case response.StatusCode == http.StatusUnauthorized && t.token == nil:
		text, hint = "it asks for a token", "name the file of its admin.token_file with --token-file"
	case response.StatusCode == http.StatusUnauthorized:
		text, hint = "it asks for another token", "name the file of its admin.token_file with --token-file"
	case response.StatusCode == http.StatusBadRequest && strings.Contains(string(body), "HTTP request to an HTTPS server"):
		text, hint = "it speaks TLS", "name its admin server with --admin https://…"
	}
	return cli.Hinted(fmt.Errorf("ask %s: %s", t.Where, text), hint)
}

// hintWithoutFile is what to do if the configuration cannot be read.
const hintWithoutFile = "`twochat-connector status --admin http://ADDRESS` asks an instance without the configuration file"

const hintRuns = "check that the connector is running there, and name its admin server with --admin"

// failed is the error of a question that got no answer.
func (t Target) failed(err error) error {
	var own *cli.HintedError // of this side's own files
	if errors.As(err, &own) {
		return own
	}
	hint := hintRuns
	cause, advice := tlsCause(err)
	if cause == "" {
		cause = cli.NetCause(err, "the answer cannot be read")
	} else {
		hint = advice
	}
	return cli.Hinted(fmt.Errorf("ask %s: %s", t.Where, cause), hint)
}

// tlsCause says why a TLS handshake failed, and what to do; "" where something else did.
func tlsCause(err error) (cause, hint string) {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, errOtherCertificate):
		return errOtherCertificate.Error(), "see what else listens there, or name the admin server with --admin"
	case errors.As(err, &unknown):
		return "its certificate is not signed by an authority that is trusted here",
			"name a file with that authority's certificate, in PEM, with --ca-file"
	case errors.As(err, &host):
		return "its certificate is for another name", "name it with --admin as its certificate does"
	case errors.As(err, &invalid):
		return "its certificate has expired, or may not be used for a server", "renew the certificate of admin.tls.cert_file"
	case errors.As(err, &record):
		return "it does not speak TLS", "name its admin server with --admin http://…"
	}
	return "", ""
}
