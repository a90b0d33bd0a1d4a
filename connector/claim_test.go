package connector

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestClaim_TakeOverIsOneEpochOnAndKeepsTheRest(t *testing.T) {
	written := time.Date(2026, 1, 1, 0, 5, 0, 0, time.UTC)
	claim := Claim{Stream: Stream{Name: "support", SourceKey: "k"}, Privacy: "hashed", Instance: "me"}
	found := exampleCheckpoint()
	next := claim.TakeOver(found, written)
	if next.Epoch != found.Epoch+1 || next.Owner != "me" || !next.Written.Equal(written) || next.SourceKey != "k" ||
		next.Privacy != "hashed" {
		t.Errorf("%+v", next)
	}
	if next.Sequence != found.Sequence || len(next.Tail) != len(found.Tail) || next.Counters != found.Counters ||
		!next.Started {
		t.Errorf("it does not keep what was found: %+v", next)
	}
	first := claim.TakeOver(Checkpoint{}, written)
	if first.Version != CheckpointVersion || first.Epoch != 1 || first.Stream != "support" || first.Started {
		t.Errorf("the first of a stream: %+v", first)
	}
}

func TestClaim_RefusalsSayTheMend(t *testing.T) {
	claim := Claim{Stream: Stream{Name: "support"}}
	for want, err := range map[string]error{
		"run --first-start": claim.RefuseOrphans(),
		"name: other":       claim.RefuseAlias("other"),
	} {
		var refusal *Refusal
		if !errors.As(err, &refusal) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "support") {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func TestClaim_Admit(t *testing.T) {
	claim := Claim{Stream: Stream{Name: "support", SourceKey: "k"}, Privacy: "hashed"}
	rekey := claim
	rekey.Rekey = true
	pseudonymous := Claim{Stream: Stream{Name: "support", SourceKey: "mac", FormerKey: "k"}, Privacy: "pseudonymous:1"}
	rekeyed := pseudonymous
	rekeyed.Rekey = true
	tests := []struct {
		name  string
		claim Claim
		found Checkpoint
		want  string
	}{
		{"its own", claim, Checkpoint{SourceKey: "k", Privacy: "hashed"}, ""},
		{"another list under its name", claim, Checkpoint{SourceKey: "other", Privacy: "hashed"}, "another name"},
		{"another privacy", claim, Checkpoint{SourceKey: "k", Privacy: "clear"}, "--rekey"},
		{"another privacy, by the operator's word", rekey, Checkpoint{SourceKey: "k", Privacy: "clear"}, ""},
		{"another list, whatever the word", rekey, Checkpoint{SourceKey: "other", Privacy: "clear"}, "another name"},
		{"pseudonymous, its own", pseudonymous, Checkpoint{SourceKey: "mac", Privacy: "pseudonymous:1"}, ""},
		{"pseudonymous, of an earlier version", pseudonymous, Checkpoint{SourceKey: "k", Privacy: "pseudonymous:1"}, ""},
		{
			"pseudonymous, another list", pseudonymous,
			Checkpoint{SourceKey: "other", Privacy: "pseudonymous:1"},
			"another name",
		},
		{"pseudonymous, no key at all", pseudonymous, Checkpoint{Privacy: "pseudonymous:1"}, "another name"},
		{"pseudonymous after hashed", pseudonymous, Checkpoint{SourceKey: "k", Privacy: "hashed"}, "--rekey"},
		{"pseudonymous after hashed, by the operator's word", rekeyed, Checkpoint{SourceKey: "k", Privacy: "hashed"}, ""},
		{
			"pseudonymous after hashed, another list", rekeyed,
			Checkpoint{SourceKey: "other", Privacy: "hashed"},
			"another name",
		},
		{"another key of pseudonyms", pseudonymous, Checkpoint{SourceKey: "mac 2", Privacy: "pseudonymous:2"}, "--rekey"},
		{
			"another key of pseudonyms, by the operator's word", rekeyed,
			Checkpoint{SourceKey: "mac 2", Privacy: "pseudonymous:2"},
			"",
		},
		{"hashed after pseudonymous", claim, Checkpoint{SourceKey: "mac", Privacy: "pseudonymous:1"}, "--rekey"},
		{
			"hashed after pseudonymous, by the operator's word", rekey,
			Checkpoint{SourceKey: "mac", Privacy: "pseudonymous:1"},
			"",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.claim.Admit(test.found)
			var refusal *Refusal
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (!errors.As(err, &refusal) || !strings.Contains(refusal.Hint, test.want) ||
				refusal.Thing != "stream support"):
				t.Errorf("%v, want a refusal that says %q", err, test.want)
			}
		})
	}
}
