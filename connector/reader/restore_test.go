package reader

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// What was erased from the log is delivered again as late, whether or not the checkpoint still names it, and the
// checkpoint's tail stays without a gap.
func TestSession_Restore(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(40, 1)...)
	d.settle(20)
	before := d.log.Checkpoint
	if before.Sequence != 40 || !slices.Contains(before.Tail, connectortest.Message(38).Key) {
		t.Fatalf("sequence %d, and a tail of %d", before.Sequence, len(before.Tail))
	}
	missing := func(numbers ...int) (list []Missing) {
		for _, n := range numbers {
			list = append(list, Missing{Message: connectortest.Message(n), Received: connectortest.Minute(90)})
		}
		return list
	}
	session := NewSession(d.list, d.log, d.reading, connector.Start{Beginning: true})
	d.log.Erased = map[uint64]bool{2: true, 38: true, 39: true}
	d.log.MaxCommit = connector.Limits{Messages: 2, Bytes: 1 << 20}
	out, err := session.Restore(t.Context(), missing(2, 38, 39))
	if err != nil || out.Delivered != 3 || out.Late != 3 {
		t.Fatalf("%+v, %v", out, err)
	}
	if got, want := d.log.Text(), connectortest.IDs(1, 40)+" m2* m38* m39*"; got != want {
		t.Errorf("the log has %s\nwant        %s", got, want)
	}
	after := d.log.Checkpoint
	if after.Sequence != 43 || after.Certified != before.Certified || after.Counters.Late != 3 {
		t.Errorf("sequence %d, certified %d, late %d", after.Sequence, after.Certified, after.Counters.Late)
	}
	first := after.Sequence - uint64(len(after.Tail)) + 1
	for i, key := range after.Tail {
		sequence := int(first) + i
		want := connectortest.Message(sequence).Key
		if sequence > 40 {
			want = connectortest.Message([]int{2, 38, 39}[sequence-41]).Key
		}
		if key != want {
			t.Errorf("the tail names another event as %d", sequence)
		}
	}

	// The next owner of the stream continues from there: nothing is delivered twice, and everything is certified.
	d.restart()
	d.list.Add(connectortest.Message(41))
	d.settle(20)
	if got, want := d.log.Text(), connectortest.IDs(1, 40)+" m2* m38* m39* m41"; got != want {
		t.Errorf("the log has %s\nwant        %s", got, want)
	}
	if c := d.log.Checkpoint; c.Certified != 44 || c.Sequence != 44 {
		t.Errorf("sequence %d, certified %d", c.Sequence, c.Certified)
	}
}

func TestSession_RestoreFenced(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(8, 1)...)
	d.settle(20)
	session := NewSession(d.list, d.log, d.reading, connector.Start{Beginning: true})
	if err := session.Acquire(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.log.Answer = func(context.Context, []connector.Event) (bool, error) { return false, connector.ErrFenced }
	if _, err := session.Restore(t.Context(), []Missing{{Message: connectortest.Message(2)}}); !errors.Is(err,
		connector.ErrFenced) || session.Owns() {
		t.Errorf("%v, owns %v", err, session.Owns())
	}
}

// The newer of two places counts, even after the index was recreated and the older one is forgotten.
func TestWindow_KeyThatStandsTwice(t *testing.T) {
	rules := DefaultRules()
	rules.MinWindow, rules.Capacity = 5, 20
	w := newWindow(rules, connector.State{Checkpoint: connector.Checkpoint{Certified: 1000}})
	for n := uint64(1); n <= 6; n++ {
		w.put(connectortest.Key(n), newPosition(n, false))
	}
	w.put(connectortest.Key(3), newPosition(7, true))
	for n := uint64(8); n <= 60; n++ {
		if at, ok := w.position(connectortest.Key(3)); n < 27 && (!ok || at != newPosition(7, true)) {
			t.Fatalf("after %d it stands at %d, %v", n-1, at.sequence(), ok)
		}
		if w.last != n-1 {
			t.Fatalf("the last is %d, want %d", w.last, n-1)
		}
		w.put(connectortest.Key(n), newPosition(n, false))
		w.forget()
	}
	if _, ok := w.position(connectortest.Key(3)); ok {
		t.Error("it is not forgotten")
	}
}

// If the log rejects a message that is already quarantined, that is reported, and it is not quarantined again; any
// other is.
func TestSession_RestoreOfWhatIsQuarantined(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(8, 1)...)
	d.settle(20)
	session := NewSession(d.list, d.log, d.reading, connector.Start{Beginning: true})
	d.log.Answer = func(_ context.Context, events []connector.Event) (bool, error) {
		for i := range events {
			if events[i].ID == "m20" || events[i].ID == "m21" {
				return false, &connector.Rejected{Key: events[i].Key, Reason: "too large"}
			}
		}
		return true, nil
	}
	told := ""
	out, err := session.Restore(t.Context(), []Missing{
		{Message: connectortest.Message(20), Refused: func(reason string) { told += reason }},
		{Message: connectortest.Message(21)},
		{Message: connectortest.Message(22)},
	})
	if err != nil || out.Delivered != 1 || out.Rejected != 1 || told != "too large" {
		t.Errorf("%+v, %v; told %q", out, err, told)
	}
	if len(d.log.Rejects) != 1 || d.log.Rejects[0].Key != connectortest.Message(21).Key {
		t.Errorf("in the quarantine: %+v", d.log.Rejects)
	}
	if got, want := d.log.Text(), connectortest.IDs(1, 8)+" m22*"; got != want {
		t.Errorf("the log has %s, want %s", got, want)
	}
}

// What comes from the quarantine is counted as settled by the commit that delivers it: a crash directly after it leaves
// a count that is right. What was never there is not counted.
func TestSession_RestoreSettlesInTheSameCommit(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(8, 1)...)
	d.settle(20)
	d.log.Checkpoint.Counters.Rejected = 3
	session := NewSession(d.list, d.log, d.reading, connector.Start{Beginning: true})
	_, err := session.Restore(t.Context(), []Missing{
		{Message: connectortest.Message(20), Refused: func(string) {}}, {Message: connectortest.Message(21)},
	})
	if got := d.log.Checkpoint.Counters; err != nil || got.Settled != 1 || got.InQuarantine(nil) != 2 {
		t.Errorf("%v, %+v", err, got)
	}
	// What other sinks have quarantined is neither settled nor counted here.
	d.log.Checkpoint.Counters.Elsewhere = 1
	session = NewSession(d.list, d.log, d.reading, connector.Start{Beginning: true})
	if err := session.Acquire(t.Context()); err != nil || session.InQuarantine() != 1 {
		t.Errorf("%v, %d in the quarantine, want 1", err, session.InQuarantine())
	}
	err = session.CountQuarantine(t.Context(), 0)
	if got := d.log.Checkpoint.Counters; err != nil || got.Settled != 2 || got.InQuarantine(nil) != 0 {
		t.Errorf("%v, %+v", err, got)
	}
}
