package connector

import (
	"errors"
	"slices"
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

// A log that continues after a number records which sequences it passed over; a log that begins after one has a base.
func TestClaim_TakeOverAfterASequence(t *testing.T) {
	claim := Claim{Stream: Stream{Name: "support"}, FirstStart: true, After: 70}
	for _, test := range []struct {
		name  string
		found Checkpoint
		base  uint64
		want  SequenceRanges
	}{
		{"behind", Checkpoint{Sequence: 40, Certified: 40}, 0, SequenceRanges{{From: 41, To: 70}}},
		{
			"behind again",
			Checkpoint{Sequence: 40, Certified: 40, Skipped: SequenceRanges{{From: 11, To: 30}}},
			0,
			SequenceRanges{{From: 11, To: 30}, {From: 41, To: 70}},
		},
		{"as far", Checkpoint{Sequence: 70, Certified: 70}, 0, nil},
		{"empty", Checkpoint{}, 70, nil},
	} {
		next := claim.TakeOver(test.found, time.Now())
		if next.Sequence != 70 || next.Base != test.base || !slices.Equal(next.Skipped, test.want) {
			t.Errorf("%s: sequence %d, base %d, passed over %v", test.name, next.Sequence, next.Base, next.Skipped)
		}
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

// A stream that has another name or base URL is refused with a command that is complete: what runs is to be stopped
// first, and --rekey is there where chats get other keys.
func TestClaim_RefusalsNameWholeCommands(t *testing.T) {
	found := func(privacy string) Checkpoint { return Checkpoint{SourceKey: "former", Privacy: privacy} }
	const rekey = "move --from FORMER-URL --rekey`"
	for privacy, wants := range map[string]map[string]string{
		"hashed":         {"hashed": rekey, "clear": rekey},
		"clear":          {"clear": "move --from FORMER-URL`", "hashed": rekey},
		"pseudonymous:1": {"pseudonymous:1": "move --from FORMER-URL`", "hashed": rekey},
	} {
		for before, want := range wants {
			err := Claim{Stream: Stream{Name: "support", SourceKey: "k"}, Privacy: privacy}.Admit(found(before))
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "stop what runs") {
				t.Errorf("%s after %s: %v, want %q", privacy, before, err, want)
			}
		}
	}
	claim := Claim{Stream: Stream{Name: "support", SourceKey: "k"}}
	for _, err := range []error{claim.RefuseAlias("sales"), claim.Admit(Checkpoint{RenamedTo: "sales"})} {
		if err == nil || !strings.Contains(err.Error(), "stop what runs under that name") ||
			!strings.Contains(err.Error(), "checkpoint rename sales support") {
			t.Errorf("%v", err)
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

// The checkpoint that an operator restores replaces the one that is found, is never older, and never lowers the epoch.
func TestClaim_Restore(t *testing.T) {
	brought := exampleCheckpoint()
	claim := Claim{Stream: Stream{Name: "support", SourceKey: "0123"}, Privacy: "hashed", Instance: "me"}.With(brought)
	found := Checkpoint{SourceKey: "0123", Privacy: "hashed", Epoch: 9, Sequence: 12, Sink: []byte(`{"here":1}`)}
	if err := claim.Admit(found); err != nil {
		t.Error(err)
	}
	next := claim.TakeOver(found, time.Now())
	if next.Epoch != 10 || next.Owner != "me" || next.Sequence != 12 || len(next.Tail) != 3 || string(next.Sink) != `{"here":1}` {
		t.Errorf("%+v", next)
	}
	if next := claim.TakeOver(Checkpoint{}, time.Now()); next.Epoch != brought.Epoch+1 || next.Sink != nil {
		t.Errorf("into an empty sink: %+v", next)
	}
	found.Sequence = 13
	var refusal *Refusal
	if err := claim.Admit(found); !errors.As(err, &refusal) || !strings.Contains(refusal.Cause, "would go back to 12") {
		t.Errorf("a checkpoint that would go back: %v", err)
	}
}

// A checkpoint that was renamed is accepted only by the renaming itself.
func TestClaim_Rename(t *testing.T) {
	former := Claim{Stream: Stream{Name: "support", SourceKey: "k"}, Privacy: "hashed"}
	current := former
	current.Stream.Name = "sales"
	renaming, taking := former, current
	renaming.Rename = &Rename{From: "support", To: "sales"}
	taking.Rename = renaming.Rename
	begun := renaming.TakeOver(Checkpoint{SourceKey: "k", Privacy: "hashed", Sequence: 5}, time.Now())
	if begun.RenamedTo != "sales" || begun.SourceKey != "k" {
		t.Fatalf("%+v", begun)
	}
	if next := taking.With(begun).TakeOver(Checkpoint{}, time.Now()); next.RenamedTo != "" || next.Stream != "sales" ||
		next.Sequence != 5 {
		t.Errorf("the new name gets %+v", next)
	}
	retired := begun
	retired.SourceKey = RetiredKey("k")
	if former.Stream.HasSourceKey(retired.SourceKey) {
		t.Error("a retired checkpoint is an alias of its list")
	}
	back := current
	back.Rename = &Rename{From: "sales", To: "support"}
	returning := former
	returning.Rename = back.Rename
	foreign, other := renaming, renaming
	foreign.Stream.SourceKey = "x"
	other.Rename = &Rename{From: "support", To: "third"}
	for name, c := range map[string]struct {
		claim Claim
		found Checkpoint
		want  string
	}{
		"run, begun":               {former, begun, "it was renamed"},
		"run, retired":             {former, retired, "it was renamed"},
		"again, begun":             {renaming, begun, ""},
		"again, retired":           {renaming, retired, ""},
		"back":                     {returning, retired, ""},
		"to a third name":          {other, retired, "it was renamed"},
		"of another list, retired": {foreign, retired, "another list"},
	} {
		var refusal *Refusal
		switch err := c.claim.Admit(c.found); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.As(err, &refusal) || !strings.Contains(refusal.Cause, c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if !taking.RenamedFrom("support") || taking.RenamedFrom("sales") || former.RenamedFrom("support") {
		t.Error("which name is the former one")
	}
}

// A name that was retired before a move or a rekey can be taken back, as the present name's checkpoint has the key.
func TestClaim_RetiredUnderAFormerKey(t *testing.T) {
	retired := Checkpoint{Stream: "support", SourceKey: RetiredKey("old"), Privacy: "clear", RenamedTo: "sales"}
	claim := Claim{
		Stream: Stream{Name: "support", SourceKey: "new"}, Privacy: "hashed",
		Rename: &Rename{From: "sales", To: "support", SourceKeys: []string{"old"}},
	}
	if err := claim.Admit(retired); err != nil {
		t.Error(err)
	}
	claim.Rename.SourceKeys = []string{"other"}
	var refusal *Refusal
	if err := claim.Admit(retired); !errors.As(err, &refusal) || !strings.Contains(refusal.Cause, "another list") {
		t.Errorf("the name of another list: %v", err)
	}
}

// The checkpoint of a former name is taken over without coming into force, and the present name records its former ones.
func TestClaim_ForFormerName(t *testing.T) {
	claim := Claim{Stream: Stream{Name: "sales", SourceKey: "k", FormerKey: "f"}, Privacy: "hashed", Instance: "me"}
	found := Checkpoint{
		Stream: "support", SourceKey: RetiredKey("k"), Privacy: "clear", RenamedTo: "sales", Epoch: 3, Sequence: 5,
	}
	former := claim.ForFormerName(found)
	if err := former.Admit(found); err != nil {
		t.Fatal(err)
	}
	next := former.TakeOver(found, time.Now())
	if next.Stream != "support" || next.SourceKey != found.SourceKey || next.Privacy != "clear" ||
		next.RenamedTo != "sales" || next.Epoch != 4 || next.Sequence != 5 || next.FormerNames != nil {
		t.Errorf("%+v", next)
	}
	var refusal *Refusal
	claim.Stream.Name = "support"
	if err := claim.Admit(next); !errors.As(err, &refusal) || !strings.Contains(refusal.Cause, "it was renamed") {
		t.Errorf("run under the former name: %v", err)
	}
	c := Checkpoint{SourceKey: "k", Privacy: "hashed"}
	for _, step := range []struct {
		from, to string
		want     []string
	}{
		{"support", "sales", []string{"support"}},
		{"sales", "office", []string{"support", "sales"}},
		{"office", "sales", []string{"support", "office"}},
	} {
		taking := claim
		taking.Stream.Name, taking.Rename = step.to, &Rename{From: step.from, To: step.to}
		if c = taking.With(c).TakeOver(Checkpoint{}, time.Now()); !slices.Equal(c.FormerNames, step.want) {
			t.Errorf("%s to %s: %q, want %q", step.from, step.to, c.FormerNames, step.want)
		}
	}
	again := claim
	again.Stream.Name = "sales"
	if next := again.TakeOver(c, time.Now()); !slices.Equal(next.FormerNames, c.FormerNames) {
		t.Errorf("the next owner has %q", next.FormerNames)
	}
}
