package poller

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// bodyBytes is the size of a page of a fleet.
const bodyBytes = 4096

// bodies tracks which bodies of pages are still in use.
type bodies struct {
	mu    sync.Mutex
	given []weak.Pointer[byte]
}

// bodied is a list whose messages point into one body for each page, like those of the client.
type bodied struct {
	*connectortest.List
	bodies *bodies
}

func (b *bodied) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (connector.Page,
	error,
) {
	page, err := b.List.Page(ctx, s, number, held)
	if err != nil || len(page.Messages) == 0 {
		return page, err
	}
	body := make([]byte, bodyBytes)
	b.bodies.mu.Lock()
	b.bodies.given = append(b.bodies.given, weak.Make(&body[0]))
	b.bodies.mu.Unlock()
	for i := range page.Messages {
		m := &page.Messages[i]
		n := copy(body, m.Data)
		m.Data, body = body[:n:n], body[n:]
	}
	return page, nil
}

// held returns how many bytes of pages are in use.
func (b *bodies) held() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	runtime.GC()
	b.given = slices.DeleteFunc(b.given, func(body weak.Pointer[byte]) bool { return body.Value() == nil })
	return len(b.given) * bodyBytes
}

// gated is a log whose commits of events wait for a gate. It keeps none of their bytes.
type gated struct {
	*connectortest.Log
	gate  chan struct{}
	wrote func()
}

func (g *gated) Commit(ctx context.Context, events []connector.Event, rejects []connector.Reject,
	next connector.Checkpoint,
) error {
	if len(events) > 0 {
		<-g.gate
		g.wrote()
	}
	events = slices.Clone(events)
	for i := range events {
		events[i].Data = bytes.Clone(events[i].Data)
	}
	return g.Log.Commit(ctx, events, rejects, next)
}

// fleet is a set of streams that share a memory gate.
type fleet struct {
	gate    *MemoryGate
	bodies  bodies
	pollers []*Poller
	lists   []*connectortest.List
	logs    []*gated

	mu    sync.Mutex
	order []int // the streams whose events were committed
}

// roomRules have pages of four messages, and slices of 16 pages.
var roomRules = func() reader.Rules {
	r := small
	r.SlicePages, r.MinWindow, r.Capacity = 16, 40, 80
	return r
}()

// add starts some streams with a history of that many messages.
func (f *fleet) add(t *testing.T, streams, messages int, gate chan struct{}) {
	if f.gate == nil {
		f.gate = NewMemoryGate()
	}
	for range streams {
		list := &connectortest.List{PageSize: roomRules.Page, Rows: connectortest.Newest(messages, 1)}
		i := len(f.pollers)
		log := &gated{&connectortest.Log{T: t, MaxCommit: connector.Limits{Messages: 10_000, Bytes: 1 << 30}}, gate, func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.order = append(f.order, i)
		}}
		poller := New(Config{
			Pages: &bodied{list, &f.bodies}, Log: log, Reading: reader.Reading{
				Stream: connector.Stream{Name: fmt.Sprint("stream ", i), SourceKey: "k"}, Rules: roomRules,
				Events: connector.EventSettings{TypePrefix: "p"}, Workers: reader.Workers(4),
			},
			Start: connectortest.StartBeginning, MinInterval: shortest, MaxInterval: shortest, StartWithin: time.Second,
			Limiter:    quota.NewLimiter(0),
			MemoryGate: f.gate, Metrics: NewMetrics(nil), Logger: slog.New(slog.DiscardHandler),
		})
		f.lists, f.logs, f.pollers = append(f.lists, list), append(f.logs, log), append(f.pollers, poller)
		go func() { // the bubble waits for it
			if err := poller.Run(t.Context()); err != nil {
				t.Error(err)
			}
		}()
	}
}

// delivered returns how many of the streams' logs hold that many messages in order, all certified, and were acquired
// only once.
func (f *fleet) delivered(messages int) int {
	n := 0
	for i, p := range f.pollers {
		acquired, _, _ := f.logs[i].Counts()
		if s := p.Status(); acquired == 1 && f.logs[i].Text() == connectortest.IDs(1, messages) && s.State == StateLive &&
			s.Certified == uint64(messages) {
			n++
		}
	}
	return n
}

// However many streams catch up at the same time, together they hold no more pages than allowed, here while the sink is
// slow; and all of them finish.
func TestRoom_BoundsWhatIsHeld(t *testing.T) {
	for _, test := range []struct {
		name              string
		streams, messages int
		pages             int // that may be held
	}{
		{"many short walks", 150, 3 * roomRules.Page, shortSlots * shortWalk},
		{"many backlogs", 60, 40 * roomRules.Page, longSlots * (2*roomRules.SlicePages + 4)},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f fleet
				gate := make(chan struct{})
				f.add(t, test.streams, test.messages, gate)
				pass(time.Minute)
				if held, most := f.bodies.held(), test.pages*bodyBytes; held > most || held == 0 {
					t.Errorf("%d bytes of pages are held, at most %d may be", held, most)
				}
				close(gate)
				pass(5 * time.Minute)
				if n := f.delivered(test.messages); n != test.streams {
					t.Errorf("%d of %d streams have caught up", n, test.streams)
				}
				if held := f.bodies.held(); held > 0 {
					t.Errorf("at rest, %d bytes of pages are held", held)
				}
				if len(f.gate.short)+len(f.gate.long)+len(f.gate.ahead) > 0 {
					t.Errorf("at rest, %d + %d + %d places are taken", len(f.gate.short), len(f.gate.long), len(f.gate.ahead))
				}
			})
		})
	}
}

