package connector

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// cutOff lets a list end above a page, as long as it says so.
func cutOff(d *desk, above int) (mend func()) {
	d.list.raw = map[int]Page{}
	for number := above; number < 64; number++ {
		d.list.raw[number] = Page{Missing: number%2 == 1}
	}
	return func() { d.list.raw = nil }
}

// lookLater lets so many looks at the end of the list come due, and what they find be delivered.
func (d *desk) lookLater(looks int) {
	d.t.Helper()
	for range looks {
		d.list.later += small.LookOver / 2
		d.settle(100)
		for range 400 {
			if !d.Accepting() && !d.Looking() {
				break
			}
			if _, err := d.Sweep(d.t.Context(), time.Now()); err != nil {
				d.t.Fatal(err)
			}
			d.settle(100)
		}
	}
}

// A list that ends too early at a first start loses nothing: what was delivered at once is at rest, and what shows
// below it within some minutes is delivered late, each message once.
func TestReader_AFalseEndAtTheFirstStart(t *testing.T) {
	for _, test := range []struct {
		name  string
		start Start
		from  int // the oldest message that is wanted
	}{
		{"beginning", beginning, 1},
		{"a time above the false end", Start{Since: minute(289)}, 289},
		{"a time below it", Start{Since: minute(101)}, 101},
		{"a time right below it", Start{Since: minute(280)}, 280},
		{"a time before the list", Start{Since: minute(-7)}, 1},
	} {
		for _, crew := range []Crew{nil, inTurn{}} {
			for _, restarts := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %T, %t", test.name, crew, restarts), func(t *testing.T) {
					d := newDesk(t, test.start, newest(300, 1)...)
					d.reading.Crew = crew
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
					late := strings.Count(d.log.text(), "*")
					if got := max(0, 281-test.from); late != got {
						t.Errorf("%d late, want %d", late, got)
					}
					d.list.add(message(301))
					d.settle(10)
					d.lookLater(4)
					if d.wantCertified(uint64(302 - test.from)); d.EndOpen() || d.recorded.Accepting != nil {
						t.Errorf("it is not settled where the list ends: %+v", d.recorded.Bottom)
					}
				})
			}
		}
	}
}

// The last page that a list shows before a false end need not be full.
func TestReader_AFalseEndInAPage(t *testing.T) {
	for _, restarts := range []bool{false, true} {
		d := newDesk(t, beginning, newest(65, 1)...)
		mend := cutOff(d, 2)
		d.list.raw[1] = Page{Messages: newest(61, 60)}
		d.settle(100)
		d.wantLog(ids(60, 65))
		mend()
		if restarts {
			d.restart()
			d.settle(10)
		}
		d.lookLater(5)
		d.wantCertified(65)
		if late := strings.Count(d.log.text(), "*"); late != 59 || d.EndOpen() {
			t.Errorf("%d late, want 59; open: %t", late, d.EndOpen())
		}
	}
}

// A list that really ends costs a few calls more, once, the more where its last page is full; everything is delivered
// at once.
func TestReader_AnHonestEndAtTheFirstStart(t *testing.T) {
	for rows := 37; rows <= 40; rows++ {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			d := settledDesk(t, beginning, newest(rows, 1)...)
			d.wantCertified(uint64(rows))
			if !d.EndOpen() {
				t.Error("the end is settled at once")
			}
			d.list.requests()
			d.lookLater(4)
			if d.EndOpen() {
				t.Error("it is not settled after four looks")
			}
			looks := 0
			for _, number := range strings.Fields(d.list.requests()) {
				if number != "0" {
					looks++
				}
			}
			want := small.Looks * (1 + belowShort)
			if rows == 40 {
				want = small.Looks * (1 + small.BelowEnd)
			}
			if looks > want {
				t.Errorf("%d requests below page 0, want at most %d", looks, want)
			}
			d.wantLog(ids(1, rows))
		})
	}
}

// The list may end too early more than once, each time further down.
func TestReader_AFalseEndBelowAnother(t *testing.T) {
	d := newDesk(t, beginning, newest(100, 1)...)
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

// cut is a list that shows nothing from a page on.
type cut struct {
	*flood
	from int // 0: it shows all
}

func (c *cut) Page(ctx context.Context, s Stream, number int, held Fingerprint) (Page, error) {
	if c.from > 0 && number >= c.from {
		return Page{Number: number, Received: time.Now()}, nil
	}
	return c.flood.Page(ctx, s, number, held)
}

// A history that seems to end too early is looked at once more at its end, and what shows below then is delivered late.
func TestHistory_AFalseEnd(t *testing.T) {
	for _, from := range []int{2, 9, 25} {
		t.Run(fmt.Sprint(from), func(t *testing.T) {
			list := &cut{flood: &flood{rng: rand.New(rand.NewPCG(1, 2)), every: 1 << 30, most: 2000}}
			list.add(300)
			stream := Stream{Name: "a", SourceKey: "k"}
			rules := rulesOfWorld
			rules.Looks, rules.LookOver, rules.BelowEnd = small.Looks, small.LookOver, small.BelowEnd
			reading := Reading{
				Patience: impatient{}, Stream: stream, Rules: rules, Events: EventSettings{TypePrefix: "p"},
				Crew: inTurn{}, OneWalk: true,
			}
			liveLog, log := &ledger{t: t}, &ledger{t: t}
			if _, err := NewSession(list, liveLog, reading, Start{}).Poll(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkpoint, _, _ := liveLog.Peek(t.Context())
			list.from = from
			reading.Stream = HistoryStream(stream)
			history := NewSession(NewHistory(list, stream, checkpoint, pageOfWorld), log, reading, beginning)
			for rested := 0; rested < 8; {
				out, err := history.Poll(t.Context())
				if err == nil && (history.Reader().Accepting() || history.Reader().Looking()) {
					_, err = history.Sweep(t.Context(), time.Now())
				}
				if err != nil && !harmless(err) {
					t.Fatal(err)
				}
				if out.Rested {
					rested++
					list.from = 0
				}
			}
			if history.Reader().EndOpen() || len(log.events) != 300 {
				t.Errorf("%d events of 300, open: %t", len(log.events), history.Reader().EndOpen())
			}
		})
	}
}
