package reader

import (
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// replaced is a list of other messages, some older than minute 100 and some newer, for a reader that has ground.
func replaced(t *testing.T) *readerFixture {
	t.Helper()
	d := settledDesk(t, connectortest.StartNow, connectortest.Newest(104, 92)...)
	d.list.Add(connectortest.Newest(108, 105)...)
	d.settle(4)
	d.wantLog(connectortest.IDs(105, 108))
	var other []connector.Message
	for _, n := range []int{303, 302, 301, 206, 205, 204, 203, 202, 201} {
		at := connectortest.Minute(n - 200) // old: minutes 1 to 6
		if n > 300 {
			at = connectortest.Minute(n) // new
		}
		m := connectortest.Message(n)
		m.Time = at
		other = append(other, m)
	}
	d.list.Rows = other
	d.list.Requests()
	return d
}

// Rule 8: the list shows no ground any more. What is newer than ground by time is new; the rest is held.
func TestReader_WithoutGroundOnlyWhatIsNewerIsNew(t *testing.T) {
	d := replaced(t)
	if out := d.settle(6); out.Delivered != 3 {
		t.Errorf("%+v", out)
	}
	d.wantLog(connectortest.IDs(105, 108) + " m301 m302 m303")
	if got := d.log.Checkpoint.Counters.Held; got != 6 {
		t.Errorf("%d are held, want 6, each counted once", got)
	}
	if got := len(d.log.Checkpoint.Horizon); got != small.Floor {
		t.Errorf("the horizon has %d keys, want %d", got, small.Floor)
	}
	if !d.IsHeld(connectortest.Message(206).Key) || d.IsHeld(connectortest.Message(301).Key) {
		t.Error("the reader does not know what it holds")
	}
	// The horizon is ground: a poll that finds something new is cheap again, even after a restart.
	for n := 304; n < 307; n++ {
		d.list.Requests()
		d.list.Add(connectortest.Message(n))
		d.poll()
		d.wantRequests("0")
		d.restart()
		d.settle(3)
	}
	d.wantLog(connectortest.IDs(105, 108) + " " + connectortest.IDs(301, 306))
	if got := d.log.Checkpoint.Counters.Held; got != 6 {
		t.Errorf("%d are held after restarts", got)
	}
}

// Rule 8: a message without a time is treated like its neighbour above.
func TestReader_WithoutGroundATimelessMessageGoesWithItsNeighbour(t *testing.T) {
	d := replaced(t)
	d.list.Under(302, connectortest.At(connectortest.Message(400), time.Time{}))
	d.list.Under(205, connectortest.At(connectortest.Message(401), time.Time{}))
	d.settle(6)
	d.wantLog(connectortest.IDs(105, 108) + " m301 m400 m302 m303")
}

// Rule 8: the same in a deep backlog.
func TestReader_WithoutGroundUnderADeepBacklog(t *testing.T) {
	d := replaced(t)
	d.list.Add(connectortest.Newest(400, 304)...)
	d.settle(200)
	d.wantLog(connectortest.IDs(105, 108) + " " + connectortest.IDs(301, 400))
	if len(d.log.Checkpoint.Horizon) == 0 {
		t.Error("no horizon")
	}
}
