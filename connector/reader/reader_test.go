package reader

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

// small are rules under which a few messages behave like many under the real ones: four messages a page, two in a run.
var small = func() Rules {
	r := DefaultRules()
	r.Page, r.Run, r.SlicePages, r.SliceBytes, r.MinWindow, r.Capacity, r.Tail, r.Floor, r.Rejects = 4, 2, 4, 1<<20, 12,
		36, 4, 4, 8
	r.EmptyPolls, r.Repeats, r.SweepPages, r.SweepDepth = 3, 3, 20, 60*time.Hour
	return r
}()

// readerFixture is a reader between a list and a log.
type readerFixture struct {
	t       *testing.T
	list    *connectortest.List
	log     *connectortest.Log
	reading Reading
	start   connector.Start
	*Reader
}

func newReaderFixture(t *testing.T, start connector.Start, rows ...connector.Message) *readerFixture {
	t.Helper()
	d := &readerFixture{
		t: t, list: &connectortest.List{PageSize: small.Page, Rows: rows}, log: &connectortest.Log{T: t},
		start: start,
	}
	d.reading = Reading{
		Retry: connectortest.GiveUp{}, Stream: connector.Stream{Name: "a", SourceKey: "k"}, Rules: small,
		Events: connector.EventSettings{TypePrefix: "p"},
	}
	d.restart()
	return d
}

// settledDesk is a reader that has delivered and certified all listed messages.
func settledDesk(t *testing.T, start connector.Start, rows ...connector.Message) *readerFixture {
	t.Helper()
	d := newReaderFixture(t, start, rows...)
	d.settle(20)
	d.list.Requests()
	return d
}

// restart takes the log over with a new reader, as after a crash.
func (d *readerFixture) restart() {
	d.t.Helper()
	state, err := d.log.Acquire(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	d.Reader = NewReader(d.list, d.log, d.reading, state)
}

// poll makes a step that must succeed.
func (d *readerFixture) poll() Outcome {
	d.t.Helper()
	out, err := d.Poll(d.t.Context(), d.start)
	if err != nil {
		d.t.Fatalf("poll: %v", err)
	}
	return out
}

// fails makes a step that must fail.
func (d *readerFixture) fails(want error) {
	d.t.Helper()
	if out, err := d.Poll(d.t.Context(), d.start); !errors.Is(err, want) {
		d.t.Fatalf("poll: %v with %+v, want %v", err, out, want)
	}
}

// believe polls until a suspicion is believed: two more checks, spread over enough time.
func (d *readerFixture) believe() Outcome {
	d.t.Helper()
	for look := 1; look < small.Checks; look++ {
		_, err := d.Poll(d.t.Context(), d.start)
		var suspicion *Suspicion
		if !errors.As(err, &suspicion) || suspicion.Checks != look {
			d.t.Fatalf("poll: %v with %+v, want a suspicion after %d looks", err, suspicion, look)
		}
		d.list.Later += suspicion.Next
	}
	return d.poll()
}

// settle polls until nothing is left to do and page 0 does not change. It begins again if the list moved, checks again
// later if the list is suspect, and adds up the outcomes. most limits the steps before that.
func (d *readerFixture) settle(most int) Outcome {
	d.t.Helper()
	var sum Outcome
	for range most + 1 {
		out, err := d.Poll(d.t.Context(), d.start)
		var suspicion *Suspicion
		if errors.As(err, &suspicion) {
			d.list.Later += suspicion.Next
		} else if err != nil && !errors.Is(err, ErrMoved) {
			d.t.Fatalf("poll: %v", err)
		}
		if out.Unchanged {
			return sum
		}
		sum.Pages, sum.Delivered, sum.Late = sum.Pages+out.Pages, sum.Delivered+out.Delivered, sum.Late+out.Late
		sum.Held, sum.Rejected = sum.Held+out.Held, sum.Rejected+out.Rejected
	}
	d.t.Fatalf("not at rest after %d polls: the log has %s", most, d.log.Text())
	return sum
}

// sweep sweeps the whole list, in as many steps as necessary.
func (d *readerFixture) sweep() Outcome {
	d.t.Helper()
	var sum Outcome
	for range len(d.list.Rows)/small.Page + 2 {
		out, err := d.Sweep(d.t.Context(), connectortest.Minute(0).Add(24*time.Hour))
		if err != nil {
			d.t.Fatalf("sweep: %v", err)
		}
		sum.Delivered, sum.Late, sum.Rejected = sum.Delivered+out.Delivered, sum.Late+out.Late, sum.Rejected+out.Rejected
	}
	return sum
}

func (d *readerFixture) wantLog(want string) {
	d.t.Helper()
	if got := d.log.Text(); got != want {
		d.t.Errorf("the log has %s\nwant        %s", got, want)
	}
}

func (d *readerFixture) wantRequests(want string) {
	d.t.Helper()
	if got := d.list.Requests(); got != want {
		d.t.Errorf("pages asked for: %s, want %s", got, want)
	}
}

func (d *readerFixture) wantCertified(want uint64) {
	d.t.Helper()
	if got := d.log.Checkpoint.Certified; got != want {
		d.t.Errorf("certified up to %d, want %d", got, want)
	}
}

// Rule 1: only the order in a page and of pages counts; times do not matter.
func TestReader_OrderIsTheListsNotTheTimes(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.At(connectortest.Message(4), time.Time{}),
		connectortest.At(connectortest.Message(3), connectortest.Minute(-999)), connectortest.At(connectortest.Message(2),
			connectortest.Minute(99999)), connectortest.Message(1))
	d.settle(5)
	d.wantLog(connectortest.IDs(1, 4))
	if !d.log.Events[3].Time.IsZero() {
		t.Error("a message without a time got one")
	}
}

