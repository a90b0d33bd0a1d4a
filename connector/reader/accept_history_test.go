package reader

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// lostGround is a reader whose list has lost everything that was delivered, and shows that many older messages, numbers
// 5000 and up, oldest first. It has not noticed that yet.
func lostGround(t *testing.T, messages int) *readerFixture {
	t.Helper()
	d := newReaderFixture(t, connectortest.StartNow, connectortest.Newest(104, 92)...)
	d.reading.Rules.MinWindow, d.reading.Rules.Capacity, d.reading.Rules.SlicePages, d.reading.Rules.Floor = 40, 120, 10, 8
	d.reading.Rules.SweepStep = 3
	d.restart()
	d.settle(5)
	d.list.Add(connectortest.Newest(108, 105)...)
	d.settle(4)
	d.wantLog(connectortest.IDs(105, 108))
	d.list.Rows = nil
	for n := range messages {
		d.list.Add(connectortest.At(connectortest.Message(5000+n), connectortest.Minute(n-100_000)))
	}
	d.list.Requests()
	return d
}

// accept asks for the held messages and goes on until nothing is left to do: a poll, then the delivery of held messages
// until the next poll is due, and then between. It restarts the reader after an error of the log.
func (d *readerFixture) accept(most int, between func(step int)) {
	d.t.Helper()
	d.reading.AcceptHistory = true
	d.restart()
	for step := range most {
		out, err := d.Poll(d.t.Context(), d.start)
		if err != nil && !LeftUnchanged(err) {
			d.restart()
			continue
		}
		if out.Unchanged && d.Checkpoint().Accepting == nil {
			return
		}
		if between(step); d.AcceptDue() {
			if _, err := d.Sweep(d.t.Context(), connectortest.Minute(0)); err != nil && !LeftUnchanged(err) {
				d.restart()
			}
		}
	}
	d.t.Fatalf("not at rest after %d steps: %d events, %+v", most, len(d.log.Events), d.Checkpoint().Accepting)
}

func accepted(n int) string {
	var text []string
	for i := range n {
		text = append(text, fmt.Sprintf("m%d*", 5000+i))
	}
	return strings.Join(text, " ")
}

// Rule 8: at the operator's request, held messages are delivered, oldest first and late, at 1.3 calls a page, whatever
// the list's size is, and nothing is reported any more once that is done.
func TestAccept_deliversWhatIsHeldAtACallAPage(t *testing.T) {
	for _, messages := range []int{1, 3, 4, 5, 39, 40, 41, 44, 45, 90, 163, 400, 401, 999, 2000} {
		d := lostGround(t, messages)
		d.reading.Rules.SweepStep, d.reading.Rules.SlicePages = 10_000, 20
		d.accept(20, func(int) {})
		d.wantLog(connectortest.IDs(105, 108) + " " + accepted(messages))
		d.wantCertified(uint64(4 + messages))
		made, pages := len(strings.Fields(d.list.Requests())), (messages+small.Page-1)/small.Page
		if most := pages*13/10 + 24; made > most {
			t.Errorf("%d pages took %d calls, want at most %d", pages, made, most)
		}
		before := d.log.Text()
		d.restart() // the flag may stay in a manifest permanently
		d.settle(8)
		if d.AcceptDue() {
			t.Error("the word says something again")
		}
		d.wantLog(before)
		if messages > 10 {
			d.wantRequests("0 0")
		}
	}
}

