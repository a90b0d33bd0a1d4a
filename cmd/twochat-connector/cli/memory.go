package cli

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/twochat-connector/twochat-connector/config"
)

// The soft limit of Go's memory has room for one stream that catches up on a deep backlog of messages of a few
// kilobytes, and a fixed amount for each further stream. It is seldom reached: near the limit, garbage is collected all
// the time, which may double the CPU time. The mapped program adds about 18 MB.
const (
	memoryOfOne     = 48 << 20
	memoryOfFurther = 8 << 20
	memoryOfSeen    = 64 // bytes for each message beyond the default that a stream may remember
)

// memoryLimit is the soft limit of Go's memory for a configuration. It is 0, no limit, for the embedded broker, which
// has needs of its own.
func memoryLimit(c *config.Config) int64 {
	if c.Sink.Embedded != nil {
		return 0
	}
	streams := int64(len(c.Streams()))
	seen := max(0, int64(c.Seen.Capacity-config.Default().Seen.Capacity)) * memoryOfSeen
	return memoryOfOne + (streams-1)*memoryOfFurther + streams*seen
}

// containerShare is the percentage of a container's memory that Go may use. The rest is for the program itself, and for
// the stacks and buffers that the kernel counts.
const containerShare = 80

// withinContainer lowers a limit (0: none) to what fits into a container with this many bytes (0: no limit).
func withinContainer(limit, container int64) int64 {
	room := container / 100 * containerShare
	if room == 0 || limit > 0 && limit < room {
		return limit
	}
	return room
}

// containerMemory is the memory limit of the process's container in bytes; 0 if there is none. root is the root of the
// file system: the limit is in the file of cgroup v2 or v1 as it is mounted inside a container.
func containerMemory(root fs.FS) int64 {
	for _, file := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		content, err := fs.ReadFile(root, file)
		if err != nil {
			continue
		}
		// Without a limit, v2 has "max" and v1 a number near 2^63.
		if bytes, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64); err == nil && bytes < 1<<50 {
			return bytes
		}
	}
	return 0
}

// SaveMemory sets the soft limit, unless the environment already configures Go's memory.
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
	if c.Sink.Embedded == nil && p.CollectAt != nil {
		p.CollectAt(garbageShare)
		if p.AfterCollections != nil {
			p.AfterCollections(func() { p.CollectAt(heapNow().garbageNow()) })
		}
	}
}