// Rule 2: a floor is ground, so what came after it is found with one request.
func TestReader_TheFloorIsGround(t *testing.T) {
	d := settledDesk(t, connectortest.StartNow, connectortest.Newest(9, 1)...)
	d.list.Add(connectortest.Newest(11, 10)...)
	if out := d.poll(); !out.Rested || out.Delivered != 2 {
		t.Errorf("%+v", out)
	}
	d.wantLog("m10 m11")
	d.wantRequests("0")
	d.wantCertified(2)
}

// Rule 2: after a restart the log's content is known, and nothing is delivered twice.
func TestReader_ARestartKnowsTheLog(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(9, 1)...)
	for range 3 {
		d.restart()
		d.settle(5)
	}
	d.wantLog(connectortest.IDs(1, 9))
}

// Rule 2: even if the events have expired in the sink and only the checkpoint's keys are left.
func TestReader_ARestartKnowsTheTailOfAnExpiredLog(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(9, 1)...)
	d.log.Erased = map[uint64]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true}
	d.restart()
	d.list.Add(connectortest.Newest(12, 10)...)
	d.settle(5)
	d.wantLog(connectortest.IDs(1, 12))
}

// Rule 3: a walk ends at a run of ground, even in the middle of a page.
func TestReader_AWalkEndsAtARunOfGround(t *testing.T) {
	d := settledDesk(t, connectortest.StartNow, connectortest.Newest(40, 1)...)
	d.list.Add(connectortest.Newest(43, 41)...) // page 0 shows one message of the floor, which is not a run
	d.poll()
	d.wantRequests("0 1")
	d.wantLog(connectortest.IDs(41, 43))
}

// Rule 3: a young log has less ground than a run. All of it is enough.
func TestReader_AllTheGroundThereIsIsEnough(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartNow, connectortest.Message(1))
	d.poll()
	d.list.Add(connectortest.Message(2))
	d.settle(3)
	d.list.Requests()
	d.list.Add(connectortest.Newest(4, 3)...)
	d.poll()
	d.wantRequests("0")
	d.wantLog(connectortest.IDs(2, 4))
}

