package reader

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// cutOff makes a list end above a page, until mend is called.
func cutOff(d *readerFixture, above int) (mend func()) {
	d.list.Raw = map[int]connector.Page{}
	for number := above; number < 64; number++ {
		d.list.Raw[number] = connector.Page{Missing: number%2 == 1}
	}
	return func() { d.list.Raw = nil }
}

// lookLater makes that many checks of the end of the list due, and lets what they find be delivered.
func (d *readerFixture) lookLater(looks int) {
	d.t.Helper()
	for range looks {
		d.list.Later += small.CheckOver / 2
		d.settle(100)
		for range 400 {
			if !d.AcceptDue() && !d.EndCheckDue() {
				break
			}
			if _, err := d.Sweep(d.t.Context(), time.Now()); err != nil {
				d.t.Fatal(err)
			}
			d.settle(100)
		}
	}
}

// A list that ends too early at a first start loses nothing: what was delivered at once is at rest, and what appears
// below it within some minutes is delivered late, each message once.
func TestReader_AFalseEndAtTheFirstStart(t *testing.T) {
	for _, test := range []struct {
		name  string
		start connector.Start
		from  int // the oldest wanted message
	}{
		{"beginning", connectortest.StartBeginning, 1},
		{"a time above the false end", connector.Start{Since: connectortest.Minute(289)}, 289},
		{"a time below it", connector.Start{Since: connectortest.Minute(101)}, 101},
		{"a time right below it", connector.Start{Since: connectortest.Minute(280)}, 280},
		{"a time before the list", connector.Start{Since: connectortest.Minute(-7)}, 1},
	} {
		for _, pool := range []WorkerPool{nil, connectortest.SerialWorkers{}} {
			for _, restarts := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %T, %t", test.name, pool, restarts), func(t *testing.T) {
					d := newReaderFixture(t, test.start, connectortest.Newest(300, 1)...)
					d.reading.Workers = pool
					d.restart()
					mend := cutOff(d, 5) // 20 messages
					if out := d.settle(100); out.Delivered != min(20, 301-test.from) {
						t.Fatalf("%+v", out)
					}
					mend()
					if restarts {
						d.restart()
						d.settle(10)
					}
					d.lookLater(4)
					d.wantCertified(uint64(301 - test.from))
					late := strings.Count(d.log.Text(), "*")
					if got := max(0, 281-test.from); late != got {
						t.Errorf("%d late, want %d", late, got)
					}
					d.list.Add(connectortest.Message(301))
					d.settle(10)
					d.lookLater(4)
					if d.wantCertified(uint64(302 - test.from)); d.EndOpen() || d.known.recorded.Accepting != nil {
						t.Errorf("it is not settled where the list ends: %+v", d.known.recorded.UncheckedEnd)
					}
				})
			}
		}
	}
}

// The last page before a false end need not be full.
func TestReader_AFalseEndInAPage(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(65, 1)...)
		mend := cutOff(d, 2)
		d.list.Raw[1] = connector.Page{Messages: connectortest.Newest(61, 60)}
		d.settle(100)
		d.wantLog(connectortest.IDs(60, 65))
		mend()
		if restarts {
			d.restart()
			d.settle(10)
		}
		d.lookLater(5)
		d.wantCertified(65)
		if late := strings.Count(d.log.Text(), "*"); late != 59 || d.EndOpen() {
			t.Errorf("%d late, want 59; open: %t", late, d.EndOpen())
		}
	}
}

// A list that really ends costs a few more calls, once, and more of them if its last page is full; everything is
// delivered at once.
func TestReader_AnHonestEndAtTheFirstStart(t *testing.T) {
	for rows := 37; rows <= 40; rows++ {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(rows, 1)...)
			d.wantCertified(uint64(rows))
			if !d.EndOpen() {
				t.Error("the end is settled at once")
			}
			d.list.Requests()
			d.lookLater(4)
			if d.EndOpen() {
				t.Error("it is not settled after four looks")
			}
			looks := 0
			for _, number := range strings.Fields(d.list.Requests()) {
				if number != "0" {
					looks++
				}
			}
			want := small.Checks * (1 + belowShort)
			if rows == 40 {
				want = small.Checks * (1 + small.BelowEnd)
			}
			if looks > want {
				t.Errorf("%d requests below page 0, want at most %d", looks, want)
			}
			d.wantLog(connectortest.IDs(1, rows))
		})
	}
}

// The list may end too early more than once, each time further down.
func TestReader_AFalseEndBelowAnother(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(100, 1)...)
	cutOff(d, 2)
	d.settle(20)
	cutOff(d, 7)
	d.lookLater(1)
	cutOff(d, 12)()
	d.lookLater(1)
	d.lookLater(4)
	d.wantCertified(100)
	if d.EndOpen() {
		t.Error("it is not settled where the list ends")
	}
}

// What is below a false end is found although the list grows by many pages between each poll and the check that follows
// it, whether the window holds the log or not.
func TestReader_AFalseEndOfAListThatGrows(t *testing.T) {
	for _, before := range []int{0, 60, 100} { // messages that are delivered before
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(40, 1)...)
			mend := cutOff(d, 2)
			d.settle(9)
			mend()
			next := 41
			grow := func(n int) {
				d.list.Add(connectortest.Newest(next+n-1, next)...)
				next += n
			}
			grow(before)
			d.settle(100)
			for range 3 * small.Checks {
				d.list.Later += small.CheckOver / 2
				d.settle(100)
				grown := false
				for range 100 {
					if !d.AcceptDue() && !d.EndCheckDue() {
						break
					}
					if !grown {
						grown = true
						grow(30)
					}
					if _, err := d.Sweep(t.Context(), time.Now()); err != nil {
						t.Fatal(err)
					}
				}
			}
			d.settle(100)
			if d.wantCertified(uint64(next - 1)); d.EndOpen() {
				t.Errorf("it is not settled where the list ends: %+v", d.known.recorded.UncheckedEnd)
			}
		})
	}
}

// It is found below many late messages that no sweep has delivered yet.
func TestReader_AFalseEndBelowManyLateMessages(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(40, 1)...)
	d.reading.Rules.MinWindow, d.reading.Rules.Capacity = 90, 90
	d.restart()
	mend := cutOff(d, 2)
	d.settle(9)
	mend()
	d.list.Add(connectortest.Newest(160, 41)...)
	d.settle(100)
	for n := range 30 {
		d.list.Under(60+n, connectortest.Message(900+n))
	}
	d.list.Add(connectortest.Message(161))
	d.settle(9)
	d.lookLater(5)
	for n := range 32 {
		if id := fmt.Sprintf(" m%d* ", n+1); strings.Count(d.log.Text()+" ", id) != 1 {
			t.Errorf("%s is not delivered", id)
		}
	}
}
