package fleet

import "strings"

// NewID makes the ID of a process. Only members of the same fleet share streams; its name has no slash. The label is what
// only one process has at a time, such as the address that it listens on, and may contain dots; empty if there is nothing
// like that. Instance is what no other process ever has, without dots and slashes.
func NewID(fleet, label, instance string) string {
	if label != "" {
		instance = label + "." + instance
	}
	return fleet + "/" + instance
}

// Name is what a person knows a member by: its label, or else its instance.
func Name(id string) string {
	_, name, _ := strings.Cut(id, "/")
	if end := strings.LastIndexByte(name, '.'); end > 0 {
		return name[:end]
	}
	return name
}

// Is reports whether a member is that instance.
func (m Member) Is(instance string) bool {
	return instance != "" && m.ID[strings.LastIndexAny(m.ID, "./")+1:] == instance
}

// mates are those of the IDs that are of the same fleet as this one.
func mates(of string, ids []string) []string {
	var list []string
	for _, id := range ids {
		if areMates(of, id) {
			list = append(list, id)
		}
	}
	return list
}

func areMates(a, b string) bool { return fleetOf(a) == fleetOf(b) }

// fleetOf is the name of the fleet in an ID, empty if it has none.
func fleetOf(id string) string { return id[:max(strings.IndexByte(id, '/'), 0)] }

// labelOf is the label in an ID, empty if it has none.
func labelOf(id string) string {
	end := strings.LastIndexByte(id, '.')
	return id[:max(end, 0)]
}
