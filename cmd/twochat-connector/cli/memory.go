package cli

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/twochat-connector/twochat-connector/config"
)

// The soft limit of Go's memory: enough for a stream that catches up on a deep backlog of messages of half a kilobyte,
// and an amount for each further stream. If messages are larger, garbage is collected more often, which at most doubles
// the CPU time (the runtime ensures that), and the limit is exceeded. The mapped program adds about 18 MB.
const (
	memoryOfOne     = 21 << 20
	memoryOfFurther = 8 << 20
	memoryOfSeen    = 64 // bytes for each message beyond the default that a stream may remember
)

// memoryLimit is the soft limit of Go's memory for a configuration; 0 is none: a broker inside of the process has its
// own needs.
func memoryLimit(c *config.Config) int64 {
	if c.Sink.Embedded != nil {
		return 0
	}
	streams := int64(len(c.TwoChat.Streams))
	seen := max(0, int64(c.Seen.Capacity-config.Default().Seen.Capacity)) * memoryOfSeen
	return memoryOfOne + (streams-1)*memoryOfFurther + streams*seen
}

// containerShare is the part of a container's memory that Go's may take, in hundredths: beside it stand the program,
// and the stacks of what the kernel counts.
const containerShare = 80

// withinContainer lowers a limit (0 = none) to what a container of so many bytes (0 = no container's limit) has room
// for.
func withinContainer(limit, container int64) int64 {
	room := container / 100 * containerShare
	if room == 0 || limit > 0 && limit < room {
		return limit
	}
	return room
}

// containerMemory is the limit of the container that the process runs in, in bytes; 0 if there is none. root is the
// file system's root: the limit stands in cgroup v2's or v1's file as it is mounted inside of a container.
func containerMemory(root fs.FS) int64 {
	for _, file := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		content, err := fs.ReadFile(root, file)
		if err != nil {
			continue
		}
		// v2 says "max" where there is no limit; v1 a number near 2^63.
		if bytes, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64); err == nil && bytes < 1<<50 {
			return bytes
		}
	}
	return 0
}

// SaveMemory sets the soft limit, unless the environment says how Go should use its memory.
func (p *Program) SaveMemory(c *config.Config) {
	said := slices.ContainsFunc(p.Env, func(v string) bool {
		return strings.HasPrefix(v, "GOMEMLIMIT=") || strings.HasPrefix(v, "GOGC=")
	})
	if said || p.LimitMemory == nil {
		return
	}
	var container int64
	if p.Root != nil {
		container = containerMemory(p.Root)
	}
	if limit := withinContainer(memoryLimit(c), container); limit > 0 {
		p.LimitMemory(limit)
	}
}
