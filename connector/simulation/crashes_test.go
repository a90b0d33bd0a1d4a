package simulation

import (
	"math/rand/v2"
	"testing"
)

// small is a world in which nothing fails by itself and everything else happens: a backlog of several pages at the
// first start, bursts, late messages, deletions.
func small(r *rand.Rand) settings {
	return settings{
		page: 10, slice: 6, run: 5, memory: 50, history: 45, ties: 2, inserts: .3, bursts: .05, burst: 40, late: .1,
		lateDepth: 12,
		deletes:   .05, deleteDepth: 60, deleteAge: 60, sweep: 7, sweepPages: 12, polls: 40, replicas: 1, begin: "beginning",
	}
}

// TestEveryCrashPoint stops the process at its k-th external effect, once for each k, before and after the effect (a
// replica yields at both), and restarts it with nothing but what the log holds (I14). Then it does so at every pair of
// points that are close together: a crash while recovering from a crash.
func TestEveryCrashPoint(t *testing.T) {
	points := 0
	for _, again := range []int{0, 1, 3} {
		for k := 1; ; k++ {
			s := newRun(7, small)
			crashed, calm := s.finishCrashing(k, again)
			res := s.count(!calm)
			if len(res.faults) > 0 || res.lost > 0 || res.disorder > 0 || res.restless {
				t.Fatalf("crash at effect %d and %d effects later: %+v", k, again, res)
			}
			if !crashed {
				break
			}
			points++
		}
	}
	if points < 1000 {
		t.Fatalf("only %d crash points: the scenario has become too small", points)
	}
	t.Logf("%d crash points", points)
}

// finishCrashing runs the world to its end and kills the only replica at its k-th effect, and again after that many
// effects of the restarted one. It reports whether the run got that far, and whether it came to rest in the end.
func (s *run) finishCrashing(k, again int) (crashed, calm bool) {
	r := s.replicas[0]
	defer func() { r.stop() }()
	effects := 0
	for s.polls() < s.world.cfg.polls && len(s.broker.faults) == 0 {
		if effects++; effects == k || again > 0 && effects == k+again {
			r.stop()
			r.live()
			crashed = true
		}
		r.next()
	}
	return crashed, s.settleDown()
}
