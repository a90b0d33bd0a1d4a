package connector

// FormerKey is how the chats of a stream were named up to a sequence: until another privacy mode, another pseudonym key
// or, with hashed tokens, another base URL was accepted.
type FormerKey struct {
	// Privacy and SourceKey are those of the checkpoint at that time.
	Privacy   string `json:"privacy"`
	SourceKey string `json:"source_key"`
	// Last is the last sequence that was delivered so.
	Last uint64 `json:"last"`
}

// MaxFormerKeys is how many former keys a checkpoint remembers. Of more, the oldest are forgotten.
const MaxFormerKeys = 8

// rekeyed returns the former keys of a stream that is taken over, with the key that the claim replaces, if it replaces
// one. A checkpoint that was renamed is not in force: its name gets no event with another key.
func (c Claim) rekeyed(held Checkpoint) FormerKeys {
	same := held.Privacy == c.Privacy && held.SourceKey == c.Stream.SourceKey
	if same || held.Privacy == "" || held.Sequence == held.Base || held.RenamedTo != "" {
		return held.FormerKeys
	}
	keys := append(make(FormerKeys, 0, len(held.FormerKeys)+1), held.FormerKeys...)
	keys = append(keys, FormerKey{Privacy: held.Privacy, SourceKey: held.SourceKey, Last: held.Sequence})
	return keys[max(0, len(keys)-MaxFormerKeys):]
}

// FormerKeys are the former keys of a stream, oldest first.
type FormerKeys []FormerKey

// At returns the former key with which the event of a sequence was written; ok is false for the key in force.
func (k FormerKeys) At(sequence uint64) (key FormerKey, ok bool) {
	for _, key := range k {
		if sequence <= key.Last {
			return key, true
		}
	}
	return FormerKey{}, false
}

// Rewritten reports whether an event that was written with the key may hold other contents than the same message gets
// with another privacy: a pseudonym key rewrites the numbers in them.
func (k FormerKey) Rewritten(privacy string) bool {
	return k.Privacy != privacy && (keyed(k.Privacy) || keyed(privacy))
}