// Rule 3: known is not ground. What a walk delivered and no other has certified does not end the next one.
func TestReader_AWalkDoesNotEndAtWhatIsMerelyKnown(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
	d.list.Add(connectortest.Newest(12, 5)...)
	d.poll()
	d.wantRequests("0 1 2")
	d.poll()
	d.wantRequests("0 1 2")
}

// Rule 3: messages added between two requests push those at the seam onto the next page.
func TestReader_RepeatsAtASeamAreFine(t *testing.T) {
	for inserts := range small.Page + 1 {
		t.Run(fmt.Sprint(inserts), func(t *testing.T) {
			d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
			d.list.Add(connectortest.Newest(12, 5)...)
			d.list.Before = func(call, _ int) error {
				if call == 2 {
					d.list.Add(connectortest.Newest(12+inserts, 13)...)
				}
				return nil
			}
			d.poll()
			d.wantLog(connectortest.IDs(1, 12))
			d.settle(6)
			d.wantLog(connectortest.IDs(1, 12+inserts))
		})
	}
}

// Rule 3: a burst of more than a page between two requests makes later pages newer than earlier ones.
func TestReader_ABurstOfPagesBetweenPagesConcludesNothing(t *testing.T) {
	for _, burst := range []int{5, 8, 12} { // a page and a little more; exactly two pages; exactly three
		t.Run(fmt.Sprint(burst), func(t *testing.T) {
			d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
			d.list.Add(connectortest.Newest(8, 5)...)
			d.list.Before = func(call, _ int) error {
				if call == 2 {
					d.list.Add(connectortest.Newest(8+burst, 9)...)
				}
				return nil
			}
			d.fails(ErrMoved)
			d.wantLog(connectortest.IDs(1, 4))
			d.settle(6)
			d.wantLog(connectortest.IDs(1, 8+burst))
			if got := d.log.Checkpoint.Counters.Late; got != 0 {
				t.Errorf("%d are late", got)
			}
		})
	}
}

// Rule 3: a failed page is requested again, and a step that is given up changes nothing.
func TestReader_AFailedPageIsAskedForAgain(t *testing.T) {
	tests := []struct {
		name     string
		retry    RetryPolicy
		requests string
		log      string
	}{
		{"with retries", &connectortest.TryAgain{Pages: 1}, "0 1 1 2", connectortest.IDs(1, 12)},
		{"without", connectortest.GiveUp{}, "0 1", connectortest.IDs(1, 4)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
			d.reading.Retry = test.retry
			d.restart()
			d.settle(5)
			d.list.Requests()
			d.list.Add(connectortest.Newest(12, 5)...)
			fault := &connector.PageError{Fault: connector.FaultTransient, Status: 502, Err: errors.New("bad gateway")}
			d.list.Before = func(call, _ int) error {
				if call == 2 {
					return fault
				}
				return nil
			}
			commits := len(d.log.Commits)
			_, err := d.Poll(t.Context(), d.start)
			d.wantRequests(test.requests)
			d.wantLog(test.log)
			if test.log == connectortest.IDs(1, 4) && (!errors.Is(err, fault) || len(d.log.Commits) != commits) {
				t.Errorf("poll: %v, with %d commits", err, len(d.log.Commits)-commits)
			}
			d.list.Before = nil
			d.settle(5)
			d.wantLog(connectortest.IDs(1, 12))
		})
	}
}

// Rule 3: one page is a slice at one instant, so a row that is in it twice is listed twice permanently.
func TestReader_ARowTwiceOnAPageIsIgnored(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Message(3), connectortest.Message(2),
		connectortest.Message(2), connectortest.Message(1))
	d.settle(5)
	d.wantLog(connectortest.IDs(1, 3))
}

