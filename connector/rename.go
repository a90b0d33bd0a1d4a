package connector

import "slices"

// Rename is a change of a stream's name in a sink. First the former name's checkpoint is taken over, and records that
// it was renamed; then the new name gets the same checkpoint; then the former one is retired. If that is interrupted at
// any point, no name can be started under which messages would be written twice, and it can be repeated.
type Rename struct {
	From, To string
	// SourceKeys are those that the list had before: a name may have been retired under one of them.
	SourceKeys []string
}

// names reports whether a name is one of the two.
func (r *Rename) names(name string) bool { return r != nil && (name == r.From || name == r.To) }

// Retired reports whether a checkpoint is that of a name which the claim's list had before.
func (c Claim) Retired(found Checkpoint) bool {
	if found.RenamedTo == "" {
		return false
	}
	keys := []string{c.Stream.SourceKey}
	if c.Rename != nil {
		keys = append(keys, c.Rename.SourceKeys...)
	}
	return slices.ContainsFunc(keys, func(key string) bool { return found.SourceKey == RetiredKey(key) })
}

// RenamedFrom reports whether a name is the one that the claim's stream had before.
func (c Claim) RenamedFrom(name string) bool { return c.Rename != nil && c.Rename.From == name }

// MaxFormerNames is how many former names a checkpoint may have.
const MaxFormerNames = 16

// formerNames returns the former names of the new name, given those of the former one. A name that is taken back is no
// former one any more.
func (r *Rename) formerNames(names []string) []string {
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == r.From || name == r.To })
	return append(names, r.From)
}

// ForFormerName returns the claim to what lies under a former name of the stream, whose checkpoint was found. Taking it
// over changes only its epoch and its owner: the name stays retired, and is refused for delivery.
func (c Claim) ForFormerName(found Checkpoint) Claim {
	c.Stream.Name, c.Stream.SourceKey, c.Stream.FormerKey = found.Stream, found.SourceKey, ""
	c.Privacy = found.Privacy
	c.Rename = &Rename{From: found.Stream, To: found.RenamedTo}
	return c
}

// With returns the claim that records a checkpoint under its name.
func (c Claim) With(restore Checkpoint) Claim {
	c.Restore = &restore
	return c
}

// RetiredKey is the source key of a checkpoint whose stream was renamed. With the list's own key it would be an alias
// of the stream.
func RetiredKey(sourceKey string) string { return SourceKey(sourceKey, "renamed", "") }