// Rule 8: the same, whatever happens meanwhile.
func TestAccept_goesOnOverRestartsAndLiveMessages(t *testing.T) {
	for seed := range 12 {
		d := lostGround(t, 700)
		d.reading.Rules.SweepStep = 12
		d.log.MaxCommit = connector.Limits{Messages: 7, Bytes: 1 << 20}
		next, commits := 109, 0
		d.log.Answer = func(_ context.Context, _ []connector.Event) (bool, error) {
			if commits++; commits%(3+seed) == 0 {
				return commits%2 == 0, errors.New("no answer")
			}
			return true, nil
		}
		d.accept(4000, func(step int) {
			if step%(seed+1) == 0 && next < 300 {
				d.list.Add(connectortest.Message(next))
				next++
			}
			if step%5 == seed%5 {
				d.restart()
			}
		})
		d.log.Answer = nil
		want := 4 + 700 + next - 109
		if got := len(d.log.Events); got != want {
			t.Errorf("seed %d: %d events, want %d", seed, got, want)
		}
		inOrder, last, old := 0, 0, ""
		for i, e := range d.log.Events {
			switch {
			case !e.Late:
				if inOrder++; inOrder > 4 && e.ID != connectortest.Message(104+inOrder).UUID {
					t.Fatalf("seed %d: %s is out of order", seed, e.ID)
				}
				last = i
			case e.ID < old:
				t.Fatalf("seed %d: %s comes after %s", seed, e.ID, old)
			default:
				old = e.ID
			}
		}
		if last == len(d.log.Events)-1 && inOrder == len(d.log.Events) {
			t.Errorf("seed %d: nothing was accepted", seed)
		}
	}
}

// Rule 8: the request applies to what is held at the time. What is held later needs another request, even if the flag
// stays in a manifest.
func TestAccept_saysNothingOnceItIsDone(t *testing.T) {
	d := lostGround(t, 90)
	d.accept(200, func(int) {})
	if c := d.log.Checkpoint; !c.Accepted || !c.AcceptHistoryUsed || c.Accepting != nil {
		t.Errorf("%+v", c)
	}
	d.reading.AcceptHistory = false
	d.restart()
	d.settle(8)
	if d.log.Checkpoint.AcceptHistoryUsed {
		t.Error("a start without the word leaves it spent")
	}
}