// Rule 3: and so is the same repeat in three consecutive walks.
func TestReader_ARowListedTwiceForGoodIsIgnoredInTheEnd(t *testing.T) {
	d := settledDesk(t, connectortest.StartNow, connectortest.Newest(4, 1)...)
	d.list.Add(connectortest.Newest(16, 5)...)
	d.list.Under(6, connectortest.Message(15)) // two pages below its place
	for range small.Repeats {
		d.fails(ErrMoved)
		d.wantLog("")
	}
	d.settle(3)
	d.wantLog(connectortest.IDs(5, 16))
}

// Rule 4: a message is late if it is unknown and below a known one.
func TestReader_LateIsWhatComesBelowWhatIsKnown(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(8, 1)...)
	d.list.Under(8, connectortest.Message(70))
	d.list.Add(connectortest.Message(9))
	if out := d.settle(4); out.Delivered != 2 || out.Late != 1 {
		t.Errorf("%+v", out)
	}
	d.wantLog(connectortest.IDs(1, 8) + " m70* m9")
	if got := d.log.Checkpoint.Counters.Late; got != 1 {
		t.Errorf("the checkpoint counts %d late", got)
	}
}

// Rule 5: only a walk of page 0 certifies itself. At rest a poll is one request and no commit, with nothing to decode.
func TestReader_AQuietPollIsOneRequestAndNoCommit(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(40, 1)...)
	commits := len(d.log.Commits)
	for range 5 {
		if out := d.poll(); !out.Unchanged || !out.Rested || out.Pages != 1 {
			t.Errorf("%+v", out)
		}
	}
	d.wantRequests("0 0 0 0 0")
	if len(d.log.Commits) != commits {
		t.Errorf("%d commits", len(d.log.Commits)-commits)
	}
}

// Rule 5: a longer walk certifies nothing; the next one that agrees does.
func TestReader_ALongWalkIsCertifiedByTheNext(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
	d.list.Add(connectortest.Newest(12, 5)...)
	if out := d.poll(); out.Rested || out.Delivered != 8 {
		t.Errorf("first walk: %+v", out)
	}
	d.wantCertified(4)
	if size, open := d.Seen(); size != 12 || open != 8 {
		t.Errorf("the window has %d, %d not certified", size, open)
	}
	d.list.Add(connectortest.Message(13)) // something new on top does not contradict it
	if out := d.poll(); out.Delivered != 1 {
		t.Errorf("second walk: %+v", out)
	}
	d.wantCertified(12)
	d.settle(3)
	d.wantCertified(13)
}

// Rule 5: a deletion above a seam hides the message that moves across it. The next walk shows it, so it does not agree.
func TestReader_WhatADeleteHidIsFoundBeforeAnythingIsCertified(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
	d.list.Add(connectortest.Newest(12, 5)...) // page 0 is 12…9; 8 moves onto it
	d.list.Before = func(call, _ int) error {
		if call == 2 {
			d.list.Remove(11)
		}
		return nil
	}
	d.poll()
	d.wantLog(connectortest.IDs(1, 7) + " m9 m10 m11 m12")
	d.wantCertified(4)
	d.poll()
	d.wantLog(connectortest.IDs(1, 7) + " m9 m10 m11 m12 m8*")
	d.wantCertified(4)
	d.settle(4)
	d.wantCertified(12)
}

// Rule 5: a walk that misses what the one before saw does not agree either.
func TestReader_AWalkThatMissesSomethingCertifiesNothing(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
	d.list.Add(connectortest.Newest(12, 5)...)
	d.poll()
	d.list.Remove(7)
	d.poll()
	d.wantCertified(4)
	d.poll()
	d.wantCertified(12)
}

// Rule 10: an empty page is the end only if it is empty twice with page 0 in between, and the pages below are empty as
// well; the proof is valid while page 0 is unchanged.
func TestReader_TheEndIsProvenTwiceAndThenRemembered(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(7, 2)...)
	d.poll()
	d.list.Requests()
	d.poll()
	d.wantRequests("0 1 2 0 2 3 4 5 6 7 8 9 10")
	d.wantLog(connectortest.IDs(2, 7))
	d.poll()
	d.wantRequests("0 1 2 0")
	d.wantCertified(6)
}

