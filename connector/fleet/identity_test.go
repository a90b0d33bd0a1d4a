package fleet

import (
	"slices"
	"testing"
)

func TestNewID(t *testing.T) {
	labelled, bare := NewID("f", "pod.example:8080", "X7"), NewID("f", "", "X7")
	for id, name := range map[string]string{labelled: "pod.example:8080", bare: "X7"} {
		if got := Name(id); got != name {
			t.Errorf("%s is called %s, want %s", id, got, name)
		}
		if (Member{ID: id}).Is("7") || (Member{ID: id}).Is("") || !(Member{ID: id}).Is("X7") {
			t.Errorf("%s is not told apart from other instances", id)
		}
	}
	twin := NewID("f", "pod.example:8080", "Y8LONG")
	names := Names([]string{labelled, bare, twin})
	if names[labelled] != "pod.example:8080 X7" || names[twin] != "pod.example:8080 Y8LO" || names[bare] != "X7" {
		t.Errorf("the names are %q", names)
	}
	if labelOf(labelled) != labelOf(NewID("f", "pod.example:8080", "Y8")) || labelOf(bare) != "" {
		t.Errorf("the labels are %q and %q", labelOf(labelled), labelOf(bare))
	}
	ids := []string{labelled, NewID("g", "other", "Z9"), bare}
	if got := mates(bare, ids); !slices.Equal(got, []string{labelled, bare}) {
		t.Errorf("the mates are %q", got)
	}
}
