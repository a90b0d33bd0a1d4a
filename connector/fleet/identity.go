package fleet

import "strings"

// NewID makes the ID of a process. The label is what only one process has at a time, such as the address that it listens
// on, and may contain dots; empty if there is nothing like that. Instance is what no other process ever has, without
// dots.
func NewID(label, instance string) string {
	if label == "" {
		return instance
	}
	return label + "." + instance
}

// Name is what a person knows a member by: its label, or its ID if it has none.
func Name(id string) string {
	if label := labelOf(id); label != "" {
		return label
	}
	return id
}

// Is reports whether a member is that instance.
func (m Member) Is(instance string) bool {
	return instance != "" && strings.TrimPrefix(m.ID, labelOf(m.ID)+".") == instance
}

// labelOf is the label in an ID, empty if it has none.
func labelOf(id string) string {
	end := strings.LastIndexByte(id, '.')
	return id[:max(end, 0)]
}
