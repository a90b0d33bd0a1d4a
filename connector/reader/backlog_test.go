package reader

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// Rule 6: a backlog deeper than a slice is delivered completely and in order, in steps that hold at most a slice each.
func TestReader_ADeepBacklogIsDeliveredInOrder(t *testing.T) {
	tests := []struct {
		name  string
		start connector.Start
		old   int // what was listed before
	}{
		{"from the beginning", connectortest.StartBeginning, 0},
		{"above a floor", connectortest.StartNow, 6},
		{"above a log", connectortest.StartBeginning, 40},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newReaderFixture(t, test.start, connectortest.Newest(test.old, 1)...)
			if test.old > 0 {
				d.settle(40)
			}
			before := len(d.log.Events)
			d.list.Requests()
			d.list.Add(connectortest.Newest(test.old+200, test.old+1)...)
			if out := d.settle(200); out.Delivered != 200 || out.Late != 0 {
				t.Errorf("%+v", out)
			}
			d.wantLog(connectortest.IDs(test.old-before+1, test.old+200))
			d.wantCertified(uint64(before + 200))
			if requests := len(strings.Fields(d.list.Requests())); requests > 6*200/small.Page {
				t.Errorf("%d requests for %d pages", requests, 200/small.Page)
			}
		})
	}
}

// Rule 6: the number of requests of a search grows with the logarithm of the depth.
func TestReader_TheSearchForGroundIsShort(t *testing.T) {
	for _, pages := range []int{8, 60, 500} {
		t.Run(fmt.Sprint(pages), func(t *testing.T) {
			d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(12, 1)...)
			d.list.Add(connectortest.Newest(12+pages*small.Page, 13)...)
			d.poll()
			requests := strings.Fields(d.list.Requests())
			if most := small.SlicePages + 2*bits.Len(uint(pages)) + 2; len(requests) > most {
				t.Errorf("%d requests for a depth of %d pages, want at most %d: %v", len(requests), pages, most, requests)
			}
			if start := d.Reader.StartPage(); start <= pages-small.SlicePages || start >= pages {
				t.Errorf("walks begin at page %d, ground is on page %d", start, pages)
			}
			d.wantLog(connectortest.IDs(1, 12))
		})
	}
}

// Rule 6: the search works without times, and wrong times only cost requests.
func TestReader_ADeepBacklogWithTimesThatMislead(t *testing.T) {
	for name, wrong := range map[string]time.Time{
		"without times": {}, "long ago": connectortest.Minute(-999999),
		"far ahead": connectortest.Minute(999999),
	} {
		t.Run(name, func(t *testing.T) {
			d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(12, 1)...)
			rows := connectortest.Newest(160, 13)
			for i := range rows {
				rows[i].Time = wrong
			}
			d.list.Add(rows...)
			d.settle(200)
			d.wantLog(connectortest.IDs(1, 160))
		})
	}
}

// Rule 6: after a restart in the middle the search is made again. Nothing else has to be remembered.
func TestReader_ARestartInADeepBacklogGoesOn(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(12, 1)...)
	d.list.Add(connectortest.Newest(160, 13)...)
	for range 40 {
		if d.Reader.StartPage() > 0 {
			d.poll()
		}
		d.poll()
		d.poll()
		d.restart()
	}
	d.settle(40)
	d.wantLog(connectortest.IDs(1, 160))
}

// Rule 6: messages that arrive meanwhile come afterwards.
func TestReader_ADeepBacklogThatGrows(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(12, 1)...)
	d.list.Add(connectortest.Newest(100, 13)...)
	next := 101
	d.list.Before = func(call, _ int) error {
		if call%3 == 0 && next <= 140 {
			d.list.Add(connectortest.Message(next))
			next++
		}
		return nil
	}
	d.settle(200)
	d.wantLog(connectortest.IDs(1, 140))
}

// Rule 6: memory is also bounded in bytes.
func TestReader_HeavyPagesMakeShorterSlices(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(12, 1)...)
	d.reading.Rules.SliceBytes = 100 // two pages and a bit
	d.restart()
	d.settle(40)
	d.list.Add(connectortest.Newest(60, 13)...)
	d.list.Requests()
	d.settle(100)
	d.wantLog(connectortest.IDs(1, 60))
}

// A walk that began below page 0 has not seen what is above: the reader is not at rest before page 0 was walked.
func TestReader_DoesNotRestBeforePageZeroIsWalked(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(12, 1)...)
	d.list.Add(connectortest.Newest(100, 13)...)
	for range 200 {
		out := d.poll()
		if (out.Rested || d.Rested()) && len(d.log.Events) < 100 {
			t.Fatalf("at rest with %d of 100 messages delivered: %+v", len(d.log.Events), out)
		}
		if out.Unchanged {
			return
		}
	}
	t.Error("never at rest")
}

// Nor is it at rest after a first start that reads nothing.
func TestReader_DoesNotRestAfterAStartThatReadsNothing(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(3, 1)...)
	if out := d.poll(); out.Rested || d.Rested() {
		t.Error("at rest with nothing read: the first messages wait for an interval")
	}
}

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
