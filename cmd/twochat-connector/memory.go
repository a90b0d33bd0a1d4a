package main

import (
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/config"
)

// What Go's memory is kept to: enough for a stream that catches up on a deep backlog of messages of half a kilobyte, and for each
// further one. Where they are larger, garbage is collected more often, which costs time, but at most as much again as all other work
// (the runtime sees to that), and the limit is exceeded. On top comes what the process has mapped of its program, about 18 MB.
const (
	memoryOfOne     = 21 << 20
	memoryOfFurther = 8 << 20
	memoryOfSeen    = 64 // bytes for each message beyond the default that a stream may remember
)

// memoryLimit is the soft limit of Go's memory for a configuration; 0 is none: a broker inside of the process has its own needs.
func memoryLimit(c *config.Config) int64 {
	if c.Sink.Embedded != nil {
		return 0
	}
	streams := int64(len(c.TwoChat.Streams))
	seen := max(0, int64(c.Seen.Capacity-config.Default().Seen.Capacity)) * memoryOfSeen
	return memoryOfOne + (streams-1)*memoryOfFurther + streams*seen
}

// saveMemory sets the soft limit, unless the environment says how Go should use its memory.
func (p *program) saveMemory(c *config.Config) {
	said := slices.ContainsFunc(p.env, func(v string) bool { return strings.HasPrefix(v, "GOMEMLIMIT=") || strings.HasPrefix(v, "GOGC=") })
	if limit := memoryLimit(c); limit > 0 && !said && p.limitMemory != nil {
		p.limitMemory(limit)
	}
}
