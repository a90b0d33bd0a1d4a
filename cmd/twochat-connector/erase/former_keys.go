package erase

import (
	"encoding/json"
	"slices"
	"strconv"

	"github.com/twochat-connector/twochat-connector/connector"
)

// formerKeys are the keys that a stream's chats had before. Under a pseudonym key that is not configured any more, only
// the chat's token of that time leads to its events.
type formerKeys struct {
	all    connector.FormerKeys // of the stream; for a former name, those of the present one
	others connector.FormerKeys // of another stream, whose chats have the same tokens
	lost   connector.FormerKeys
	blind  bool                        // the chat was named by its token alone, which leads to nothing under any other key
	looked map[connector.FormerKey]int // events
	found  map[connector.FormerKey]bool
}

// learn gives the chat its tokens under the former keys.
func (k *formerKeys) learn(one *target, checkpoint connector.Checkpoint) {
	k.looked, k.found = make(map[connector.FormerKey]int), make(map[connector.FormerKey]bool)
	if one.formerOf == "" {
		k.all = checkpoint.FormerKeys
	} else if len(k.all) == 0 && checkpoint.Privacy != one.claim.Privacy { // an earlier version did not record the key
		k.all = connector.FormerKeys{{
			Privacy: checkpoint.Privacy, SourceKey: one.claim.Stream.SourceKey, Last: checkpoint.Sequence,
		}}
	}
	for _, key := range k.others {
		one.chat.AddFormerKey(key)
	}
	for _, key := range k.all {
		if !one.chat.AddFormerKey(key) {
			k.lost = append(k.lost, key)
		}
	}
	k.blind = len(k.all) > 0 && one.chat.ByTokenAlone()
}

// see counts an event that was written with a lost key or, if the chat is known by a token alone, with any.
func (k *formerKeys) see(stored connector.StoredRecord, ours bool) {
	if len(k.lost) == 0 && !k.blind {
		return
	}
	var e struct{ Sequence string }
	if json.Unmarshal(stored.Event, &e) != nil {
		return
	}
	sequence, err := strconv.ParseUint(e.Sequence, 10, 64)
	key, former := k.all.At(sequence) // else the key in force, which has no name here
	if err == nil && (k.blind || former && slices.Contains(k.lost, key)) {
		k.looked[key]++
		k.found[key] = k.found[key] || ours
	}
}

// unreachable counts the events among which nothing of the chat was found, as their key is lost.
func (k *formerKeys) unreachable() (events int) {
	for key, looked := range k.looked {
		if !k.found[key] {
			events += looked
		}
	}
	return events
}
