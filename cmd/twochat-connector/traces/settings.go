package traces

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// Settings are the settings of the traces and of their receiver.
type Settings struct {
	url      string // where to send; empty if there are no traces
	headers  map[string]string
	timeout  time.Duration // of one batch, including its repeats
	compress bool
	tls      *tls.Config // nil: what this machine trusts
	sampler  sdktrace.Sampler
	name     string // of the service
	resource string // further attributes, as OTEL_RESOURCE_ATTRIBUTES
}

// On reports whether there are traces.
func (s Settings) On() bool { return s.url != "" }

const (
	tracesPath     = "/v1/traces"
	defaultTimeout = 10 * time.Second // as the specification says
	serviceName    = "twochat-connector"
)

// environment holds the variables of a process. If a name is given twice, the last one counts.
type environment map[string]string

func environmentOf(entries []string) environment {
	env := environment{}
	for _, entry := range entries {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, "OTEL_") {
			env[name] = strings.TrimSpace(value)
		}
	}
	return env
}

// exporter returns a variable of the exporter: its form for traces only, else its general form. name is the one that is
// set.
func (env environment) exporter(suffix string) (value, name string) {
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"} {
		if value := env[prefix+suffix]; value != "" {
			return value, prefix + suffix
		}
	}
	return "", ""
}

// wrongVariable is the error of a variable. It does not quote the value, which may be a secret.
func wrongVariable(name, expected string) error {
	return cli.Hinted(fmt.Errorf("traces: environment %s: expected %s", name, expected),
		"correct the variable, or unset it; without it traces are sent as by default, or not at all")
}

// SettingsOf reads the settings from a configuration and the standard variables of OpenTelemetry. An error concerns a
// variable; then there are no traces.
func SettingsOf(c *config.Config, entries []string) (Settings, error) {
	env := environmentOf(entries)
	if strings.EqualFold(env["OTEL_SDK_DISABLED"], "true") || env["OTEL_TRACES_EXPORTER"] == "none" {
		return Settings{}, nil
	}
	s := Settings{timeout: defaultTimeout, name: serviceName, resource: env["OTEL_RESOURCE_ATTRIBUTES"]}
	var err error
	if s.url, err = endpointOf(c.Traces.Endpoint, env); err != nil || s.url == "" {
		return Settings{}, err
	}
	if name := env["OTEL_SERVICE_NAME"]; name != "" {
		s.name = name
	}
	if value := env["OTEL_TRACES_EXPORTER"]; value != "" && value != "otlp" {
		return Settings{}, wrongVariable("OTEL_TRACES_EXPORTER", "otlp or none")
	}
	if value, name := env.exporter("PROTOCOL"); value != "" && value != "http/protobuf" {
		return Settings{}, wrongVariable(name, "http/protobuf, the only protocol here")
	}
	if value, name := env.exporter("HEADERS"); value != "" {
		if s.headers, err = headersOf(value); err != nil {
			return Settings{}, wrongVariable(name, "name=value, with commas between several")
		}
	}
	if value, name := env.exporter("TIMEOUT"); value != "" {
		milliseconds, err := strconv.Atoi(value)
		if err != nil || milliseconds <= 0 {
			return Settings{}, wrongVariable(name, "a number of milliseconds")
		}
		s.timeout = time.Duration(milliseconds) * time.Millisecond
	}
	switch value, name := env.exporter("COMPRESSION"); value {
	case "", "none":
	case "gzip":
		s.compress = true
	default:
		return Settings{}, wrongVariable(name, "gzip or none")
	}
	if s.tls, err = tlsOf(env); err != nil {
		return Settings{}, err
	}
	if s.sampler, err = samplerOf(env); err != nil {
		return Settings{}, err
	}
	return s, nil
}

// endpointOf is the URL to which batches are sent: the configuration's, else that of the variables.
func endpointOf(configured string, env environment) (string, error) {
	if configured != "" {
		return strings.TrimRight(configured, "/") + tracesPath, nil
	}
	value, name := env.exporter("ENDPOINT")
	if value == "" {
		return "", nil
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Fragment != "" {
		return "", wrongVariable(name, "a URL such as http://otel-collector:4318")
	}
	if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		value = strings.TrimRight(value, "/") + tracesPath
	}
	return value, nil
}

var errHeaders = errors.New("no headers")

// headersOf reads headers in the form of W3C Baggage, as specified.
func headersOf(text string) (map[string]string, error) {
	headers := map[string]string{}
	for part := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil || name == "" || strings.ContainsAny(name+value, "\r\n\x00") || strings.ContainsAny(name, " :") {
			return nil, errHeaders
		}
		headers[name] = value
	}
	return headers, nil
}

// tlsOf returns how the receiver is trusted and which certificate is shown to it; nil if no variable is set.
func tlsOf(env environment) (*tls.Config, error) {
	authority, authorityName := env.exporter("CERTIFICATE")
	public, publicName := env.exporter("CLIENT_CERTIFICATE")
	private, _ := env.exporter("CLIENT_KEY")
	if authority == "" && public == "" {
		return nil, nil
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if authority != "" {
		text, err := secret.Text(authority)
		settings.RootCAs = x509.NewCertPool()
		if err != nil || !settings.RootCAs.AppendCertsFromPEM([]byte(text)) {
			return nil, wrongVariable(authorityName, "a file with certificates in PEM")
		}
	}
	if public != "" {
		pair, err := secret.KeyPair(public, private)
		if err != nil {
			return nil, wrongVariable(publicName, "a file with a certificate in PEM, and its key in the file of …CLIENT_KEY")
		}
		settings.Certificates = []tls.Certificate{pair}
	}
	return settings, nil
}

// samplerOf returns which traces are kept: all, unless a variable is set.
func samplerOf(env environment) (sdktrace.Sampler, error) {
	ratio := 1.0
	if text := env["OTEL_TRACES_SAMPLER_ARG"]; text != "" {
		var err error
		if ratio, err = strconv.ParseFloat(text, 64); err != nil || ratio < 0 || ratio > 1 {
			return nil, wrongVariable("OTEL_TRACES_SAMPLER_ARG", "a ratio from 0 to 1")
		}
	}
	switch env["OTEL_TRACES_SAMPLER"] {
	case "", "parentbased_always_on":
		return sdktrace.ParentBased(sdktrace.AlwaysSample()), nil
	case "always_on":
		return sdktrace.AlwaysSample(), nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(ratio), nil
	case "parentbased_always_off":
		return sdktrace.ParentBased(sdktrace.NeverSample()), nil
	case "parentbased_traceidratio":
		return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio)), nil
	}
	return nil, wrongVariable("OTEL_TRACES_SAMPLER",
		"always_on, always_off, traceidratio, or one of these with parentbased_ before it")
}
