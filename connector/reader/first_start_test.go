package reader

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// Rule 12: which messages a first start wants.
func TestReader_FirstStart(t *testing.T) {
	since := func(n int) connector.Start { return connector.Start{Since: connectortest.Minute(n)} }
	timeless := func(from, to int) []connector.Message {
		rows := connectortest.Newest(12, 1)
		for n := from; n <= to; n++ {
			rows[12-n].Time = time.Time{}
		}
		return rows
	}
	tests := []struct {
		name  string
		start connector.Start
		rows  []connector.Message
		want  string
	}{
		{"now", connectortest.StartNow, connectortest.Newest(12, 1), ""},
		{"now, of few messages", connectortest.StartNow, connectortest.Newest(2, 1), ""},
		{"beginning", connectortest.StartBeginning, connectortest.Newest(12, 1), connectortest.IDs(1, 12)},
		{"since a time", since(9), connectortest.Newest(12, 1), connectortest.IDs(9, 12)},
		{"since a time, on page 0", since(11), connectortest.Newest(12, 1), connectortest.IDs(11, 12)},
		{"since a time, at a seam", since(5), connectortest.Newest(12, 1), connectortest.IDs(5, 12)},
		{"since before everything", since(-5), connectortest.Newest(12, 1), connectortest.IDs(1, 12)},
		{"since the future", since(99), connectortest.Newest(12, 1), ""},
		{"since a time, deep", since(60), connectortest.Newest(300, 1), connectortest.IDs(60, 300)},
		{"a message without a time takes its upper neighbour's", since(7), timeless(4, 7), connectortest.IDs(4, 12)},
		{"and is old where that is", since(9), timeless(3, 7), connectortest.IDs(9, 12)},
		{"no times at all: nothing is known to be old", since(7), timeless(1, 12), connectortest.IDs(1, 12)},
		{"one old message is no run", since(5), func() []connector.Message {
			r := connectortest.Newest(12, 1)
			r[2].Time = connectortest.Minute(-99)
			return r
		}(), connectortest.IDs(5, 12)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newReaderFixture(t, test.start, test.rows...)
			d.settle(200)
			d.wantLog(test.want)
			d.start = connectortest.StartBeginning // it matters only at the first start of a stream
			d.list.Add(connectortest.Message(900))
			d.restart()
			d.settle(20)
			d.wantLog(strings.TrimSpace(test.want + " m900"))
		})
	}
}

// Rule 12: a number with an empty list starts nevertheless, once the list is proven empty.
func TestReader_FirstStartOfAnEmptyList(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartNow)
	d.list.Later = time.Until(connectortest.Minute(0))
	d.fails(ErrEmpty)
	d.fails(ErrEmpty)
	if len(d.log.Commits) > 0 {
		t.Error("an empty page started the stream")
	}
	d.poll()
	if !d.log.Checkpoint.Started {
		t.Error("not started")
	}
	d.list.Add(connectortest.Newest(2, 1)...)
	for range 6 {
		if _, err := d.Poll(t.Context(), d.start); err != nil && !errors.Is(err, ErrEmpty) {
			t.Fatal(err)
		}
	}
	d.wantLog(connectortest.IDs(1, 2))
}

// Rule 12: if a list is only empty for a while at a start from now on, it shows its history later, which is not wanted.
func TestReader_FirstStartOfAListThatSeemsEmpty(t *testing.T) {
	for _, pool := range []WorkerPool{nil, connectortest.SerialWorkers{}} {
		d := newReaderFixture(t, connectortest.StartNow)
		d.reading.Workers = pool
		d.restart()
		d.list.Later = time.Until(connectortest.Minute(100))
		d.fails(ErrEmpty)
		d.fails(ErrEmpty)
		d.poll()
		d.list.Add(connectortest.Newest(60, 1)...)
		d.settle(20)
		d.list.Add(connectortest.Message(101))
		d.settle(20)
		d.wantLog("m101")
	}
}

// Rule 12: bad items in the floor are not wanted either.
func TestReader_FirstStartDoesNotQuarantineTheFloor(t *testing.T) {
	d := settledDesk(t, connectortest.StartNow, connectortest.Message(4), connectortest.Faulty(3),
		connectortest.Message(2), connectortest.Message(1))
	if c := d.log.Checkpoint; len(c.Floor) != 3 || len(c.Rejects) != 1 {
		t.Errorf("a floor of %d, %d rejects known", len(c.Floor), len(c.Rejects))
	}
	d.list.Add(connectortest.Message(5))
	d.settle(3)
	d.sweep()
	if len(d.log.Rejects) > 0 || d.log.Checkpoint.Counters.Rejected > 0 {
		t.Errorf("%d rejects", len(d.log.Rejects))
	}
	d.wantLog("m5")
}

func TestStart_String(t *testing.T) {
	for want, s := range map[string]connector.Start{
		"now":       connectortest.StartNow,
		"beginning": connectortest.StartBeginning, "2026-01-01T00:07:00Z": {Since: connectortest.Minute(7)},
	} {
		if s.String() != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
}
