package reader

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// While the end of the list is still to be checked, a message that comes in late among or below the log's oldest events
// is delivered once, whatever is deleted around it and forgotten until then.
func TestReader_WhatComesLateAtTheEndOfTheList(t *testing.T) {
	late := connectortest.Message(900)
	for _, test := range []struct {
		name    string
		polls   int // until it comes in; on two pages everything is delivered after two, and certified after three
		meddle  func(d *readerFixture)
		deliver func(d *readerFixture)
		left    int // the lowest of the log's oldest events that is listed in the end
	}{
		{"below all of them, met by a walk", 2, func(d *readerFixture) {
			d.list.Under(1, late)
			d.list.Remove(1)
		}, func(d *readerFixture) { d.poll() }, 2},
		{"among them, met by a walk that ends below it", 9, func(d *readerFixture) {
			for n := 5; n <= 8; n++ {
				d.list.Remove(n)
			}
			d.list.Add(connectortest.Newest(12, 9)...)
			d.list.Under(4, late)
		}, func(d *readerFixture) { d.poll() }, 4},
		{"among them, on a page with what is below, found by a sweep", 9, func(d *readerFixture) {
			d.list.Under(2, late)
		}, func(d *readerFixture) { d.sweep() }, 2},
		{"among them, on pages above what is below, found by a sweep", 9, func(d *readerFixture) {
			d.list.Under(2, late)
			for n := range 6 {
				d.list.Under(2, connectortest.Message(901+n))
			}
		}, func(d *readerFixture) { d.sweep() }, 2},
		{"below all of them, restored by an audit", 9, func(d *readerFixture) {
			d.list.Under(1, late)
		}, func(d *readerFixture) {
			session := NewSession(d.list, d.log, d.reading, d.start)
			if _, err := session.Restore(d.t.Context(), []Missing{{Message: late}}); err != nil {
				d.t.Fatal(err)
			}
			d.restart()
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(8, 1)...)
			for range test.polls {
				d.poll()
			}
			test.meddle(d)
			test.deliver(d)
			if !strings.Contains(d.log.Text(), "m900*") {
				t.Fatalf("it is not delivered: %s", d.log.Text())
			}
			d.list.Rows = slices.DeleteFunc(d.list.Rows, func(m connector.Message) bool {
				return m.Time.Before(connectortest.Minute(test.left))
			})
			d.list.Add(connectortest.Newest(100, 41)...)
			d.settle(200) // the window forgets it
			d.lookLater(6)
			if d.EndOpen() || d.known.recorded.Accepting != nil {
				t.Errorf("it is not settled where the list ends: %+v", d.known.recorded.UncheckedEnd)
			}
			if n := strings.Count(d.log.Text(), "m900*"); n != 1 {
				t.Errorf("it is delivered %d times", n)
			}
		})
	}
}

// The same holds for what an audit restores while the messages below a false end are being delivered.
func TestReader_WhatIsRestoredBelowAFalseEnd(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(40, 1)...)
	d.reading.Rules.SweepStep = 1
	d.restart()
	mend := cutOff(d, 5)
	d.settle(20)
	mend()
	for range 20 {
		d.list.Later += small.CheckOver / 2
		d.settle(9)
		if d.EndCheckDue() {
			if _, err := d.Sweep(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if d.known.recorded.Accepting != nil {
			break
		}
	}
	if d.known.recorded.Accepting == nil {
		t.Fatal("nothing is delivered")
	}
	var missing []Missing
	for n := 20; n > 10; n-- {
		missing = append(missing, Missing{Message: connectortest.Message(n)})
	}
	if _, err := NewSession(d.list, d.log, d.reading, d.start).Restore(t.Context(), missing); err != nil {
		t.Fatal(err)
	}
	d.restart()
	d.list.Add(connectortest.Newest(140, 41)...)
	d.settle(200) // the window forgets it
	d.lookLater(8)
	if d.wantCertified(140); d.EndOpen() || d.known.recorded.Accepting != nil {
		t.Errorf("it is not settled where the list ends: %+v", d.known.recorded.UncheckedEnd)
	}
}

// A list that seems to end among the log's oldest events still has the lowest of them.
func TestReader_AFalseEndAmongTheOldest(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(7, 1)...)
	d.poll()
	d.poll()
	mend := cutOff(d, 1)
	for range 3 {
		d.poll()
	}
	d.wantCertified(7)
	mend()
	d.list.Add(connectortest.Newest(100, 8)...)
	d.settle(200)
	d.lookLater(5)
	d.wantLog(connectortest.IDs(1, 100))
}

