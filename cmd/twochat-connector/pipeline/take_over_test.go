package pipeline

import (
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/fleet"
)

// A stream that nobody owns any more is waited for as little as possible, that of a mate as long as mates count, and
// that of anybody else for the usual time.
func TestPipeline_StandDown(t *testing.T) {
	l := &Pipeline{}
	if got := l.standDown(handedBack + "a"); got <= 0 || got > time.Millisecond {
		t.Errorf("handed back: %s", got)
	}
	if got := l.standDown("a"); got != 0 {
		t.Errorf("without replicas: %s", got)
	}
	l.replicas = &replicas{view: fleet.View{Members: []fleet.Member{{ID: "fleet/mate.a"}}}}
	for owner, want := range map[string]time.Duration{"a": fleet.Lifetime, "b": 0} {
		if got := l.standDown(owner); got != want {
			t.Errorf("owner %s: %s, want %s", owner, got, want)
		}
	}
}
