package connector

import (
	"slices"
	"testing"
	"time"
)

// A take-over records the settings that it replaces, as far as events were written with them, and each event has those
// of its time.
func TestClaim_FormerSettings(t *testing.T) {
	take := func(held Checkpoint, settings string) Checkpoint {
		return Claim{Settings: settings}.TakeOver(held, time.Now())
	}
	c := take(Checkpoint{}, "a")
	c = take(c, "b") // nothing was written yet
	c.Sequence = 10
	c = take(c, "b")
	c = take(c, "c")
	c = take(c, "d") // nothing was written with c
	c.Sequence = 30
	c = take(take(c, ""), "b")
	want := SettingsHistory{{"b", 10}, {"d", 30}}
	if c.Settings != "b" || !slices.Equal(c.FormerSettings, want) {
		t.Errorf("%q after %v, want %v", c.Settings, c.FormerSettings, want)
	}
	for sequence, want := range map[uint64]string{1: "b", 10: "b", 11: "d", 30: "d", 31: ""} {
		if got, ok := c.FormerSettings.At(sequence); got != want || ok != (want != "") {
			t.Errorf("event %d: %q, %v, want %q", sequence, got, ok, want)
		}
	}
	// What an earlier version wrote is not known.
	if old := take(Checkpoint{Sequence: 5}, "a"); len(old.FormerSettings) != 0 {
		t.Errorf("%v", old.FormerSettings)
	}
	renamed := Checkpoint{Sequence: 5, Settings: "a", RenamedTo: "x"}
	if kept := take(renamed, "b"); len(kept.FormerSettings) != 0 {
		t.Errorf("a name that was renamed: %v", kept.FormerSettings)
	}
	for n := range MaxFormerSettings + 3 {
		c.Sequence += 10
		c = take(c, string(rune('e'+n)))
	}
	if n := len(c.FormerSettings); n != MaxFormerSettings || c.FormerSettings[n-1].Last != c.Sequence {
		t.Errorf("%v", c.FormerSettings)
	}
}
