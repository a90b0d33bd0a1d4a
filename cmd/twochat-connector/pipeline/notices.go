package pipeline

import (
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
)

// noticesNamed is how many notices a verdict names; all are listed below it.
const noticesNamed = 2

// notices are what is to be looked at by day; minor ones are listed as well, but do not make a verdict.
func (v Verdict) notices(minor bool) []string {
	var what []string
	for _, p := range v.Problems {
		if p.Level == LevelNotice && p.minor == minor {
			what = append(what, p.What)
		}
	}
	return what
}

// toLookAt counts the notices, as many as are listed below, and names the first in a few words.
func (v Verdict) toLookAt() string {
	what := slices.Concat(v.notices(false), v.notices(true))
	said := text.Counted(len(what), "thing") + " to look at: " + strings.Join(what[:min(len(what), noticesNamed)], ", ")
	if len(what) > noticesNamed {
		said += ", …"
	}
	return said
}

// Shown is the level that a person is shown: all is well with notices that are minor.
func (v Verdict) Shown() Level {
	if v.Level == LevelNotice && len(v.notices(false)) == 0 {
		return LevelWell
	}
	return v.Level
}

// toKnow counts the notices where all are minor, as they are listed below; empty if there are none.
func (v Verdict) toKnow() string {
	if known := len(v.notices(true)); known > 0 {
		return "; " + text.Counted(known, "thing") + " to know"
	}
	return ""
}