// A row that is listed twice for good, once below the log's oldest events, is looked at a few times only.
func TestReader_ARowListedTwiceAtTheEndOfTheList(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(10, 1)...)
	d.list.Add(connectortest.Newest(60, 11)...)
	d.settle(100)
	d.list.Rows = append(d.list.Rows, connectortest.Message(7))
	d.lookLater(10 * small.Checks)
	if d.EndOpen() || d.known.recorded.Accepting != nil {
		t.Errorf("the end is checked for ever: %+v", d.known.recorded.UncheckedEnd)
	}
	d.wantLog(connectortest.IDs(1, 60))
}

// The other place of such a row may be on the page above those that are read together.
func TestReader_ARowListedTwiceAboveWhatIsRead(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(10, 1)...)
	d.list.Add(connectortest.Newest(60, 11)...)
	d.settle(100)
	for n := 1; n <= 3; n++ {
		d.list.Remove(n)
	}
	d.list.Rows = append(d.list.Rows, connectortest.Message(7)) // message 4 begins a page, message 7 ends the one before
	for n := range 14 {
		d.list.Rows = append(d.list.Rows, connectortest.Message(900-n))
	}
	d.lookLater(10 * small.Checks)
	if d.wantCertified(74); d.EndOpen() || d.known.recorded.Accepting != nil {
		t.Errorf("the end is checked for ever: %+v", d.known.recorded.UncheckedEnd)
	}
}

// What is below a false end is delivered although many rows above it are in the quarantine.
func TestReader_AFalseEndBelowManyRejects(t *testing.T) {
	rows := connectortest.Newest(120, 1)
	for i := range 40 {
		rows[2*i] = connectortest.Faulty(120 - 2*i)
	}
	d := newReaderFixture(t, connectortest.StartBeginning, rows...)
	d.reading.Rules.Rejects = 100
	d.restart()
	mend := cutOff(d, 25) // 100 rows
	d.settle(100)
	d.wantCertified(60)
	mend()
	d.lookLater(5)
	if d.wantCertified(80); d.EndOpen() {
		t.Errorf("it is not settled where the list ends: %+v", d.known.recorded.UncheckedEnd)
	}
}

// If the log's oldest events are listed when the end is checked, and never when what is below them should be read, that
// is given up after a few attempts.
func TestReader_AnEndThatIsNeverThereIsGivenUp(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(40, 1)...)
	cutOff(d, 5)()
	mend := cutOff(d, 5)
	d.settle(100)
	for range 3 * small.Checks {
		mend()
		d.list.Later += small.CheckOver / 2
		d.settle(100)
		for range 200 {
			if d.AcceptDue() {
				d.list.Raw = map[int]connector.Page{}
				for number := 1; number < 64; number++ {
					d.list.Raw[number] = connector.Page{Messages: connectortest.Newest(900, 897)}
				}
			} else if !d.EndCheckDue() {
				break
			}
			if _, err := d.Sweep(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
			d.list.Raw = nil
			d.settle(100)
		}
	}
	if d.EndOpen() || d.known.recorded.Accepting != nil {
		t.Errorf("it is checked for ever: %+v", d.known.recorded.UncheckedEnd)
	}
	d.wantLog(connectortest.IDs(21, 40))
}

// A burst of pages between two requests shows newer messages below older ones. If the list seems to end right there,
// nothing contradicts that but the place where the walk began.
func TestReader_ABurstOfPagesAboveAFalseEndConcludesNothing(t *testing.T) {
	timeless := func(high, low int) []connector.Message {
		rows := connectortest.Newest(high, low)
		for i := range rows {
			rows[i].Time = time.Time{}
		}
		return rows
	}
	for _, test := range []struct {
		rows  int
		burst int
	}{{100, 9}, {100, 12}, {8, 8}, {8, 9}, {8, 13}, {8, 22}} {
		t.Run(fmt.Sprintf("%d rows, %d more", test.rows, test.burst), func(t *testing.T) {
			d := newReaderFixture(t, connectortest.StartBeginning, timeless(test.rows, 1)...)
			from, struck := -1, false
			mend := func() {}
			d.list.Before = func(_, number int) error {
				switch {
				case struck:
				case number == d.StartPage() && (number > 0 || test.rows < 10 && d.known.recorded.Started):
					from = number
				case from >= 0 && number == from+1:
					struck = true
					d.list.Add(timeless(test.rows+test.burst, test.rows+1)...)
					mend = cutOff(d, number+1)
				}
				return nil
			}
			for range 30 {
				if _, _ = d.Poll(t.Context(), d.start); struck {
					break
				}
			}
			mend()
			d.settle(200)
			d.lookLater(4)
			d.wantLog(connectortest.IDs(1, test.rows+test.burst))
		})
	}
}
