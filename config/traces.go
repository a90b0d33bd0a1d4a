package config

import "net/url"

// Traces is where traces are sent.
type Traces struct {
	Endpoint string `yaml:"endpoint" doc:"URL of an OTLP receiver over HTTP, such as http://otel-collector:4318; empty = OTEL_EXPORTER_OTLP_ENDPOINT, and no traces if that is empty too"`
}

func (t *Traces) validate(wrong func(path, text string)) {
	if t.Endpoint == "" {
		return
	}
	u, err := url.Parse(t.Endpoint)
	switch {
	case err != nil, u.Hostname() == "", u.Scheme != "http" && u.Scheme != "https",
		u.Port() != "" && !validPort(u.Port()):
		wrong("traces.endpoint", "expected a URL such as http://otel-collector:4318")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		wrong("traces.endpoint", "expected a URL without credentials, query and fragment; "+
			"credentials are headers in OTEL_EXPORTER_OTLP_HEADERS")
	}
}
