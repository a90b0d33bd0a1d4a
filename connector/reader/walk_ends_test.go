package reader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// A run of late messages is added below what a walk of a deep backlog delivered before it was interrupted. To walks
// that begin within the run it is unknown, from its top down to ground; it is late nevertheless, as delivered messages
// are above it. However long it is, walks get past it, and finally everything is certified.
func TestReader_ALateRunBelowWhatWasDeliveredOfADeepBacklog(t *testing.T) {
	for _, run := range []int{1, 3, 4, 5, 9, 12, 16, 30, 70} {
		for _, pool := range []WorkerPool{nil, connectortest.SerialWorkers{}} {
			t.Run(fmt.Sprintf("%d, %T", run, pool), func(t *testing.T) {
				d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(12, 1)...)
				d.list.Add(connectortest.Newest(120, 13)...)
				d.log.MaxCommit = connector.Limits{Messages: 5, Bytes: 1 << 20}
				d.reading.Workers = pool
				d.restart()
				chunks := 0
				d.log.Answer = cutAfter(&chunks, 1)
				for len(d.log.Events) == 12 {
					_, _ = d.Poll(t.Context(), d.start)
				}
				d.log.Answer = nil
				d.wantCertified(12)
				for n := range run {
					d.list.Under(13, connectortest.Message(1000+n))
				}
				d.restart()
				d.settle(300)
				d.wantCertified(uint64(120 + run))
				var onTime []string
				late := 0
				for _, id := range strings.Fields(d.log.Text()) {
					if strings.HasSuffix(id, "*") {
						late++
					} else {
						onTime = append(onTime, id)
					}
				}
				if got := strings.Join(onTime, " "); got != connectortest.IDs(1, 120) || late != run {
					t.Errorf("%d late of %d; in order: %s", late, run, got)
				}
			})
		}
	}
}

// Rule 5: so many rows are deleted above a deep walk's start that it begins below what the reader remembers, and a burst
// between its first two pages pushes ground down past it. What it met above that ground was delivered long ago. The
// messages have no time, so that only where the walk began can tell, and what it met twice.
func TestReader_ADeepWalkThatBeganBelowGroundDeliversNothingTwice(t *testing.T) {
	for _, pool := range []WorkerPool{nil, connectortest.SerialWorkers{}} {
		for removed := 40; removed <= 52; removed++ {
			for burst := range 14 {
				d := settledDesk(t, connectortest.StartBeginning, timeless(60, 1)...)
				d.list.Add(timeless(160, 61)...)
				d.reading.Workers = pool
				d.restart()
				for d.StartPage() == 0 {
					d.poll()
				}
				if len(d.log.Events) > 60 {
					t.Fatal("the backlog is not deep")
				}
				d.list.Rows = d.list.Rows[removed:]
				second := len(d.list.Asked) + 2
				d.list.Before = func(call, _ int) error {
					if call == second {
						d.list.Add(timeless(160+burst, 161)...)
					}
					return nil
				}
				d.settle(100)
				want := connectortest.IDs(1, 160-removed)
				if burst > 0 {
					want += " " + connectortest.IDs(161, 160+burst)
				}
				if got := d.log.Text(); got != want {
					t.Errorf("%T, %d deleted, a burst of %d: the log has %s", pool, removed, burst, got)
				}
			}
		}
	}
}

// timeless makes the messages from high down to low without a time.
func timeless(high, low int) []connector.Message {
	rows := connectortest.Newest(high, low)
	for i := range rows {
		rows[i].Time = time.Time{}
	}
	return rows
}

// cutAfter answers commits with a crash after that many commits with events.
func cutAfter(done *int, most int) func(context.Context, []connector.Event) (bool, error) {
	return func(_ context.Context, events []connector.Event) (bool, error) {
		if len(events) == 0 {
			return true, nil
		}
		if *done++; *done > most {
			return false, errors.New("crashed")
		}
		return true, nil
	}
}

// Rule 8: what was believed of a list without ground holds for the end that was looked at, not for another one further
// up, below which messages may be that would never be delivered.
func TestReader_WithoutGroundAnotherEndIsLookedAtAnew(t *testing.T) {
	for _, rows := range []int{0, 9} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(12, 1)...)
			d.list.Rows = connectortest.Newest(100+rows, 101)
			d.log.Answer = func(context.Context, []connector.Event) (bool, error) { return false, connector.ErrNotNow }
			for range 8 { // it is believed, and nothing is committed
				d.list.Later += small.CheckOver / 2
				_, _ = d.Poll(t.Context(), d.start)
			}
			d.log.Answer = nil
			d.list.Add(connectortest.Newest(140, 101+rows)...)
			mend := cutOff(d, 1)
			if out, err := d.Poll(t.Context(), d.start); err == nil {
				t.Errorf("an end above is believed at once: %+v", out)
			}
			mend()
			d.settle(100)
			d.wantLog(connectortest.IDs(1, 12) + " " + connectortest.IDs(101, 140))
			d.wantCertified(52)
		})
	}
}

// Rule 8: the same, if the whole list was found to be new: it is not new again above another end.
func TestReader_ANewListEndsWhereItWasSeenToEnd(t *testing.T) {
	for _, delivered := range []bool{false, true} {
		t.Run(fmt.Sprint(delivered), func(t *testing.T) {
			d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(60, 1)...)
			d.list.Rows = connectortest.Newest(180, 101)
			for range 30 {
				if _, err := d.Poll(t.Context(), d.start); d.known.groundless && (!delivered || len(d.log.Events) > 60) {
					break
				} else if err != nil {
					d.list.Later += small.CheckOver / 2
				}
			}
			if !d.known.groundless {
				t.Fatal("the list does not count as new")
			}
			mend := cutOff(d, 1)
			before := len(d.log.Events)
			for range 6 {
				_, _ = d.Poll(t.Context(), d.start)
			}
			if n := len(d.log.Events) - before; n > 0 {
				t.Errorf("%d messages above another end are delivered", n)
			}
			mend()
			for range 5 {
				_, _ = d.Poll(t.Context(), d.start)
			}
			d.list.Add(connectortest.Message(181))
			d.settle(200)
			d.wantLog(connectortest.IDs(1, 60) + " " + connectortest.IDs(101, 181))
			d.wantCertified(141)
		})
	}
}
