package history

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// flood is a list to which burst messages are added on top before one of every so many requests.
type flood struct {
	rng          *rand.Rand
	rows         []connector.Message // oldest first
	burst, every int
	requests     int
	most         int
}

func (f *flood) add(n int) {
	for range n {
		f.rows = append(f.rows, connectortest.Message(len(f.rows)))
	}
}

func (f *flood) Page(_ context.Context, _ connector.Stream, number int, held connector.Fingerprint) (connector.Page,
	error,
) {
	if f.requests >= f.most {
		return connector.Page{}, errCrash
	}
	if f.requests++; f.rng.IntN(f.every) == 0 {
		f.add(f.burst)
	}
	page := connector.Page{Number: number, Received: time.Now()}
	for i := number * pageOfWorld; i < (number+1)*pageOfWorld && i < len(f.rows); i++ {
		row := f.rows[len(f.rows)-1-i]
		page.Messages = append(page.Messages, row)
		page.Bytes += len(row.Data)
		page.Fingerprint += connector.Fingerprint(row.UUID + " ")
	}
	if page.Fingerprint += "."; held == page.Fingerprint {
		page.Messages, page.Unchanged = nil, true
	}
	return page, nil
}

// backfillUnder reads a history of that many pages under a flood. It returns the log, and whether everything is
// certified.
func backfillUnder(t *testing.T, f *flood, pages int, pool reader.WorkerPool) (log *connectortest.Log, rested bool) {
	t.Helper()
	f.add(pages * pageOfWorld)
	every := f.every
	f.every = 1 << 30
	stream := connector.Stream{Name: "a", SourceKey: "k"}
	rules := rulesOfWorld
	rules.SlicePages, rules.Capacity = 50, 2000
	reading := reader.Reading{
		Retry: &connectortest.TryAgain{Pages: 1 << 30, Commits: 1 << 30}, Stream: stream,
		Rules: rules, Events: connector.EventSettings{TypePrefix: "p"}, Workers: pool, OneWalk: true,
	}
	liveLog := &connectortest.Log{T: t}
	live := reader.NewSession(f, liveLog, reading, connector.Start{})
	if _, err := live.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.requests, f.every = 0, every
	checkpoint, _, _ := liveLog.Peek(t.Context())
	log = &connectortest.Log{T: t}
	reading.Stream = connector.HistoryStream(stream)
	hist := reader.NewSession(New(f, stream, checkpoint, pageOfWorld), log, reading, connector.Start{Beginning: true})
	defer hist.Close()
	for !rested {
		out, err := hist.Poll(t.Context())
		var refusal *connector.Refusal
		switch {
		case errors.Is(err, errCrash):
			return log, false
		case errors.As(err, &refusal), err != nil && !reader.LeftUnchanged(err):
			t.Fatal(err)
		}
		rested = out.Rested
	}
	return log, true
}

// However large the bursts are, a history reaches its end if up to a quarter of a page is added per request, and
// nothing is lost, duplicated or out of order. From one page per request on no reader can keep up, neither this one nor
// the live one.
func TestHistory_bursts(t *testing.T) {
	if testing.Short() {
		t.Skip("many cases in one goroutine: not in short mode")
	}
	const pages, seeds = 150, 10
	for _, row := range []struct {
		burst, every int // this many messages, ten to a page, before one of every so many requests
		requests     int // on average, at most; 0: it does not end
	}{
		{0, 1 << 30, 250},
		{3, 4, 1800},
		{7, 4, 1800},
		{10, 4, 2000}, // the next page repeats nothing, so these do not show
		{10, 32, 1200},
		{15, 8, 1800},
		{15, 32, 1200},
		{30, 16, 1800},
		{60, 32, 1500},
		{200, 64, 1200},
		{10, 1, 0},
		{30, 2, 0},
	} {
		t.Run(fmt.Sprintf("%d every %d", row.burst, row.every), func(t *testing.T) {
			ended, requests := 0, 0
			for seed := range uint64(seeds) {
				f := &flood{rng: rand.New(rand.NewPCG(seed, 2)), burst: row.burst, every: row.every, most: 3000}
				log, rested := backfillUnder(t, f, pages, anyOrder{rand.New(rand.NewPCG(seed, 1))})
				requests += f.requests
				if rested {
					ended++
				}
				for i, e := range log.Events {
					if want := connectortest.Message(i).UUID; e.ID != want {
						t.Fatalf("seed %d: event %d is %s, want %s", seed, i+1, e.ID, want)
					}
				}
				if rested && len(log.Events) != pages*pageOfWorld {
					t.Errorf("seed %d: %d events of %d", seed, len(log.Events), pages*pageOfWorld)
				}
			}
			t.Logf("%.1f pages before one of %d requests: %d of %d ended, %d requests on average",
				float64(row.burst)/pageOfWorld, row.every, ended, seeds, requests/seeds)
			switch {
			case row.requests == 0 && ended > 0:
				t.Errorf("%d ended, which cannot be", ended)
			case row.requests > 0 && (ended < seeds*2/3 || requests/seeds > row.requests):
				t.Errorf("%d of %d ended with %d requests on average, want at most %d", ended, seeds, requests/seeds, row.requests)
			}
		})
	}
}

// clamped is a list whose API shows one page for all page numbers below it.
type clamped struct {
	*flood
	last int
}

func (c *clamped) Page(ctx context.Context, s connector.Stream, number int, held connector.Fingerprint) (connector.Page,
	error,
) {
	page, err := c.flood.Page(ctx, s, min(number, c.last), held)
	page.Number = number
	return page, err
}

// The search for the floor ends if the list shows the same page again and again, and finds the floor once the list no
// longer does.
func TestHistory_AListThatIsClamped(t *testing.T) {
	list := &clamped{&flood{rng: rand.New(rand.NewPCG(1, 2)), every: 1 << 30, most: 2000}, 1 << 30}
	list.add(200)
	stream := connector.Stream{Name: "a", SourceKey: "k"}
	reading := reader.Reading{
		Retry: connectortest.GiveUp{}, Stream: stream, Rules: rulesOfWorld, Events: connector.EventSettings{TypePrefix: "p"},
		Workers: connectortest.SerialWorkers{}, OneWalk: true,
	}
	liveLog, log := &connectortest.Log{T: t}, &connectortest.Log{T: t}
	if _, err := reader.NewSession(list, liveLog, reading, connector.Start{}).Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkpoint, _, _ := liveLog.Peek(t.Context())
	list.add(300) // the checkpoint does not know these
	list.last = 3
	reading.Stream = connector.HistoryStream(stream)
	history := reader.NewSession(New(list, stream, checkpoint, pageOfWorld), log, reading, connectortest.StartBeginning)
	list.requests = 0
	if _, err := history.Poll(t.Context()); err != nil || list.requests > 0 { // the first start reads nothing
		t.Fatal(err)
	}
	for range 3 {
		if _, err := history.Poll(t.Context()); !errors.Is(err, reader.ErrStalled) {
			t.Fatalf("got %v, want a search that stalled", err)
		}
	}
	if list.requests > 3*15 {
		t.Errorf("%d requests for 3 searches", list.requests)
	}
	list.last = 1 << 30
	for rested := false; !rested; {
		out, err := history.Poll(t.Context())
		if err != nil && !reader.LeftUnchanged(err) {
			t.Fatal(err)
		}
		rested = out.Rested
	}
	if len(log.Events) != 200 {
		t.Errorf("%d events of the 200 of the history", len(log.Events))
	}
}
