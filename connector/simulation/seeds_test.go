package simulation

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestSeeds runs worlds again in which something once went wrong, each of which is one of thousands.
func TestSeeds(t *testing.T) {
	for _, world := range []struct {
		what string
		draw func(*rand.Rand) settings
		safe bool // as in TestWorlds
		seed uint64
	}{
		{"late runs come in below what two replicas had delivered of a deep backlog, and it was taken for new", lateRuns, true, 1000100},
		{"a burst pushed ground past the start of a walk that then met what was erased from the sink, and took it for new", hard, false, 1000039},
	} {
		t.Run(fmt.Sprint(world.seed), func(t *testing.T) {
			res := newRun(world.seed, world.draw).finish()
			if len(res.faults) > 0 || res.lost > 0 || res.disorder > 0 || res.restless || world.safe && res.holes+res.overlooked > 0 {
				t.Errorf("%s: %+v", world.what, res)
			}
		})
	}
}
