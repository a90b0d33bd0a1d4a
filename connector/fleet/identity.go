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

// distinct is how many characters of an instance tell members of the same name apart.
const distinct = 4

// Names are what a person tells members apart by: each one's Name, and where several have the same, as two machines may be
// called alike, also the beginning of its instance.
func Names(ids []string) map[string]string {
	names, times := map[string]string{}, map[string]int{}
	for _, id := range ids {
		times[Name(id)]++
	}
	for _, id := range ids {
		if names[id] = Name(id); times[Name(id)] > 1 {
			instance := instanceOf(id)
			names[id] += " " + instance[:min(len(instance), distinct)]
		}
	}
	return names
}

// Is reports whether a member is that instance.
func (m Member) Is(instance string) bool {
	return instance != "" && instanceOf(m.ID) == instance
}

// instanceOf is the process in an ID.
func instanceOf(id string) string { return id[strings.LastIndexAny(id, "./")+1:] }

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