// New messages on page 0 of a stream at rest are delivered while all slots are taken, and a burst of two pages while
// backlogs wait.
func TestRoom_LiveStreamsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fleet
		open := make(chan struct{})
		close(open)
		f.add(t, 1, 30, open)
		pass(time.Minute)
		gate := make(chan struct{})
		defer close(gate)
		f.add(t, 20, 40*roomRules.Page, gate)
		pass(time.Minute)
		if len(f.gate.long) != longSlots {
			t.Fatalf("%d long places are taken", len(f.gate.long))
		}
		for _, to := range []int{31, 37} {
			f.lists[0].Change(func() { f.lists[0].Add(connectortest.Newest(to, len(f.lists[0].Rows)+1)...) })
			pass(shortest + shortest/20)
			if got := f.logs[0].Text(); got != connectortest.IDs(1, to) {
				t.Errorf("after an interval the log has %s, want m1 to m%d", got, to)
			}
		}
		f.add(t, 2*shortSlots, 3*roomRules.Page, gate)
		pass(time.Minute)
		if len(f.gate.short) != shortSlots {
			t.Fatalf("%d short places are taken", len(f.gate.short))
		}
		f.lists[0].Change(func() { f.lists[0].Add(connectortest.Newest(38, 38)...) })
		pass(shortest + shortest/20)
		if got := f.logs[0].Text(); got != connectortest.IDs(1, 38) {
			t.Errorf("after an interval the log has %s, want m1 to m38", got)
		}
	})
}

// Backlogs take turns, walk by walk. A stream that began earlier may first deliver what it has read ahead.
func TestRoom_BacklogsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fleet
		gate := make(chan struct{})
		const streams, messages = 4 * longSlots, 100 * 4
		f.add(t, streams, messages, gate)
		pass(time.Minute) // all are there
		walks := make([]int, streams)
		for n := range 3 * streams { // one commit after the other
			gate <- struct{}{}
			synctest.Wait()
			walks[f.order[n]]++
			if most := slices.Max(walks); most > slices.Min(walks)+3 {
				t.Fatalf("after %d commits the streams have made %v", n+1, walks)
			}
		}
		close(gate)
		pass(10 * time.Minute)
		if n := f.delivered(messages); n != streams {
			t.Errorf("%d of %d streams have caught up", n, streams)
		}
	})
}

// Lists with a page that cannot be read do not keep their slots forever.
func TestRoom_FailingListsGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fleet
		open := make(chan struct{})
		close(open)
		const messages = 40 * 4
		f.add(t, 2*longSlots, messages, open)
		for _, l := range f.lists {
			l.Change(func() {
				l.Before = func(_, number int) error {
					if number == 20 {
						return connectortest.Fault(connector.FaultTransient, 0)
					}
					return nil
				}
			})
		}
		pass(time.Minute)
		f.add(t, 3, messages, open)
		pass(30 * time.Minute)
		if n := f.delivered(messages); n != 3 {
			t.Errorf("%d of 3 streams have caught up beside those that cannot", n)
		}
	})
}

// A stream that ends leaves its slot to others, even while it waits for one.
func TestRoom_EndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := NewMemoryGate()
		ctx, cancel := context.WithCancel(t.Context())
		var held []*slot
		for range longSlots {
			b := &slot{gate: gate}
			if err := b.Hold(shortWalk + 1); err != nil {
				t.Fatal(err)
			}
			held = append(held, b)
		}
		late := &slot{gate: gate}
		if err := late.Hold(2); err != nil {
			t.Fatal(err)
		}
		if err := late.Hold(shortWalk + 1); err == nil {
			t.Fatal("there is no slot, and yet it may hold a slice")
		}
		done := make(chan bool)
		go func() { done <- late.wait(ctx, func() {}) }()
		synctest.Wait()
		if len(gate.short) != 0 || held[0].Ahead(0, 1) > 0 || !held[0].contended() {
			t.Error("who waits holds a place, or others do not know")
		}
		cancel()
		if <-done || late.has() != noSlot {
			t.Error("it has a place after its context ended")
		}
		if held[0].Ahead(0, 1) == 0 || held[0].contended() {
			t.Error("nobody waits, and yet it has to give way")
		}
		go func() { done <- late.wait(t.Context(), func() {}) }()
		synctest.Wait()
		held[0].leave()
		if !<-done || late.has() != longSlot {
			t.Error("it did not get the place that was left")
		}
	})
}
