package pipeline

import (
	"strings"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector/twochat"
)

// A headline that counts what is to be looked at counts as many things as are listed below it. One that is minor alone
// makes no headline.
func TestVerdict_CountsWhatIsListed(t *testing.T) {
	notice := func(what string, minor bool) Problem { return Problem{Level: LevelNotice, What: what, minor: minor} }
	for want, problems := range map[string][]Problem{
		"1 thing to look at: a":        {notice("a", false)},
		"2 things to look at: b, a":    {notice("a", true), notice("b", false)},
		"3 things to look at: b, c, …": {notice("a", true), notice("b", false), notice("c", false)},
		"4 things to look at: 1, 2, …": {notice("1", false), notice("2", false), notice("3", true), notice("4", true)},
	} {
		v := Verdict{Level: LevelNotice, Problems: problems}
		if got := v.toLookAt(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if !strings.HasPrefix(want, string(rune('0'+len(problems)))) || v.Shown() != LevelNotice {
			t.Errorf("%q for %d problems, shown as %s", want, len(problems), v.Shown())
		}
	}
	if v := (Verdict{Level: LevelNotice, Problems: []Problem{notice("a", true)}}); v.Shown() != LevelWell {
		t.Errorf("a minor thing alone is shown as %s", v.Shown())
	}
}

// All is well with one minor thing, which the headline counts, as it is listed below.
func TestVerdict_OneThingToKnow(t *testing.T) {
	r := Report{Ready: true, Healthy: true}
	if got := VerdictOf(r).Text; got != "all is well" {
		t.Errorf("got %q", got)
	}
	r.ShapeChanges = make([]twochat.ShapeChange, 2)
	if got := VerdictOf(r).Text; got != "all is well; 1 thing to know" {
		t.Errorf("got %q", got)
	}
}
