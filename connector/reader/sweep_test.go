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

// sweepDesk is a reader that has delivered and certified a list of that many messages, four to a page, and remembers
// all.
func sweepDesk(t *testing.T, messages int) *readerFixture {
	t.Helper()
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(messages, 1)...)
	d.reading.Rules.MinWindow, d.reading.Rules.Capacity, d.reading.Rules.SlicePages = 500, 1000, 10
	d.reading.Rules.SweepPages = 300
	d.restart()
	d.settle(40)
	d.list.Requests()
	return d
}

// insert puts n late messages, with numbers from 1000 on, right below the message with a number.
func (d *readerFixture) insert(n, below int) {
	for i := range n {
		d.list.Under(below, connectortest.At(connectortest.Message(1000+i), connectortest.Minute(below)))
	}
}

// sweepOnce makes one sweep, with what is due between its steps, and returns what it delivered.
func (d *readerFixture) sweepOnce(between func()) Outcome {
	d.t.Helper()
	var sum Outcome
	for steps := 0; ; steps++ {
		out, err := d.Sweep(d.t.Context(), connectortest.Minute(0).Add(24*time.Hour))
		if err != nil {
			d.t.Fatalf("sweep: %v", err)
		}
		sum.Delivered, sum.Late, sum.Pages, sum.Held = sum.Delivered+out.Delivered, sum.Late+out.Late, sum.Pages+out.Pages,
			sum.Held+out.Held
		if !out.More {
			return sum
		}
		if steps > 500 {
			d.t.Fatal("the sweep has no end")
		}
		between()
	}
}

func lateIDs(n int) string {
	var text []string
	for i := range n {
		text = append(text, fmt.Sprintf("m%d*", 1000+i))
	}
	return strings.Join(text, " ")
}

// Rule 7: on a list that does not change, one sweep finds a run of late messages of any length in any place, oldest
// first. It reads each page of the run at most once more, and one page to prove that nothing moved.
func TestSweep_findsARunOfAnyLengthAnywhere(t *testing.T) {
	const messages = 36
	for length := 1; length <= 14; length++ {
		for below := messages; below > 1; below-- {
			d := sweepDesk(t, messages)
			d.insert(length, below)
			d.settle(5)
			if d.log.Checkpoint.Counters.Late == 0 {
				d.list.Requests()
				out := d.sweepOnce(func() {})
				pages := (messages + length + small.Page - 1) / small.Page
				if most := pages + 1 + length/small.Page + 2 + 1; out.Pages > most {
					t.Errorf("%d below %d: %d pages read, want at most %d", length, below, out.Pages, most)
				}
			}
			if got, want := d.log.Text(), connectortest.IDs(1, messages)+" "+lateIDs(length); got != want {
				t.Fatalf("%d below %d: the log has %s", length, below, got)
			}
			if out := d.sweepOnce(func() {}); out.Delivered > 0 {
				t.Errorf("%d below %d: a second sweep delivers %d", length, below, out.Delivered)
			}
		}
	}
}

// Rule 7: a sweep of a list without late messages reads each page once, and no other.
func TestSweep_costsNothingMoreWhereNothingIsLate(t *testing.T) {
	d := sweepDesk(t, 26)
	d.sweepOnce(func() {})
	d.wantRequests("0 1 2 3 4 5 6 7")
}

// Rule 7: several runs, on a list that grows during the sweep, with a poll between any two steps.
func TestSweep_findsRunsOnAListThatMoves(t *testing.T) {
	for every := 1; every <= 4; every++ {
		for grows := range 3 {
			d := sweepDesk(t, 60)
			d.reading.Rules.SweepStep = 1
			d.restart()
			d.settle(10)
			for i, below := range []int{53, 40, 39, 17} {
				for j := range []int{1, 9, 3, 6}[i] {
					d.list.Under(below, connectortest.At(connectortest.Message(100_000+100*i+j), connectortest.Minute(below)))
				}
			}
			next, step := 61, 0
			for range 3 {
				d.sweepOnce(func() {
					if step++; step%every == 0 {
						for range grows {
							d.list.Add(connectortest.Message(next))
							next++
						}
					}
					if out, err := d.Poll(t.Context(), d.start); err != nil {
						t.Fatalf("%+v: %v", out, err)
					}
				})
			}
			d.settle(10)
			if got := d.log.Checkpoint.Counters.Late; got != 19 {
				t.Errorf("%d new ones every %d steps: %d late of 19", grows, every, got)
			}
			if got, want := len(d.log.Events), 60+19+next-61; got != want {
				t.Errorf("%d new ones every %d steps: %d events of %d", grows, every, got, want)
			}
		}
	}
}

// Rule 7: if the list moves by a page or more between two pages, the rows of the lower page are not below those that
// the upper one showed.
func TestSweep_trustsNoSpanThatMovedByAPage(t *testing.T) {
	for burst := 1; burst <= 13; burst++ {
		for call := 2; call <= 6; call++ {
			d := sweepDesk(t, 30)
			d.insert(2, 23) // below the last row of page 1
			d.list.Requests()
			d.list.Before = func(n, _ int) error {
				if n == call {
					d.list.Add(connectortest.Newest(30+burst, 31)...)
				}
				return nil
			}
			d.sweepOnce(func() {})
			d.list.Before = nil
			d.settle(20)
			if got, want := strings.ReplaceAll(d.log.Text(), " "+lateIDs(2), ""), connectortest.IDs(1, 30+burst); got != want {
				t.Fatalf("%d new ones before call %d: the log has %s", burst, call, got)
			}
			d.sweepOnce(func() {})
			if got := d.log.Checkpoint.Counters.Late; got != 2 {
				t.Errorf("%d new ones before call %d: %d late of 2 after the next sweep", burst, call, got)
			}
		}
	}
}

