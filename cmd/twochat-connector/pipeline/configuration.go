package pipeline

import (
	"sync"
	"time"
)

// Configuration is what is known of the configuration file of a running instance.
type Configuration struct {
	File string `json:"file,omitempty"`
	// Loaded is when what is in force was read.
	Loaded time.Time `json:"loaded"`
	// Refused is why the file, which has changed since, is not in force, found at RefusedAt; empty if it is in force.
	Refused   string    `json:"refused,omitempty"`
	RefusedAt time.Time `json:"refused_at,omitzero"`
	Hint      string    `json:"hint,omitempty"`
}

// configurationRecord holds it. It is safe for concurrent use.
type configurationRecord struct {
	mu      sync.Mutex
	current Configuration
}

// Configuration is what was recorded last.
func (l *Pipeline) Configuration() Configuration {
	l.configuration.mu.Lock()
	defer l.configuration.mu.Unlock()
	return l.configuration.current
}

// RecordConfiguration records what is known now.
func (l *Pipeline) RecordConfiguration(c Configuration) {
	l.configuration.mu.Lock()
	defer l.configuration.mu.Unlock()
	l.configuration.current = c
}
