package reader

import (
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
