package reader

import (
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// erase removes events from a log on request.
func (d *readerFixture) erase(from, to int) {
	d.t.Helper()
	if d.log.Erased == nil {
		d.log.Erased = make(map[uint64]bool)
	}
	for _, e := range d.log.Events[from-1 : to] {
		d.log.Erased[e.Sequence] = true
		d.log.OnRequest = append(d.log.OnRequest, connector.Seen{Key: e.Key, Sequence: e.Sequence, Late: e.Late})
	}
}

// Messages that were erased on request are not delivered again, wherever they were. Late messages below them are still
// delivered, as there is no hole; without the record of the erasure they never would be.
func TestReader_WhatWasErasedOnRequest(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(60, 1)...)
		d.erase(5, 8)
		d.erase(40, 48)
		d.erase(59, 60)
		want := connectortest.IDs(1, 60) + " m1000* m61"
		if !recorded {
			d.log.OnRequest, want = nil, connectortest.IDs(1, 60)+" m61"
		}
		d.restart()
		d.list.Under(36, connectortest.Message(1000))
		held := 0
		for range 3 {
			held += d.sweep().Held
		}
		d.list.Add(connectortest.Message(61))
		d.settle(20)
		held += d.sweep().Held
		d.wantLog(want)
		if recorded && held > 0 {
			t.Errorf("%d messages are held", held)
		}
	}
}

// A stream of which everything was erased continues with new messages.
func TestReader_AllOfItErasedOnRequest(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(60, 1)...)
	d.erase(1, 60)
	d.restart()
	d.list.Add(connectortest.Message(61))
	d.settle(20)
	d.sweep()
	d.restart()
	d.settle(20)
	d.wantLog(connectortest.IDs(1, 61))
}

// An item that was erased from the quarantine is not quarantined again, even if the checkpoint has forgotten it.
func TestReader_ErasedFromTheQuarantine(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		rows := connectortest.Newest(12, 1)
		rows[2].Fault = "bad"
		d := settledDesk(t, connectortest.StartBeginning, rows...)
		if len(d.log.Rejects) != 1 {
			t.Fatalf("%d rejects", len(d.log.Rejects))
		}
		d.log.Checkpoint.Rejects = nil
		want := 2
		if recorded {
			d.log.OnRequest, want = []connector.Seen{{Key: d.log.Rejects[0].Key}}, 1
		}
		d.restart()
		d.settle(20)
		d.sweep()
		if got := len(d.log.Rejects); got != want {
			t.Errorf("recorded %t: %d rejects, want %d", recorded, got, want)
		}
	}
}

// A message that was found missing before it was erased on request is not restored.
func TestSession_RestoresNothingErasedOnRequest(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(20, 1)...)
	d.erase(5, 6)
	session := NewSession(d.list, d.log, d.reading, d.start)
	out, err := session.Restore(t.Context(), []Missing{
		{Message: connectortest.Message(5), Received: connectortest.Minute(90)},
		{Message: connectortest.Message(50), Received: connectortest.Minute(90)},
	})
	if err != nil || out.Delivered != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	d.wantLog(connectortest.IDs(1, 20) + " m50*")
}

// Rule 4: a walk that meets an event that was purged from the sink holds it, and what came in above it as well. It gets
// that far as most of the newest ground is not listed any more.
func TestReader_AnErasedEventIsNotTakenForLateByAWalk(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(16, 1)...)
	d.log.Erased = map[uint64]bool{8: true}
	d.restart()
	for n := 9; n <= 16; n++ {
		if n != 13 {
			d.list.Remove(n)
		}
	}
	d.list.Under(13, connectortest.Message(70))
	d.list.Add(connectortest.Message(17))
	if out := d.settle(4); out.Delivered != 1 || out.Held != 2 {
		t.Errorf("%+v", out)
	}
	d.wantLog(connectortest.IDs(1, 17))
}
