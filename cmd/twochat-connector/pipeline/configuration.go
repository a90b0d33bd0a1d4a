package pipeline

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
)

// Configuration is what is known of the configuration of a running instance, and of its file.
type Configuration struct {
	cli.InForce
	// Loaded is when what is in force was read.
	Loaded time.Time `json:"loaded"`
	// Refused is why the file, which has changed since, is not in force, found at RefusedAt; empty if it is in force.
	Refused   string    `json:"refused,omitempty"`
	RefusedAt time.Time `json:"refused_at,omitzero"`
	Hint      string    `json:"hint,omitempty"`
}

// ConfigurationRecord holds what is known of the configuration file. It is safe for concurrent use.
type ConfigurationRecord struct {
	mu      sync.Mutex
	current Configuration
}

// Current is what was recorded last.
func (r *ConfigurationRecord) Current() Configuration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// Set records what is known now.
func (r *ConfigurationRecord) Set(c Configuration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = c
}

// ConfigurationMetrics tell whether the configuration file is in force.
func ConfigurationMetrics(current func() Configuration) []prometheus.Collector {
	return []prometheus.Collector{
		gauge("config_last_reload_successful", "1 while the configuration file is in force, 0 while it is refused.",
			func() float64 { return oneIf(current().Refused == "") }),
		gauge("config_last_reload_success_timestamp_seconds", "When the configuration in force was read.",
			func() float64 { return float64(current().Loaded.UnixMilli()) / 1000 }),
	}
}

// gauge is a metric of the instance as a whole that is read when it is asked for.
func gauge(name, help string, value func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "twochat_connector", Name: name, Help: help}, value)
}

// oneIf is how a metric says yes or no.
func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
