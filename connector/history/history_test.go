package history

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// movingList is a list that moves between any two requests, and the live stream whose history is read.
type movingList struct {
	rng     *rand.Rand
	rows    []connector.Message // newest first
	next    int                 // number of the next message
	quiet   bool
	late    map[connector.Key]bool // added below others
	numbers map[connector.Key]int
	paces   paces
	beside  func() // runs between two requests of the history
}

// paces are the rates of changes and failures in a world.
type paces struct {
	inserts, bursts, late, deletes, fault, crash float64
	burst                                        int
}

const pageOfWorld = 10

var rulesOfWorld = reader.Rules{
	Page: pageOfWorld, Run: 5, SlicePages: 8, SliceBytes: 1 << 20, MinWindow: 80, Capacity: 80, Tail: 16, Floor: 10,
	Rejects: 1000, EmptyPolls: 3, Repeats: 3,
	SweepPages: 20, SweepStep: 20, SweepDepth: 10_000 * time.Hour,
}

func (m *movingList) chance(p float64) bool { return p > 0 && m.rng.Float64() < p }

func (m *movingList) insert(position int) {
	row := connectortest.Message(m.next)
	m.numbers[row.Key] = m.next
	m.next++
	if position > 0 {
		m.late[row.Key] = true
	}
	m.rows = slices.Insert(m.rows, min(position, len(m.rows)), row)
}

// move is what happens before a request.
func (m *movingList) move() {
	if m.quiet {
		return
	}
	if m.next > 2000 {
		// There would be more than anyone can read; and late messages alone, under a top that stays, would finally be taken
		// for a backlog.
		m.paces.inserts, m.paces.bursts, m.paces.late = 0, 0, 0
	}
	if m.chance(m.paces.inserts) {
		for range 1 + m.rng.IntN(4) {
			m.insert(0)
		}
	}
	if m.chance(m.paces.bursts) {
		n := 1 + m.rng.IntN(m.paces.burst)
		if m.rng.IntN(2) == 0 {
			n = pageOfWorld * (1 + m.rng.IntN(6)) // the next page repeats nothing, so this does not show
		}
		for range n {
			m.insert(0)
		}
	}
	if m.chance(m.paces.late) {
		m.insert(1 + m.rng.IntN(12))
	}
	for m.chance(m.paces.deletes) && len(m.rows) > 0 {
		at := m.rng.IntN(len(m.rows))
		m.rows = slices.Delete(m.rows, at, at+1)
	}
}

var errCrash = errors.New("crashed")

// Page implements Pages for the live stream. For the history, beside adds a hook to it.
func (m *movingList) Page(_ context.Context, _ connector.Stream, number int, held connector.Fingerprint) (
	connector.Page, error,
) {
	m.move()
	from, to := min(number*pageOfWorld, len(m.rows)), min((number+1)*pageOfWorld, len(m.rows))
	page := connector.Page{Number: number, Messages: slices.Clone(m.rows[from:to]), Received: time.Now()}
	print := ""
	for _, row := range page.Messages {
		print += row.UUID + " "
		page.Bytes += len(row.Data)
	}
	page.Fingerprint = connector.Fingerprint(print + ".")
	if !m.quiet && m.chance(m.paces.fault) {
		return connector.Page{}, &connector.PageError{
			Fault: connector.FaultTransient, Status: 503,
			Err: errors.New("planted"),
		}
	}
	if held == page.Fingerprint {
		page.Messages, page.Unchanged = nil, true
	}
	return page, nil
}

// beside is the list as the history's requests see it.
type beside struct{ *movingList }

func (b beside) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (connector.Page,
	error,
) {
	b.movingList.beside()
	if !b.quiet && b.chance(b.paces.crash) {
		return connector.Page{}, errCrash
	}
	return b.movingList.Page(ctx, s, number, held)
}

// anyOrder is a WorkerPool that makes parallel calls one after the other in some order.
type anyOrder struct{ rng *rand.Rand }

