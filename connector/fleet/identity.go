package fleet

import (
	"crypto/rand"
	"strings"
)

// NewID makes the ID of this process, which no other process ever has. The label is what only one process has at a
// time, such as the address that it listens on; empty if there is nothing like that. It may contain dots.
func NewID(label string) string {
	random := strings.ToLower(rand.Text()[:16])
	if label == "" {
		return random
	}
	return label + "." + random
}

// labelOf is the label in an ID, empty if it has none.
func labelOf(id string) string {
	end := strings.LastIndexByte(id, '.')
	return id[:max(end, 0)]
}
