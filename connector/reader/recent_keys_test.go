package reader

import (
	"slices"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

func TestRecentKeys(t *testing.T) {
	k := newRecentKeys(3, keysOf(1, 2))
	if k.add(connectortest.Key(2)) || !k.add(connectortest.Key(3)) || !k.add(connectortest.Key(4)) {
		t.Error("add does not tell new keys from old ones")
	}
	for n, want := range map[uint64]bool{1: false, 2: true, 3: true, 4: true} {
		if k.has(connectortest.Key(n)) != want {
			t.Errorf("it has key %d: %v", n, !want)
		}
	}
	if got := k.with([]connector.Reject{{Key: connectortest.Key(3)}, {Key: connectortest.Key(5)}}); !slices.Equal(got,
		keysOf(3, 5)) {
		t.Errorf("with one more it would be %x", got)
	}
	if !slices.Equal(k.order, keysOf(2, 4)) {
		t.Error("with has changed it")
	}
	if got := newRecentKeys(2, keysOf(1, 5)); !slices.Equal(got.with(nil), keysOf(4, 5)) || len(got.set) != 2 {
		t.Errorf("made of five keys it holds %d", len(got.set))
	}
}