func (a anyOrder) Each(ctx context.Context, n int, do func(context.Context, int) error) error {
	for _, i := range a.rng.Perm(max(n, 0)) {
		if err := do(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (a anyOrder) Go(do func()) func() {
	do()
	return func() {}
}

// historyWorld is a live stream and its history on one list.
type historyWorld struct {
	t                *testing.T
	list             *movingList
	liveLog, histLog *connectortest.Log
	live, hist       *reader.Session
	start            connector.Start
	pool             reader.WorkerPool
	inLive           bool
	hidden           int // messages that only a sweep found
}

func (w *historyWorld) reading(stream connector.Stream) reader.Reading {
	return reader.Reading{
		Retry: &connectortest.TryAgain{Pages: 1 << 30, Commits: 1 << 30}, Stream: stream, Rules: rulesOfWorld,
		Events: connector.EventSettings{TypePrefix: "p"}, Workers: w.pool,
		OneWalk: stream.Name != "a",
	}
}

func newHistoryWorld(t *testing.T, seed uint64) *historyWorld {
	rng := rand.New(rand.NewPCG(seed, 7))
	pick := func(values ...float64) float64 { return values[rng.IntN(len(values))] }
	list := &movingList{rng: rng, late: map[connector.Key]bool{}, numbers: map[connector.Key]int{}, paces: paces{
		inserts: pick(.05, .3, .8), bursts: pick(0, .02, .06), burst: 20 + rng.IntN(60), late: pick(0, .03, .1),
		deletes: pick(0, .02, .1),
		fault:   pick(0, .05), crash: pick(0, .003, .01),
	}}
	for range rng.IntN(500) + 1 {
		list.insert(0)
	}
	w := &historyWorld{
		t: t, list: list, liveLog: &connectortest.Log{T: t}, histLog: &connectortest.Log{T: t},
		start: connector.Start{Beginning: true},
	}
	if rng.IntN(2) == 0 {
		w.pool = anyOrder{rng}
	}
	if rng.IntN(3) == 0 {
		w.start = connector.Start{Since: connectortest.Minute(rng.IntN(list.next))}
	}
	w.live = reader.NewSession(list, w.liveLog, w.reading(connector.Stream{Name: "a", SourceKey: "k"}), connector.Start{})
	unclear := func(context.Context, []connector.Event) (bool, error) {
		if !list.quiet && list.chance(list.paces.crash*3) {
			return rng.IntN(2) == 0, errCrash
		}
		return true, nil
	}
	w.liveLog.Answer, w.histLog.Answer = unclear, unclear
	list.beside = func() {
		if !w.inLive && !list.quiet && list.chance(.3) {
			w.stepLive()
		}
	}
	for range 1 + rng.IntN(60) {
		w.stepLive()
	}
	for w.live.Reader() == nil || !w.live.Reader().Checkpoint().Started {
		w.stepLive()
	}
	return w
}

func (w *historyWorld) stepLive() {
	w.inLive = true
	defer func() { w.inLive = false }()
	if w.list.chance(.1) && w.live.Owns() {
		_, _ = w.live.Sweep(w.t.Context(), connectortest.Minute(0).Add(9000*time.Hour))
		return
	}
	_, _ = w.live.Poll(w.t.Context())
}

// restart starts the history again, as after a crash.
func (w *historyWorld) restart() {
	live, _, _ := w.liveLog.Peek(w.t.Context())
	stream := connector.HistoryStream(connector.Stream{Name: "a", SourceKey: "k"})
	w.hist = reader.NewSession(New(beside{w.list}, connector.Stream{Name: "a", SourceKey: "k"}, live, pageOfWorld),
		w.histLog, w.reading(stream), w.start)
}

// run reads the history until it rests on a quiet list, and returns false if its floor was deleted.
func (w *historyWorld) run() bool {
	w.restart()
	for step := 0; ; step++ {
		if step == 150 {
			w.list.quiet = true
		}
		if step > 3000 {
			w.t.Fatalf("the history does not come to rest: %d events, start %d", len(w.histLog.Events), w.hist.Reader().StartPage())
		}
		out, err := w.hist.Poll(w.t.Context())
		var refusal *connector.Refusal
		switch {
		case errors.As(err, &refusal):
			return false
		case errors.Is(err, errCrash):
			w.restart()
		case err != nil && !reader.LeftUnchanged(err):
			w.t.Fatal(err)
		}
		if out.Rested && w.list.quiet {
			// A sweep finds what deletions above hid at the same seam of two pages in both of two walks (connector/README.md,
			// What reading can still hide).
			for range 100 { // a sweep may take several steps
				out, err := w.hist.Sweep(w.t.Context(), connectortest.Minute(0).Add(9000*time.Hour))
				if err != nil && !reader.LeftUnchanged(err) {
					w.t.Fatal(err)
				}
				w.hidden += out.Late
			}
			return true
		}
	}
}

// TestHistory_worlds runs a live reader and a history reader interleaved on lists that move: nothing is delivered
// twice, nothing is missing.
func TestHistory_worlds(t *testing.T) {
	worlds, refused, events, residue, horizons, hidden := 250, 0, 0, 0, 0, 0
	if testing.Short() {
		worlds = 25
	}
	for seed := range uint64(worlds) {
		ok := t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newHistoryWorld(t, seed)
			floor := slices.Clone(w.live.Reader().Checkpoint().Floor)
			if !w.run() {
				refused++
				for _, row := range w.list.rows {
					if slices.Contains(floor, row.Key) {
						t.Fatalf("refused, though %s of the floor is listed", row.UUID)
					}
				}
				return
			}
			for steps, rested := 0, 0; rested < 3; steps++ {
				if out, _ := w.live.Poll(t.Context()); out.Rested {
					rested++
				} else {
					rested = 0
				}
				if steps > 3000 {
					t.Fatal("the live stream does not come to rest")
				}
			}
			if len(w.liveLog.Checkpoint.Horizon) > 0 {
				horizons++ // the live stream took what is below its floor for ground, and may deliver what it finds between
				return
			}
			events += len(w.histLog.Events)
			residue += w.count(floor)
			hidden += w.hidden
		})
		if !ok {
			return
		}
	}
	t.Logf("%d worlds: %d messages of history, %d refused as all of the floor was deleted, %d with a horizon, %d late messages twice, %d hidden by deletes until a sweep", worlds, events, refused, horizons, residue, hidden)
	if residue > events/1000 {
		t.Errorf("%d late messages stand twice", residue)
	}
	if refused+horizons > worlds/2 || events == 0 {
		t.Errorf("the worlds show little")
	}
}

// count compares both logs with the list.
func (w *historyWorld) count(floor connector.Keys) (residue int) {
	t := w.t
	times := map[connector.Key]int{}
	for _, log := range []*connectortest.Log{w.liveLog, w.histLog} {
		last := connector.Key{}
		for _, e := range log.Events {
			times[e.Key]++
			if w.list.late[e.Key] || e.Late {
				continue
			}
			if n, m := w.numberOf(e.Key), w.numberOf(last); n < m && last != (connector.Key{}) {
				t.Errorf("%s stands after message %d", e.ID, m)
			}
			last = e.Key
		}
	}
	top := len(w.list.rows)
	for i, row := range w.list.rows {
		if slices.Contains(floor, row.Key) {
			top = min(top, i)
		}
	}
	for i, row := range w.list.rows {
		want := 1
		if !w.start.Beginning && row.Time.Before(w.start.Since) && i >= top {
			continue // not wanted, except for the few that are above a run
		}
		switch n := times[row.Key]; {
		case n == want:
		case w.list.late[row.Key] && n == 0: // held by the live stream, or late for both
		// between messages of the floor that were deleted or moved before the history read them
		case w.list.late[row.Key] && n == 2:
			residue++
		default:
			t.Errorf("%s at %d (floor at %d of %d, late %t) stands %d times", row.UUID, i, top, len(w.list.rows),
				w.list.late[row.Key], n)
		}
	}
	for _, log := range []*connectortest.Log{w.liveLog, w.histLog} {
		for _, e := range log.Events {
			if times[e.Key] > 1 && !w.list.late[e.Key] {
				t.Errorf("%s stands %d times", e.ID, times[e.Key])
			}
		}
	}
	return residue
}

func (w *historyWorld) numberOf(key connector.Key) int { return w.list.numbers[key] }
