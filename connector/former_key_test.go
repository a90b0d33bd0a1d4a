package connector

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// A take-over records the key of chats that it replaces, as far as events were written with it.
func TestClaim_FormerKeys(t *testing.T) {
	earlier := FormerKeys{{"clear", "k", 2}}
	for name, c := range map[string]struct {
		claim Claim
		found Checkpoint
		want  FormerKeys
	}{
		"the first": {claim: Claim{Privacy: "hashed", Stream: Stream{SourceKey: "k"}}},
		"the same key": {Claim{Privacy: "hashed", Stream: Stream{SourceKey: "k"}}, Checkpoint{
			Privacy: "hashed", SourceKey: "k", Sequence: 5, FormerKeys: earlier,
		}, earlier},
		"another mode": {Claim{Privacy: "hashed", Stream: Stream{SourceKey: "k"}}, Checkpoint{
			Privacy: "clear", SourceKey: "k", Sequence: 5,
		}, FormerKeys{{"clear", "k", 5}}},
		"another base URL": {Claim{Privacy: "hashed", Stream: Stream{SourceKey: "new", FormerKey: "k"}}, Checkpoint{
			Privacy: "hashed", SourceKey: "k", Sequence: 5, FormerKeys: earlier,
		}, FormerKeys{{"clear", "k", 2}, {"hashed", "k", 5}}},
		"another base URL, pseudonymous": {Claim{Privacy: "pseudonymous:1", Stream: Stream{SourceKey: "new"}}, Checkpoint{
			Privacy: "pseudonymous:1", SourceKey: "k", Sequence: 5,
		}, FormerKeys{{"pseudonymous:1", "k", 5}}},
		"before the first event": {Claim{Privacy: "hashed", Stream: Stream{SourceKey: "k"}}, Checkpoint{
			Privacy: "clear", SourceKey: "k", Sequence: 5, Certified: 5, Base: 5,
		}, nil},
		"a name that was renamed": {Claim{Privacy: "hashed", Stream: Stream{SourceKey: "k"}}, Checkpoint{
			Privacy: "hashed", SourceKey: RetiredKey("k"), Sequence: 5, RenamedTo: "b",
		}, nil},
	} {
		if got := c.claim.TakeOver(c.found, time.Now()).FormerKeys; !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	c := Checkpoint{Privacy: "clear", SourceKey: "k"}
	for n := range MaxFormerKeys + 3 {
		c.Sequence += 10
		c.Certified = c.Sequence
		c = Claim{Privacy: fmt.Sprint("pseudonymous:", n), Stream: Stream{SourceKey: "k"}}.TakeOver(c, time.Now())
	}
	if n := len(c.FormerKeys); n != MaxFormerKeys || c.FormerKeys[n-1].Last != c.Sequence {
		t.Errorf("%v", c.FormerKeys)
	}
	last := c.FormerKeys[MaxFormerKeys-1]
	if key, ok := c.FormerKeys.At(c.Sequence); !ok || key != last {
		t.Errorf("the newest event has %v, %v", key, ok)
	}
	if _, ok := c.FormerKeys.At(c.Sequence + 1); ok {
		t.Error("the next event has a former key")
	}
}
