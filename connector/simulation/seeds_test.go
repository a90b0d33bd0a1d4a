package simulation

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestSeeds repeats worlds in which something once went wrong, each one of thousands.
func TestSeeds(t *testing.T) {
	for _, world := range []struct {
		what string
		draw func(*rand.Rand) settings
		safe bool // as in TestWorlds
		seed uint64
	}{
		{"late runs below what was delivered of a deep backlog, which were taken for new", lateRuns, true, 1000100},
		{"a burst that pushed ground past a walk's start, and an erased event that was taken for new", hard, false, 1000039},
		{"a horizon among whose rows others came in late, above which some of its rows were not delivered", accepting, false, 1000009},
	} {
		t.Run(fmt.Sprint(world.seed), func(t *testing.T) {
			res := newRun(world.seed, world.draw).finish()
			wrong := len(res.faults) > 0 || res.lost > 0 || res.disorder > 0 || res.restless
			if wrong || world.safe && res.holes+res.overlooked > 0 {
				t.Errorf("%s: %+v", world.what, res)
			}
		})
	}
}
