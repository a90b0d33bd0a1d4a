package connector

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"testing"
	"time"
)

// Rule 6: a backlog deeper than a slice is delivered whole and in order, in steps that hold no more than a slice each.
func TestReader_ADeepBacklogIsDeliveredInOrder(t *testing.T) {
	tests := []struct {
		name  string
		start Start
		old   int // what was listed before
	}{
		{"from the beginning", beginning, 0},
		{"above a floor", now, 6},
		{"above a log", beginning, 40},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t, test.start, newest(test.old, 1)...)
			if test.old > 0 {
				d.settle(40)
			}
			before := len(d.log.events)
			d.list.requests()
			d.list.add(newest(test.old+200, test.old+1)...)
			if out := d.settle(200); out.Delivered != 200 || out.Late != 0 {
				t.Errorf("%+v", out)
			}
			d.wantLog(ids(test.old-before+1, test.old+200))
			d.wantCertified(uint64(before + 200))
			if requests := len(strings.Fields(d.list.requests())); requests > 6*200/small.Page {
				t.Errorf("%d requests for %d pages", requests, 200/small.Page)
			}
		})
	}
}

// Rule 6: the search gallops and bisects: its requests grow with the logarithm of the depth.
func TestReader_TheSearchForGroundIsShort(t *testing.T) {
	for _, pages := range []int{8, 60, 500} {
		t.Run(fmt.Sprint(pages), func(t *testing.T) {
			d := settledDesk(t, beginning, newest(12, 1)...)
			d.list.add(newest(12+pages*small.Page, 13)...)
			d.poll()
			requests := strings.Fields(d.list.requests())
			if most := small.SlicePages + 2*bits.Len(uint(pages)) + 2; len(requests) > most {
				t.Errorf("%d requests for a depth of %d pages, want at most %d: %v", len(requests), pages, most, requests)
			}
			if start := d.Reader.Start(); start <= pages-small.SlicePages || start >= pages {
				t.Errorf("walks begin at page %d, ground is on page %d", start, pages)
			}
			d.wantLog(ids(1, 12))
		})
	}
}

// Rule 6: no message needs a time for it, and wrong times only cost requests.
func TestReader_ADeepBacklogWithTimesThatMislead(t *testing.T) {
	for name, wrong := range map[string]time.Time{"without times": {}, "long ago": minute(-999999), "far ahead": minute(999999)} {
		t.Run(name, func(t *testing.T) {
			d := settledDesk(t, beginning, newest(12, 1)...)
			rows := newest(160, 13)
			for i := range rows {
				rows[i].Time = wrong
			}
			d.list.add(rows...)
			d.settle(200)
			d.wantLog(ids(1, 160))
		})
	}
}

// Rule 6: a restart in the middle searches again; nothing else needs to be remembered.
func TestReader_ARestartInADeepBacklogGoesOn(t *testing.T) {
	d := settledDesk(t, beginning, newest(12, 1)...)
	d.list.add(newest(160, 13)...)
	for range 40 {
		if d.Reader.Start() > 0 {
			d.poll()
		}
		d.poll()
		d.poll()
		d.restart()
	}
	d.settle(40)
	d.wantLog(ids(1, 160))
}

// Rule 6: what comes in meanwhile comes after.
func TestReader_ADeepBacklogThatGrows(t *testing.T) {
	d := settledDesk(t, beginning, newest(12, 1)...)
	d.list.add(newest(100, 13)...)
	next := 101
	d.list.before = func(call, _ int) error {
		if call%3 == 0 && next <= 140 {
			d.list.add(message(next))
			next++
		}
		return nil
	}
	d.settle(200)
	d.wantLog(ids(1, 140))
}

// Rule 6: memory is bounded in bytes as well.
func TestReader_HeavyPagesMakeShorterSlices(t *testing.T) {
	d := newDesk(t, beginning, newest(12, 1)...)
	d.reading.Rules.SliceBytes = 100 // two pages and a bit
	d.restart()
	d.settle(40)
	d.list.add(newest(60, 13)...)
	d.list.requests()
	d.settle(100)
	d.wantLog(ids(1, 60))
}

