package pipeline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
)

// Replicas on machines of the same name are told apart.
func TestReplicasReport_Text(t *testing.T) {
	r := ReplicasReport{Self: "f/host:8080.AAAA1", Members: []MemberReport{
		{ID: "f/host:8080.AAAA1", Streams: 3}, {ID: "f/host:8080.BBBB2", Streams: 2}, {ID: "f/other:8080.CCCC3", Streams: 1},
	}}
	if got, want := r.Text(), "3: this one reads 3 streams, host:8080 BBBB 2, other:8080 1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A replica that reads nothing yet says what it really waits for.
func TestReplicasReport_WaitsFor(t *testing.T) {
	for want, r := range map[string]*ReplicasReport{
		"":                               {Members: []MemberReport{{ID: "a"}}},
		"known once the sink is reached": {Waiting: true, Unreached: true, Cause: "down"},
		"known once this one sees the others in the sink": {Waiting: true, Cause: "down"},
		"this one waits until the others have noticed it": {Waiting: true},
	} {
		if got := r.WaitsFor(); got != want || want != "" && r.Text() != want {
			t.Errorf("got %q, and %q, want %q", got, r.Text(), want)
		}
	}
}

// Before the sink is reached, nobody knows of other replicas, so none is waited for.
func TestReplicas_BeforeTheSinkIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := newBoardSink(&board{members: map[string]time.Time{}})
		sink.check = func(context.Context) ([]connector.Finding, error) { return nil, errors.New("down") }
		r := startReplica(t, sink)
		if got, want := r.Report(time.Now()).Replicas.Text(), "known once the sink is reached"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
