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
		{"rows in the quarantine, above which the log's oldest events were looked for", hard, false, 1000082},
		{"what came in late below the log's oldest events, the lowest of which was deleted", lying, false, 1000138},
		{"a row that was listed twice, once below the log's oldest events", hard, false, 2000262},
		{"a burst of pages within a deep walk, right above a false end", lying, false, 2000229},
		{"a burst of pages within a walk from page 0, right above a false end", lying, false, 4000559},
		{"a list that grew by many pages between the polls and the checks of its end", lying, false, 4000069},
		{"a false end of a list that was found to be new", hard, false, 4001320},
		{"what came in late among the log's oldest events, the lowest of which were deleted", plain, true, 4002158},
		{"a last page that was read again in a burst with the pages above it, under one lie", lying, false, 1000154},
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