// A walk that began below page 0 has not seen what lies above: the reader is not at rest before page 0 was walked.
func TestReader_DoesNotRestBeforePageZeroIsWalked(t *testing.T) {
	d := settledDesk(t, beginning, newest(12, 1)...)
	d.list.add(newest(100, 13)...)
	for range 200 {
		out := d.poll()
		if (out.Rested || d.Rested()) && len(d.log.events) < 100 {
			t.Fatalf("at rest with %d of 100 messages delivered: %+v", len(d.log.events), out)
		}
		if out.Unchanged {
			return
		}
	}
	t.Error("never at rest")
}

// Nor after a first start that reads nothing.
func TestReader_DoesNotRestAfterAStartThatReadsNothing(t *testing.T) {
	d := newDesk(t, beginning, newest(3, 1)...)
	if out := d.poll(); out.Rested || d.Rested() {
		t.Error("at rest with nothing read: the first messages wait for an interval")
	}
}

// Rule 7: a sweep finds what came in below ground, on one page between two that were delivered.
func TestReader_ASweepFindsWhatCameInBelowGround(t *testing.T) {
	d := settledDesk(t, beginning, newest(16, 1)...)
	d.list.under(12, message(70))
	d.list.under(70, message(71))
	d.settle(3) // page 0 is as it was
	d.wantLog(ids(1, 16))
	if out := d.sweep(); out.Late != 2 || out.Delivered != 2 {
		t.Errorf("%+v", out)
	}
	d.wantLog(ids(1, 16) + " m71* m70*")
	if out := d.sweep(); out.Delivered != 0 {
		t.Errorf("a second sweep: %+v", out)
	}
}

// Rule 7: a late row that stands on its page twice is delivered once.
func TestReader_ASweepDeliversARowOnce(t *testing.T) {
	d := settledDesk(t, beginning, newest(16, 1)...)
	d.list.under(12, message(70))
	d.list.under(70, message(70))
	d.sweep()
	d.wantLog(ids(1, 16) + " m70*")
}

