package reader

import (
	"testing"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// Rule 7: a sweep finds what was added below ground, on one page between two delivered messages.
func TestReader_ASweepFindsWhatCameInBelowGround(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(16, 1)...)
	d.list.Under(12, connectortest.Message(70))
	d.list.Under(70, connectortest.Message(71))
	d.settle(3) // page 0 is unchanged
	d.wantLog(connectortest.IDs(1, 16))
	if out := d.sweep(); out.Late != 2 || out.Delivered != 2 {
		t.Errorf("%+v", out)
	}
	d.wantLog(connectortest.IDs(1, 16) + " m71* m70*")
	if out := d.sweep(); out.Delivered != 0 {
		t.Errorf("a second sweep: %+v", out)
	}
}

// Rule 7: a late row that is on its page twice is delivered once.
func TestReader_ASweepDeliversARowOnce(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(16, 1)...)
	d.list.Under(12, connectortest.Message(70))
	d.list.Under(70, connectortest.Message(70))
	d.sweep()
	d.wantLog(connectortest.IDs(1, 16) + " m70*")
}

// Rule 7: a sweep guesses nothing else.
func TestReader_ASweepGuessesNothing(t *testing.T) {
	tests := []struct {
		name   string
		start  connector.Start
		rows   []connector.Message
		change func(*readerFixture)
		want   string
	}{
		{"below a floor", connectortest.StartNow, connectortest.Newest(12, 1), func(*readerFixture) {}, ""},
		{"below all that is known", connectortest.StartNow, connectortest.Newest(6, 1), func(d *readerFixture) {
			d.list.Add(connectortest.Newest(9, 7)...)
			d.settle(4)
			d.list.Under(3, connectortest.Message(70))
		}, connectortest.IDs(7, 9)},
		{"what is new on top", connectortest.StartBeginning, connectortest.Newest(16, 1), func(d *readerFixture) {
			d.list.Add(connectortest.Newest(19, 17)...)
		}, connectortest.IDs(1, 16)},
		{"what was rejected", connectortest.StartBeginning, connectortest.Newest(16, 1), func(d *readerFixture) {
			d.list.Under(12, connectortest.Faulty(70))
			if out := d.sweep(); out.Rejected != 1 {
				d.t.Errorf("%+v", out)
			}
		}, connectortest.IDs(1, 16)},
		{"erased from the sink", connectortest.StartBeginning, connectortest.Newest(16, 1), func(d *readerFixture) {
			d.log.Erased = map[uint64]bool{6: true}
			d.restart()
			d.settle(4)
		}, connectortest.IDs(1, 16)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := settledDesk(t, test.start, test.rows...)
			test.change(d)
			if out := d.sweep(); out.Delivered != 0 || out.Rejected != 0 {
				t.Errorf("%+v", out)
			}
			d.wantLog(test.want)
		})
	}
}

// Rule 7: if an event was erased, an unknown message is late only if nothing newer than its lower neighbour is missing.
func TestReader_AnErasedEventIsNotTakenForLate(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(16, 1)...)
	d.log.Erased = map[uint64]bool{6: true}
	d.restart()
	d.list.Under(11, connectortest.Message(70)) // above the missing event: late
	d.list.Under(5, connectortest.Message(71))  // below it: either forgotten or late
	d.settle(4)
	d.sweep()
	d.wantLog(connectortest.IDs(1, 16) + " m70*")
}

// Rule 7: a sweep goes as deep as asked, and reads as many pages as allowed.
func TestReader_ASweepIsBounded(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(40, 1)...)
	if _, err := d.Sweep(t.Context(), connectortest.Minute(35).Add(small.SweepDepth)); err != nil {
		t.Fatal(err)
	}
	d.wantRequests("0 1 2")
	d.reading.Rules.SweepPages = 2
	d.restart()
	d.settle(4)
	d.list.Requests()
	if out, err := d.Sweep(t.Context(), connectortest.Minute(0)); out.Pages != 2 || err != nil {
		t.Errorf("%+v, %v", out, err)
	}
	d.wantRequests("0 1")
}

// Rule 7: there is nothing to sweep before the first start, or while a backlog is being read.
func TestReader_NoSweepBeforeRest(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(100, 1)...)
	d.sweep()
	d.poll()
	d.poll()
	if d.Reader.StartPage() == 0 {
		t.Fatal("no backlog")
	}
	d.list.Requests()
	d.sweep()
	d.wantRequests("")
}
