package main

import (
	"testing"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/sinks"
)

func TestProgram_SaveMemory(t *testing.T) {
	jetstream := sinks.Config{JetStream: sinks.Defaults().JetStream}
	tests := []struct {
		name     string
		streams  int
		seen     int
		sink     sinks.Config
		env      []string
		expected int64 // 0: no limit is set
	}{
		{"one stream", 1, 20_000, jetstream, []string{"HOME=/"}, 21 << 20},
		{"three", 3, 20_000, jetstream, nil, 37 << 20},
		{"a small window", 1, 10_000, jetstream, nil, 21 << 20},
		{"large windows", 2, 1_020_000, jetstream, nil, 29<<20 + 128_000_000},
		{"a broker inside", 1, 20_000, sinks.Config{Embedded: sinks.Defaults().Embedded}, nil, 0},
		{"the operator's limit", 1, 20_000, jetstream, []string{"GOMEMLIMIT=1GiB"}, 0},
		{"the operator's pace", 1, 20_000, jetstream, []string{"GOGC=off"}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := configOf(test.streams, test.sink)
			c.Seen.Capacity = test.seen
			var got int64
			p := &program{env: test.env, limitMemory: func(bytes int64) int64 { got = bytes; return 0 }}
			p.saveMemory(c)
			if got != test.expected {
				t.Errorf("limit %d, want %d", got, test.expected)
			}
		})
	}
}

func configOf(streams int, sink sinks.Config) *config.Config {
	c := config.Default()
	c.TwoChat.Streams = make([]config.StreamConfig, streams)
	c.Sink = sink
	return &c
}
