package sinktest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
)

// WantSeen checks that a take-over found these events, and no others.
func WantSeen(t *testing.T, state connector.State, events []connector.Event) {
	t.Helper()
	want := make([]connector.Seen, len(events))
	for i := range events {
		want[i] = connector.Seen{Key: events[i].Key, Sequence: events[i].Sequence, Late: events[i].Late}
	}
	if !slices.Equal(state.Seen, want) {
		t.Fatalf("the take-over found %d events, want %d\ngot  %v\nwant %v", len(state.Seen), len(want), state.Seen, want)
	}
}

var errEnough = errors.New("enough")

// WantFollowed checks that a stream's newest events are these, to the byte.
func WantFollowed(t *testing.T, sink interface {
	Follow(ctx context.Context, options connector.FollowOptions, each func(event []byte) error) error
}, stream string, events []connector.Event,
) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stepTimeout)
	defer cancel()
	n := 0
	err := sink.Follow(ctx, connector.FollowOptions{Stream: stream, Last: len(events)}, func(event []byte) error {
		if want := events[n].AppendJSON(nil); !bytes.Equal(event, want) {
			t.Errorf("event %d:\ngot  %s\nwant %s", n+1, event, want)
		}
		if n++; n == len(events) {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("followed %d of %d events: %v", n, len(events), err)
	}
}
