package traces

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/sinks/sinktest"
)

// Traces are sent to the configuration's address, else to that of the standard variables, else nowhere.
func TestSettings_Endpoint(t *testing.T) {
	for name, test := range map[string]struct {
		configured string
		env        []string
		want       string
	}{
		"nothing":           {"", nil, ""},
		"configured":        {"http://otel:4318/", nil, "http://otel:4318/v1/traces"},
		"general variable":  {"", []string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://otel/base/"}, "https://otel/base/v1/traces"},
		"variable as it is": {"", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://otel:4318/x"}, "http://otel:4318/x"},
		"the one for traces goes before it": {"", []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://a", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://b/v1/traces",
		}, "http://b/v1/traces"},
		"configured goes before all": {
			"http://c", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://b"}, "http://c/v1/traces",
		},
		"disabled":              {"http://c", []string{"OTEL_SDK_DISABLED=True"}, ""},
		"no exporter":           {"http://c", []string{"OTEL_TRACES_EXPORTER=none"}, ""},
		"other variables alone": {"", []string{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_SERVICE_NAME=x"}, ""},
	} {
		s, err := SettingsOf(&config.Config{Traces: config.Traces{Endpoint: test.configured}}, test.env)
		if err != nil || s.url != test.want || s.On() != (test.want != "") {
			t.Errorf("%s: to %q, %v; want %q", name, s.url, err, test.want)
		}
	}
}

// Each variable is read. A wrong one is named without its value.
func TestSettings_Variables(t *testing.T) {
	cert, key := sinktest.SelfSigned(t, time.Now().Add(-time.Minute))
	nothing := filepath.Join(t.TempDir(), "canary")
	if err := os.WriteFile(nothing, []byte("canary"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := func(entries ...string) (Settings, error) {
		return SettingsOf(&config.Config{Traces: config.Traces{Endpoint: "http://otel"}}, entries)
	}
	s, err := read("OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20x, tenant=7", "OTEL_EXPORTER_OTLP_TIMEOUT=2500",
		"OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_SERVICE_NAME=shop",
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25", "OTEL_TRACES_EXPORTER=otlp",
		"OTEL_EXPORTER_OTLP_CERTIFICATE="+cert, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="+cert,
		"OTEL_EXPORTER_OTLP_CLIENT_KEY="+key, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=1500")
	if err != nil {
		t.Fatal(err)
	}
	if s.headers["authorization"] != "Bearer x" || s.headers["tenant"] != "7" || s.timeout != 1500*time.Millisecond ||
		!s.compress || s.name != "shop" || s.tls.RootCAs == nil || len(s.tls.Certificates) != 1 ||
		!strings.Contains(s.sampler.Description(), "TraceIDRatioBased{0.25}") {
		t.Errorf("read %+v", s)
	}
	if s, err = read(); err != nil || s.timeout != 10*time.Second || s.compress || s.tls != nil ||
		s.name != "twochat-connector" ||
		!strings.Contains(s.sampler.Description(), "AlwaysOnSampler") {
		t.Errorf("without variables: %+v, %v", s, err)
	}
	for _, sampler := range []string{
		"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off",
	} {
		if _, err := read("OTEL_TRACES_SAMPLER=" + sampler); err != nil {
			t.Errorf("%s: %v", sampler, err)
		}
	}
	for _, wrong := range []string{
		"OTEL_EXPORTER_OTLP_HEADERS=canary", "OTEL_EXPORTER_OTLP_HEADERS=a=canary%zz", "OTEL_EXPORTER_OTLP_TIMEOUT=canary",
		"OTEL_EXPORTER_OTLP_HEADERS=a=canary%0d%0ab: c",
		"OTEL_EXPORTER_OTLP_TIMEOUT=-1", "OTEL_EXPORTER_OTLP_COMPRESSION=canary", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
		"OTEL_TRACES_SAMPLER=canary", "OTEL_TRACES_SAMPLER_ARG=canary", "OTEL_TRACES_SAMPLER_ARG=1.5",
		"OTEL_TRACES_EXPORTER=canary", "OTEL_EXPORTER_OTLP_CERTIFICATE=/canary", "OTEL_EXPORTER_OTLP_CERTIFICATE=" + nothing,
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=" + cert,
	} {
		name, _, _ := strings.Cut(wrong, "=")
		if s, err := read(wrong); err == nil || s.On() || !strings.Contains(err.Error(), name) ||
			strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: on %t, %v", wrong, s.On(), err)
		}
	}
	for _, wrong := range []string{
		"otel:4318", "ftp://otel", "http://user:canary@otel", "http://", "http://otel/#canary",
	} {
		if s, err := SettingsOf(&config.Config{}, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + wrong}); err == nil || s.On() ||
			strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: on %t, %v", wrong, s.On(), err)
		}
	}
}