// Rule 10: a page that is empty by mistake does not end the list.
func TestReader_AnEmptyPageByMistakeEndsNothing(t *testing.T) {
	d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(11, 2)...)
	d.poll()
	d.list.Requests()
	d.list.Before = func(call, _ int) error {
		d.list.Raw = nil
		if call == 2 {
			d.list.Raw = map[int]connector.Page{1: {Missing: true}}
		}
		return nil
	}
	d.poll()
	d.wantRequests("0 1 0 1 2 3 0 3 4 5 6 7 8 9 10 11")
	d.wantLog(connectortest.IDs(2, 11))
}

// Rule 10: an empty page with messages on a page below it is not the end, whether pages are read in parallel or not.
// What is below is delivered once the page has stayed empty for long enough, and no poll goes on forever.
func TestReader_AnEmptyPageAboveOthersEndsNothing(t *testing.T) {
	for name, workers := range map[string]WorkerPool{"in turn": nil, "in parallel": Workers(4)} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			d := newReaderFixture(t, connectortest.StartBeginning, connectortest.Newest(12, 1)...)
			d.reading.Workers = workers
			d.restart()
			d.list.Raw = map[int]connector.Page{1: {}}
			calls := 0
			d.list.Before = func(int, int) error {
				if calls++; calls > 1000 {
					cancel()
				}
				return ctx.Err()
			}
			doubted := 0
			for range 12 {
				d.list.Later += small.CheckOver / 2
				_, err := d.Poll(ctx, d.start)
				var fault *connector.PageError
				if errors.As(err, &fault) && fault.Fault == connector.FaultInvalid {
					doubted++
				}
			}
			if doubted < small.Checks-1 || ctx.Err() != nil {
				t.Errorf("%d calls, and page 1 was taken for empty after %d polls that doubted it", calls, doubted)
			}
			d.wantLog(connectortest.IDs(1, 4) + " " + connectortest.IDs(9, 12))
		})
	}
}

// Rule 10: an empty page 0 counts only in three consecutive polls, and what is known stays known.
func TestReader_AnEmptyPageZeroCountsOnlyInThreePolls(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(6, 1)...)
	rows := d.list.Rows
	for _, gap := range []int{1, 2} {
		d.list.Rows = nil
		for range gap {
			d.fails(ErrEmpty)
		}
		d.list.Rows = rows
		d.list.Add(connectortest.Message(90 + gap)) // page 0 is there again, and has changed
		rows = d.list.Rows
		d.settle(4)
	}
	d.list.Rows = nil
	d.fails(ErrEmpty)
	d.fails(ErrEmpty)
	if out := d.believe(); out.Delivered != 0 {
		t.Errorf("%+v", out)
	}
	d.list.Rows = rows
	d.settle(4)
	d.wantLog(connectortest.IDs(1, 6) + " m91 m92")
}

// Rule 10: the same page for every number means that the parameter is ignored; the same page twice means that the list
// moved by a page.
func TestReader_AnIgnoredPageNumberIsAFault(t *testing.T) {
	d := settledDesk(t, connectortest.StartNow, connectortest.Message(1))
	same := connector.Page{Messages: connectortest.Newest(8, 5)}
	d.list.Raw = map[int]connector.Page{0: same, 1: same, 2: same, 3: same}
	d.fails(ErrStalled)
	d.wantLog("")
}

// A context that ends gives up the step, whatever has been read.
func TestReader_AContextThatEndsGivesUpTheStep(t *testing.T) {
	d := settledDesk(t, connectortest.StartBeginning, connectortest.Newest(4, 1)...)
	d.list.Add(connectortest.Newest(12, 5)...)
	d.list.Before = func(call, _ int) error {
		if call == 2 {
			return context.Canceled
		}
		return nil
	}
	d.fails(context.Canceled)
	d.wantLog(connectortest.IDs(1, 4))
}
