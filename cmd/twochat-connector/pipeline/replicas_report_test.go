package pipeline

import "testing"

// Replicas on machines of the same name are told apart.
func TestReplicasReport_Text(t *testing.T) {
	r := ReplicasReport{Self: "f/host:8080.AAAA1", Members: []MemberReport{
		{ID: "f/host:8080.AAAA1", Streams: 3}, {ID: "f/host:8080.BBBB2", Streams: 2}, {ID: "f/other:8080.CCCC3", Streams: 1},
	}}
	if got, want := r.Text(), "3: this one reads 3 streams, host:8080 BBBB 2, other:8080 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