// Rule 8: if the horizon is no longer listed, the list is another one, and none of it is accepted.
func TestAccept_deliversNothingOfAnotherList(t *testing.T) {
	d := lostGround(t, 90)
	d.reading.AcceptHistory = true
	d.restart()
	d.poll() // sets the horizon
	d.Poll(t.Context(), d.start)
	rows := d.list.Rows
	d.list.Rows = rows[30:]
	d.progress.top = nil
	for range 40 {
		if d.AcceptDue() {
			if _, err := d.Sweep(t.Context(), connectortest.Minute(0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.wantLog(connectortest.IDs(105, 108))
	if d.Checkpoint().Accepting != nil {
		t.Error("it is not over")
	}
}

// Rule 8: accepted messages are old, and do not move the time of ground.
func TestAccept_leavesGroundWhereItIsInTime(t *testing.T) {
	d := lostGround(t, 90)
	before := d.Checkpoint().GroundTime
	d.accept(200, func(int) {})
	if got := d.Checkpoint().GroundTime; !got.Equal(before) {
		t.Errorf("ground lies at %v, was at %v", got, before)
	}
}

// Messages that were added late among the rows of the horizon were delivered as such, and may be forgotten when the
// request is made: they are delivered once.
func TestAccept_deliversOnceWhatCameLateAmongTheHorizon(t *testing.T) {
	for _, forget := range []int{0, 300} {
		d := lostGround(t, 60)
		for len(d.Checkpoint().Horizon) == 0 {
			d.list.Later += d.reading.Rules.CheckOver
			_, err := d.Poll(d.t.Context(), d.start)
			if _, suspects := errors.AsType[*Suspicion](err); err != nil && !suspects && !errors.Is(err, ErrMoved) {
				t.Fatal(err)
			}
		}
		d.settle(4)
		late := connectortest.At(connectortest.Message(9000), connectortest.Minute(5058-100_000))
		d.list.Under(5058, late)
		for more := true; more; {
			out, err := d.Sweep(t.Context(), connectortest.Minute(0))
			if err != nil {
				t.Fatal(err)
			}
			more = out.More
		}
		if !strings.HasSuffix(d.log.Text(), "m9000*") {
			t.Fatalf("the log has %s", d.log.Text())
		}
		for n := range forget {
			d.list.Add(connectortest.Message(109 + n))
			if n%3 == 0 {
				d.settle(3)
			}
		}
		d.accept(60, func(int) {})
		text := " " + d.log.Text() + " "
		if strings.Count(text, " m9000* ") != 1 || strings.Count(text, " m5059* ") != 1 ||
			strings.Count(text, " m5000* ") != 1 {
			t.Errorf("%d forgotten: the log has %s", forget, text)
		}
	}
}

// lose polls until the reader believes that the list shows nothing of what was delivered.
func (d *readerFixture) lose() {
	d.t.Helper()
	for len(d.Checkpoint().Horizon) == 0 {
		d.list.Later += d.reading.Rules.CheckOver
		_, err := d.Poll(d.t.Context(), d.start)
		if _, suspects := errors.AsType[*Suspicion](err); err != nil && !suspects && !errors.Is(err, ErrMoved) {
			d.t.Fatal(err)
		}
	}
}

// Rule 8: what is newer than ground by its time is new wherever it is, and is not delivered again with the held
// messages around it, even if it is forgotten by then.
func TestAccept_deliversOnceWhatWasNewByItsTime(t *testing.T) {
	untimed := func(m connector.Message) connector.Message { m.Time = time.Time{}; return m }
	for _, forget := range []int{0, 300} {
		d := lostGround(t, 60)
		d.reading.Rules.SlicePages = 30
		d.restart()
		for i, m := range []connector.Message{
			connectortest.At(connectortest.Message(9000), connectortest.Minute(190)),
			untimed(connectortest.Message(9001)), connectortest.At(connectortest.Message(9002), connectortest.Minute(191)),
		} {
			d.list.Under(5040-10*i, m)
		}
		d.list.Under(9000, untimed(connectortest.Message(9003)))
		d.list.Add(untimed(connectortest.Message(9004)), connectortest.At(connectortest.Message(9005),
			connectortest.Minute(192)), connectortest.At(connectortest.Message(9006), connectortest.Minute(5)))
		d.lose()
		d.settle(6)
		if got := " " + d.log.Text() + " "; !strings.Contains(got, " m9000") || !strings.Contains(got, " m9003") ||
			strings.Contains(got, " m5") {
			t.Fatalf("%d forgotten: the log has %s", forget, got)
		}
		for n := range forget {
			d.list.Add(connectortest.At(connectortest.Message(10_000+n), connectortest.Minute(200+n)))
			if n%3 == 0 {
				d.settle(3)
			}
		}
		d.accept(80, func(int) {})
		for _, row := range d.list.Rows {
			if got := strings.Count(" "+strings.ReplaceAll(d.log.Text(), "*", "")+" ", " "+row.UUID+" "); got != 1 {
				t.Errorf("%d forgotten: %s stands %d times in the log %s", forget, row.UUID, got, d.log.Text())
			}
		}
	}
}

// Rule 8: if a row is deleted while a section is read, another row moves to the page above. That row is not missed.
func TestAccept_passesOverNothingWhereRowsAreDeleted(t *testing.T) {
	for _, seam := range []int{1, 3, 6, 12, 20, 30} {
		for _, above := range []int{1, 2, 5, 100} {
			d := lostGround(t, 150)
			gone := map[string]bool{}
			d.list.Before = func(_, number int) error {
				p := &d.Reader.acceptance.accept.section
				if p.begun && len(p.pages) == 0 && p.reference != (spanRow{}) && number == p.next && above == 100 &&
					d.list.Rows[0].UUID != "m109" {
					// so that the lower end is where it should be, whatever is deleted above both
					d.list.Add(connectortest.Message(109))
				}
				if !d.HoldsSection() || number != seam || len(gone) > 0 {
					return nil
				}
				at := max(0, number-above)*d.list.PageSize + 1
				gone[d.list.Rows[at].UUID] = true
				d.list.Rows = append(d.list.Rows[:at:at], d.list.Rows[at+1:]...)
				return nil
			}
			d.accept(200, func(int) {})
			text := " " + d.log.Text() + " "
			for n := range 150 {
				if id := fmt.Sprint("m", 5000+n); !gone[id] && !strings.Contains(text, " "+id+"* ") {
					t.Errorf("page %d, deleted %d above: %s was passed over", seam, above, id)
				}
			}
		}
	}
}

// While held messages are being delivered, the top of the list stays ground with everything known on page 0. So late
// messages among its rows do not lead a poll below it, where it would take held messages for new ones.
func TestAccept_keepsPollsAboveWhatIsHeld(t *testing.T) {
	d := lostGround(t, 150)
	d.reading.AcceptHistory = true
	d.restart()
	for step := 0; d.Checkpoint().Accepting == nil || len(d.Checkpoint().Accepting.Done) == 0; step++ {
		if step > 50 {
			t.Fatal("nothing was accepted")
		}
		if _, err := d.Poll(t.Context(), d.start); err != nil {
			t.Fatal(err)
		}
		if d.AcceptDue() {
			if _, err := d.Sweep(t.Context(), connectortest.Minute(0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := len(d.Checkpoint().Horizon); got != d.list.PageSize {
		t.Errorf("the horizon has %d keys, page 0 has %d rows", got, d.list.PageSize)
	}
	for n := range d.list.PageSize {
		d.list.Under(5149-n, connectortest.At(connectortest.Message(9000+n), connectortest.Minute(5148-n-100_000)))
	}
	d.restart()
	for range 6 {
		if _, err := d.Poll(t.Context(), d.start); err != nil && !LeftUnchanged(err) {
			t.Fatal(err)
		}
	}
	for _, id := range strings.Fields(d.log.Text()) {
		if strings.HasPrefix(id, "m5") && !strings.HasSuffix(id, "*") {
			t.Errorf("%s was delivered as if it were new", id)
		}
	}
	d.accept(100, func(int) {})
	for _, row := range d.list.Rows {
		if got := strings.Count(" "+strings.ReplaceAll(d.log.Text(), "*", "")+" ", " "+row.UUID+" "); got != 1 {
			t.Errorf("%s stands %d times in the log", row.UUID, got)
		}
	}
}

// Rule 8: live messages that arrive at almost every call do not delay the delivery of held messages, nor make it much
// more expensive.
func TestAccept_isNotHeldUpByWhatIsAddedOnTop(t *testing.T) {
	if testing.Short() {
		t.Skip("many cases in one goroutine: not in short mode")
	}
	for _, every := range []float64{1, .5, .2, .05} {
		rng := rand.New(rand.NewPCG(14, 1))
		d := lostGround(t, 0)
		d.list.PageSize = 20
		d.reading.Rules.Page, d.reading.Rules.SlicePages, d.reading.Rules.SweepStep, d.reading.Rules.Floor = 20, 30, 10, 20
		for n := range 3_000 {
			d.list.Add(connectortest.At(connectortest.Message(5000+n), connectortest.Minute(n-100_000)))
		}
		next := 109
		d.list.Before = func(int, int) error {
			for coming := rng.ExpFloat64() / every; coming < 1; coming += rng.ExpFloat64() / every {
				d.list.Add(connectortest.Message(next))
				next++
			}
			return nil
		}
		d.reading.AcceptHistory = true
		d.restart()
		steps := 0
		for ; !d.Checkpoint().Accepted && steps < 400; steps++ {
			if _, err := d.Poll(t.Context(), d.start); err != nil && !LeftUnchanged(err) {
				t.Fatal(err)
			}
			if d.AcceptDue() {
				if _, err := d.Sweep(t.Context(), connectortest.Minute(0)); err != nil && !LeftUnchanged(err) {
					t.Fatal(err)
				}
			}
		}
		calls := len(strings.Fields(d.list.Requests()))
		t.Logf("%v messages a call: %d pages took %d calls in %d steps", every, 3_000/20, calls, steps)
		if most := 150*13/10 + 6*steps + 40; !d.Checkpoint().Accepted || calls > most {
			t.Errorf("%v messages a call: accepted %t after %d steps and %d calls, want at most %d", every,
				d.Checkpoint().Accepted, steps, calls, most)
		}
	}
}
