package cli

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/twochat-connector/twochat-connector/config"
	"github.com/twochat-connector/twochat-connector/sinks"
)

func TestProgram_SaveMemory(t *testing.T) {
	jetstream := sinks.Config{JetStream: sinks.Defaults().JetStream}
	embedded := sinks.Config{Embedded: sinks.Defaults().Embedded}
	tests := []struct {
		name     string
		streams  int
		seen     int
		sink     sinks.Config
		env      []string
		cgroup   string // content of the container's limits file; empty means no container
		expected int64  // 0 means that no limit is set
	}{
		{"one stream", 1, 20_000, jetstream, []string{"HOME=/"}, "", 48 << 20},
		{"three", 3, 20_000, jetstream, nil, "", 64 << 20},
		{"a small window", 1, 10_000, jetstream, nil, "", 48 << 20},
		{"large windows", 2, 1_020_000, jetstream, nil, "", 56<<20 + 128_000_000},
		{"a broker inside", 1, 20_000, embedded, nil, "", 0},
		{"the operator's limit", 1, 20_000, jetstream, []string{"GOMEMLIMIT=1GiB"}, "1000000000", 0},
		{"the operator's pace", 1, 20_000, jetstream, []string{"GOGC=off"}, "1000000000", 0},
		{"a container with room", 1, 20_000, jetstream, nil, "134217728", 48 << 20},
		{"a container that is too small for its streams", 100, 20_000, jetstream, nil, "134217728", 107_374_160},
		{"a broker inside of a container", 1, 20_000, embedded, nil, "805306368\n", 644_245_040},
		{"a container without a limit", 3, 20_000, jetstream, nil, "max\n", 64 << 20},
		{"a container without a limit, as cgroup v1 says it", 3, 20_000, jetstream, nil, "9223372036854771712", 64 << 20},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := configOf(test.streams, test.sink)
			c.Seen.Capacity = test.seen
			var got int64
			root := fstest.MapFS{}
			if test.cgroup != "" {
				root["sys/fs/cgroup/memory/memory.limit_in_bytes"] = &fstest.MapFile{Data: []byte(test.cgroup)}
			}
			percent, collected := 0, func() {}
			p := &Program{
				Env: test.env, Root: root, LimitMemory: func(bytes int64) int64 { got = bytes; return 0 },
				CollectAt:        func(p int) int { percent = p; return 100 },
				AfterCollections: func(do func()) { collected = do },
			}
			p.SaveMemory(c)
			saved := c.Sink.Embedded == nil && !strings.HasPrefix(strings.Join(test.env, ""), "GO")
			if saved != (percent == garbageShare) {
				t.Errorf("garbage may take %d %%", percent)
			}
			percent = 0
			if collected(); saved != (percent >= garbageShare && percent <= smallHeapShare) {
				t.Errorf("after a collection garbage may take %d %%", percent)
			}
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