// Rule 7: failed proofs are repeated only a few times.
func TestSweep_triesAProofAFewTimesOnly(t *testing.T) {
	d := sweepDesk(t, 30)
	d.insert(6, 23)
	removed, before := 130, 0 // rows above the run are deleted whenever a page is read that is not the next one
	d.list.Add(connectortest.Newest(130, 31)...)
	d.settle(60)
	d.list.Requests()
	d.list.Before = func(_, number int) error {
		if number < before && removed > 60 {
			d.list.Remove(removed)
			removed--
		}
		before = number
		return nil
	}
	out := d.sweepOnce(func() {})
	if out.Pages > 55 {
		t.Errorf("%d pages read, though the list has %d", out.Pages, len(d.list.Rows)/small.Page)
	}
	d.list.Before = nil
	d.settle(5)
	for range 2 {
		d.sweepOnce(func() {})
	}
	if got := d.log.Checkpoint.Counters.Late; got != 6 {
		t.Errorf("%d late of 6 once the list stands still", got)
	}
}

// Rule 7: a run that begins within the depth is found to its end, and nothing else below the depth is read.
func TestSweep_followsARunBelowTheDepth(t *testing.T) {
	d := sweepDesk(t, 60)
	for i := range 14 {
		// everything but its beginning is below the depth
		d.list.Under(31, connectortest.At(connectortest.Message(1000+i), connectortest.Minute(1)))
	}
	d.list.Requests()
	deep := connectortest.Minute(30).Add(small.SweepDepth)
	for more := true; more; {
		out, err := d.Sweep(t.Context(), deep)
		if err != nil {
			t.Fatal(err)
		}
		more = out.More
	}
	d.wantLog(connectortest.IDs(1, 60) + " " + lateIDs(14))
	d.settle(5)
	d.list.Requests()
	for more := true; more; {
		out, _ := d.Sweep(t.Context(), deep)
		more = out.More
	}
	if n := len(strings.Fields(d.list.Requests())); n > 13 {
		t.Errorf("%d pages read, of which the depth allows 13", n)
	}
}

// Rule 7: what is added right above the window's edge, or above an event that was erased, is held, and counted once.
func TestSweep_countsWhatItCannotTell(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(60, 1)...)
	d.restart()
	d.settle(5)
	size, _ := d.Seen()
	edge := 60 - size + 1
	d.list.Under(edge+1, connectortest.Message(1000)) // right above the oldest remembered message
	for range 3 {
		if out := d.sweepOnce(func() {}); out.Delivered > 0 {
			t.Errorf("%+v", out)
		}
	}
	if got := d.Checkpoint().Counters.Held; got != 1 || !d.IsHeld(connectortest.Message(1000).Key) {
		t.Errorf("%d are held, want 1", got)
	}
	erased := sweepDesk(t, 30)
	erased.log.Erased = map[uint64]bool{20: true}
	erased.restart()
	erased.settle(5)
	erased.insert(6, 8)
	erased.sweepOnce(func() {})
	erased.wantLog(connectortest.IDs(1, 30))
	if got := erased.Checkpoint().Counters.Held; got < 6 || got > 7 {
		t.Errorf("%d are held, want 6 and the erased one", got)
	}
}

// Rule 7: the same between the rows of a floor; and below a floor little is read.
func TestSweep_betweenTheRowsOfAFloor(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartNow, connectortest.Newest(60, 1)...)
	d.settle(5)
	d.list.Add(connectortest.Newest(63, 61)...)
	d.settle(5)
	d.insert(9, 58)
	d.list.Requests()
	d.sweepOnce(func() {})
	d.wantLog(connectortest.IDs(61, 63) + " " + lateIDs(9))
}

// Rule 7: a list that returns the same page for every number, or a page that a filter left empty, does not end a sweep
// wrongly, and no sweep goes on forever.
func TestSweep_onAListThatLies(t *testing.T) {
	d := sweepDesk(t, 40)
	d.list.Raw = map[int]connector.Page{}
	for n := 3; n < 100; n++ {
		d.list.Raw[n] = connector.Page{Messages: slices.Clone(d.list.Rows[8:12])}
	}
	if out := d.sweepOnce(func() {}); out.Pages > 6 || out.Delivered > 0 {
		t.Errorf("%+v", out)
	}
	d.list.Raw = map[int]connector.Page{4: {}}
	d.insert(3, 10)
	if out := d.sweepOnce(func() {}); out.Late != 3 {
		t.Errorf("%+v", out)
	}
}

// Rule 7: if late messages are deleted or pushed down after they were proven, the remaining ones are delivered, once.
func TestSweep_deliversWhatIsLeftOfARun(t *testing.T) {
	for call := 5; call <= 16; call++ {
		for _, change := range []string{"delete one", "delete all", "push down", "push far down"} {
			d := sweepDesk(t, 40)
			d.insert(13, 31)
			d.list.Requests()
			gone := 0
			d.list.Before = func(n, _ int) error {
				switch {
				case n != call:
				case change == "delete one":
					d.list.Remove(1003)
					gone = 1
				case change == "delete all":
					for i := range 13 {
						d.list.Remove(1000 + i)
					}
					gone = 13
				case change == "push down":
					d.list.Add(connectortest.Newest(43, 41)...)
				default:
					d.list.Add(connectortest.Newest(63, 41)...)
				}
				return nil
			}
			for range 3 {
				d.sweepOnce(func() { d.poll() })
				d.settle(20)
			}
			late := int(d.log.Checkpoint.Counters.Late)
			if late < 13-gone || late > 13 {
				t.Errorf("%s before call %d: %d late of %d", change, call, late, 13-gone)
			}
		}
	}
}
