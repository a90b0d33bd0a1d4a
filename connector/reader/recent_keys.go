package reader

import (
	"slices"

	"github.com/twochat-connector/twochat-connector/connector"
)

// recentKeys is a bounded set of keys that forgets the oldest first.
type recentKeys struct {
	capacity int
	order    connector.Keys
	set      map[connector.Key]struct{}
}

func newRecentKeys(capacity int, keys connector.Keys) *recentKeys {
	k := &recentKeys{capacity: capacity, set: make(map[connector.Key]struct{}, len(keys))}
	for _, key := range keys {
		k.add(key)
	}
	return k
}

func (k *recentKeys) has(key connector.Key) bool {
	_, ok := k.set[key]
	return ok
}

// add reports whether the key is new.
func (k *recentKeys) add(key connector.Key) bool {
	if k.has(key) {
		return false
	}
	k.set[key] = struct{}{}
	k.order = append(k.order, key)
	if len(k.order) > k.capacity {
		delete(k.set, k.order[0])
		k.order = k.order[1:]
	}
	return true
}

// with returns the keys, oldest first, as they would be after adding the rejects. It does not change the set.
func (k *recentKeys) with(more []connector.Reject) connector.Keys {
	all := slices.Clone(k.order)
	for i := range more {
		if !k.has(more[i].Key) {
			all = append(all, more[i].Key)
		}
		if key := more[i].PositionKey; key != (connector.Key{}) && !k.has(key) {
			all = append(all, key)
		}
	}
	return all[max(0, len(all)-k.capacity):]
}