// Rule 7: nothing else is guessed.
func TestReader_ASweepGuessesNothing(t *testing.T) {
	tests := []struct {
		name   string
		start  Start
		rows   []Message
		change func(*desk)
		want   string
	}{
		{"below a floor", now, newest(12, 1), func(*desk) {}, ""},
		{"below all that is known", now, newest(6, 1), func(d *desk) { d.list.add(newest(9, 7)...); d.settle(4); d.list.under(3, message(70)) }, ids(7, 9)},
		{"what is new on top", beginning, newest(16, 1), func(d *desk) { d.list.add(newest(19, 17)...) }, ids(1, 16)},
		{"what was rejected", beginning, newest(16, 1), func(d *desk) {
			d.list.under(12, bad(70))
			if out := d.sweep(); out.Rejected != 1 {
				d.t.Errorf("%+v", out)
			}
		}, ids(1, 16)},
		{"erased from the sink", beginning, newest(16, 1), func(d *desk) {
			d.log.erased = map[uint64]bool{6: true}
			d.restart()
			d.settle(4)
		}, ids(1, 16)},
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

// Rule 7: where an event was erased, an unknown message is late only if nothing newer than its lower neighbour is missing.
func TestReader_AnErasedEventIsNotTakenForLate(t *testing.T) {
	d := settledDesk(t, beginning, newest(16, 1)...)
	d.log.erased = map[uint64]bool{6: true}
	d.restart()
	d.list.under(11, message(70)) // above the hole: late
	d.list.under(5, message(71))  // below it: forgotten or late, who knows
	d.settle(4)
	d.sweep()
	d.wantLog(ids(1, 16) + " m70*")
}

// Rule 7: a sweep goes as deep as asked and as many pages as allowed.
func TestReader_ASweepIsBounded(t *testing.T) {
	d := settledDesk(t, beginning, newest(40, 1)...)
	if _, err := d.Sweep(t.Context(), minute(35).Add(small.SweepDepth)); err != nil {
		t.Fatal(err)
	}
	d.wantRequests("0 1 2")
	d.reading.Rules.SweepPages = 2
	d.restart()
	d.settle(4)
	d.list.requests()
	if out, err := d.Sweep(t.Context(), minute(0)); out.Pages != 2 || err != nil {
		t.Errorf("%+v, %v", out, err)
	}
	d.wantRequests("0 1")
}

// Rule 7: there is nothing to look for before the first start and while a backlog is being worked off.
func TestReader_NoSweepBeforeRest(t *testing.T) {
	d := newDesk(t, beginning, newest(100, 1)...)
	d.sweep()
	d.poll()
	d.poll()
	if d.Reader.Start() == 0 {
		t.Fatal("no backlog")
	}
	d.list.requests()
	d.sweep()
	d.wantRequests("")
}

// replaced is a list of other messages, some older than minute 100 and some newer, under a reader whose ground is there.
func replaced(t *testing.T) *desk {
	t.Helper()
	d := settledDesk(t, now, newest(104, 92)...)
	d.list.add(newest(108, 105)...)
	d.settle(4)
	d.wantLog(ids(105, 108))
	var other []Message
	for _, n := range []int{303, 302, 301, 206, 205, 204, 203, 202, 201} {
		at := minute(n - 200) // old: minutes 1 to 6
		if n > 300 {
			at = minute(n) // new
		}
		m := message(n)
		m.Time = at
		other = append(other, m)
	}
	d.list.rows = other
	d.list.requests()
	return d
}

// Rule 8: the list shows no ground any more. What is newer than ground by time is new, the rest is held.
func TestReader_WithoutGroundOnlyWhatIsNewerIsNew(t *testing.T) {
	d := replaced(t)
	if out := d.settle(6); out.Delivered != 3 {
		t.Errorf("%+v", out)
	}
	d.wantLog(ids(105, 108) + " m301 m302 m303")
	if got := d.log.checkpoint.Counters.Held; got != 6 {
		t.Errorf("%d are held, want 6, each counted once", got)
	}
	if got := len(d.log.checkpoint.Horizon); got != small.Floor {
		t.Errorf("the horizon has %d keys, want %d", got, small.Floor)
	}
	if !d.Holding(message(206).Key) || d.Holding(message(301).Key) {
		t.Error("the reader does not know what it holds")
	}
	// The horizon is ground: a poll that finds something new is cheap again, also after a restart.
	for n := 304; n < 307; n++ {
		d.list.requests()
		d.list.add(message(n))
		d.poll()
		d.wantRequests("0")
		d.restart()
		d.settle(3)
	}
	d.wantLog(ids(105, 108) + " " + ids(301, 306))
	if got := d.log.checkpoint.Counters.Held; got != 6 {
		t.Errorf("%d are held after restarts", got)
	}
}

// Rule 8: a message without a time goes with its neighbour above.
func TestReader_WithoutGroundATimelessMessageGoesWithItsNeighbour(t *testing.T) {
	d := replaced(t)
	d.list.under(302, at(message(400), time.Time{}))
	d.list.under(205, at(message(401), time.Time{}))
	d.settle(6)
	d.wantLog(ids(105, 108) + " m301 m400 m302 m303")
}

// Rule 8: under a deep backlog as well.
func TestReader_WithoutGroundUnderADeepBacklog(t *testing.T) {
	d := replaced(t)
	d.list.add(newest(400, 304)...)
	d.settle(200)
	d.wantLog(ids(105, 108) + " " + ids(301, 400))
	if len(d.log.checkpoint.Horizon) == 0 {
		t.Error("no horizon")
	}
}

// Rule 12: what a first start wants.
func TestReader_FirstStart(t *testing.T) {
	since := func(n int) Start { return Start{Since: minute(n)} }
	timeless := func(from, to int) []Message {
		rows := newest(12, 1)
		for n := from; n <= to; n++ {
			rows[12-n].Time = time.Time{}
		}
		return rows
	}
	tests := []struct {
		name  string
		start Start
		rows  []Message
		want  string
	}{
		{"now", now, newest(12, 1), ""},
		{"now, of few messages", now, newest(2, 1), ""},
		{"beginning", beginning, newest(12, 1), ids(1, 12)},
		{"since a time", since(9), newest(12, 1), ids(9, 12)},
		{"since a time, on page 0", since(11), newest(12, 1), ids(11, 12)},
		{"since a time, at a seam", since(5), newest(12, 1), ids(5, 12)},
		{"since before everything", since(-5), newest(12, 1), ids(1, 12)},
		{"since the future", since(99), newest(12, 1), ""},
		{"since a time, deep", since(60), newest(300, 1), ids(60, 300)},
		{"a message without a time takes its upper neighbour's", since(7), timeless(4, 7), ids(4, 12)},
		{"and is old where that is", since(9), timeless(3, 7), ids(9, 12)},
		{"no times at all: nothing is known to be old", since(7), timeless(1, 12), ids(1, 12)},
		{"one old message is no run", since(5), func() []Message { r := newest(12, 1); r[2].Time = minute(-99); return r }(), ids(5, 12)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newDesk(t, test.start, test.rows...)
			d.settle(200)
			d.wantLog(test.want)
			d.start = beginning // only the first start of a stream asks it
			d.list.add(message(900))
			d.restart()
			d.settle(20)
			d.wantLog(strings.TrimSpace(test.want + " m900"))
		})
	}
}

// Rule 12: a number with an empty list starts all the same, once the list is proven empty.
func TestReader_FirstStartOfAnEmptyList(t *testing.T) {
	d := newDesk(t, now)
	d.list.later = time.Until(minute(0))
	d.fails(ErrEmpty)
	d.fails(ErrEmpty)
	if len(d.log.commits) > 0 {
		t.Error("an empty page started the stream")
	}
	d.poll()
	if !d.log.checkpoint.Started {
		t.Error("not started")
	}
	d.list.add(newest(2, 1)...)
	for range 6 {
		if _, err := d.Poll(t.Context(), d.start); err != nil && !errors.Is(err, ErrEmpty) {
			t.Fatal(err)
		}
	}
	d.wantLog(ids(1, 2))
}

// Rule 12: a list that is empty for a while only, at a start from now on, shows its history later. That is not wanted.
func TestReader_FirstStartOfAListThatSeemsEmpty(t *testing.T) {
	for _, crew := range []Crew{nil, inTurn{}} {
		d := newDesk(t, now)
		d.reading.Crew = crew
		d.restart()
		d.list.later = time.Until(minute(100))
		d.fails(ErrEmpty)
		d.fails(ErrEmpty)
		d.poll()
		d.list.add(newest(60, 1)...)
		d.settle(20)
		d.list.add(message(101))
		d.settle(20)
		d.wantLog("m101")
	}
}

// Rule 12: what stands in the floor and is bad is not wanted either.
func TestReader_FirstStartDoesNotQuarantineTheFloor(t *testing.T) {
	d := settledDesk(t, now, message(4), bad(3), message(2), message(1))
	if c := d.log.checkpoint; len(c.Floor) != 3 || len(c.Rejects) != 1 {
		t.Errorf("a floor of %d, %d rejects known", len(c.Floor), len(c.Rejects))
	}
	d.list.add(message(5))
	d.settle(3)
	d.sweep()
	if len(d.log.rejects) > 0 || d.log.checkpoint.Counters.Rejected > 0 {
		t.Errorf("%d rejects", len(d.log.rejects))
	}
	d.wantLog("m5")
}

func TestStart_String(t *testing.T) {
	for want, s := range map[string]Start{"now": now, "beginning": beginning, "2026-01-01T00:07:00Z": {Since: minute(7)}} {
		if s.String() != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
}
