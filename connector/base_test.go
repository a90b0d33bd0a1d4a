package connector

import (
	"context"
	"testing"
	"time"
)

// A log that begins after a sequence which an earlier one used is as whole as one that begins with 1: nothing is held in it, polls
// cost as little, and what is listed late is found.
func TestReader_ALogThatBeginsAfterASequence(t *testing.T) {
	for name, start := range map[string]Start{"beginning": beginning, "now": now} {
		t.Run(name, func(t *testing.T) {
			claim := Claim{Stream: Stream{Name: "a", SourceKey: "k"}, Instance: "me", FirstStart: true, After: 30}
			d := newDesk(t, start, newest(3, 1)...)
			log := &sequenced{ledger: ledger{t: t}, base: 30}
			d.Reader = NewReader(d.list, log, d.reading, State{Checkpoint: claim.TakeOver(Checkpoint{}, time.Now())})
			out := d.settle(20)
			want := 3
			if start == now {
				want = 0
			}
			if out.Delivered != want || out.Held != 0 {
				t.Fatalf("delivered %d, held %d", out.Delivered, out.Held)
			}
			for n := 4; n < 60; n++ {
				d.list.add(newest(n, n)...)
				d.list.requests()
				if out := d.poll(); out.Delivered != 1 || out.Held != 0 {
					t.Fatalf("message %d: delivered %d, held %d", n, out.Delivered, out.Held)
				}
				if got := d.list.requests(); got != "0" {
					t.Fatalf("message %d took pages %s", n, got)
				}
			}
			d.list.under(58, message(70))
			if out := d.sweep(); out.Late != 1 {
				t.Errorf("a sweep found %d late messages, want 1", out.Late)
			}
		})
	}
}

// sequenced is a ledger whose first sequence is not 1.
type sequenced struct {
	ledger
	base uint64
}

func (l *sequenced) Commit(_ context.Context, events []Event, _ []Reject, next Checkpoint) error {
	for i := range events {
		if want := l.base + uint64(len(l.events)) + 1; events[i].Sequence != want {
			l.t.Errorf("event %s has sequence %d, want %d", events[i].ID, events[i].Sequence, want)
		}
		l.events = append(l.events, events[i])
	}
	if next.Base != l.base {
		l.t.Errorf("the checkpoint begins after %d, want %d", next.Base, l.base)
	}
	return nil
}
