package reader

import (
	"context"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// A log that begins after a sequence that an earlier log used is as complete as one that begins with 1: nothing in it
// is held, polls cost as little, and late messages are found.
func TestReader_ALogThatBeginsAfterASequence(t *testing.T) {
	for name, start := range map[string]connector.Start{
		"beginning": connectortest.StartBeginning,
		"now":       connectortest.StartNow,
	} {
		t.Run(name, func(t *testing.T) {
			claim := connector.Claim{
				Stream: connector.Stream{Name: "a", SourceKey: "k"}, Instance: "me", FirstStart: true,
				After: 30,
			}
			d := newReaderFixture(t, start, connectortest.Newest(3, 1)...)
			log := &sequenced{Log: connectortest.Log{T: t}, base: 30}
			d.Reader = NewReader(d.list, log, d.reading,
				connector.State{Checkpoint: claim.TakeOver(connector.Checkpoint{}, time.Now())})
			out := d.settle(20)
			want := 3
			if start == connectortest.StartNow {
				want = 0
			}
			if out.Delivered != want || out.Held != 0 {
				t.Fatalf("delivered %d, held %d", out.Delivered, out.Held)
			}
			for n := 4; n < 60; n++ {
				d.list.Add(connectortest.Newest(n, n)...)
				d.list.Requests()
				if out := d.poll(); out.Delivered != 1 || out.Held != 0 {
					t.Fatalf("message %d: delivered %d, held %d", n, out.Delivered, out.Held)
				}
				if got := d.list.Requests(); got != "0" {
					t.Fatalf("message %d took pages %s", n, got)
				}
			}
			d.list.Under(58, connectortest.Message(70))
			if out := d.sweep(); out.Late != 1 {
				t.Errorf("a sweep found %d late messages, want 1", out.Late)
			}
		})
	}
}

// sequenced is a log whose first sequence is not 1.
type sequenced struct {
	connectortest.Log
	base uint64
}

func (l *sequenced) Commit(_ context.Context, events []connector.Event, _ []connector.Reject,
	next connector.Checkpoint,
) error {
	for i := range events {
		if want := l.base + uint64(len(l.Events)) + 1; events[i].Sequence != want {
			l.T.Errorf("event %s has sequence %d, want %d", events[i].ID, events[i].Sequence, want)
		}
		l.Events = append(l.Events, events[i])
	}
	if next.Base != l.base {
		l.T.Errorf("the checkpoint begins after %d, want %d", next.Base, l.base)
	}
	return nil
}
