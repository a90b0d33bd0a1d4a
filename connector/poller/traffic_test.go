package poller

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// traffic is a list to which messages are added on top over time, with a given average per minute.
type traffic struct {
	mu        sync.Mutex
	random    *rand.Rand
	perMinute float64
	rows      []connector.Message // oldest first
	next      time.Time
	asked     []int // numbers of the requested pages
}

// answers is the time of a request.
const answers = 200 * time.Millisecond

func newTraffic(perMinute float64, rows int, seed uint64) *traffic {
	l := &traffic{random: rand.New(rand.NewPCG(seed, 1)), perMinute: perMinute}
	for n := range rows {
		l.rows = append(l.rows, connectortest.Message(n+1))
	}
	l.next = time.Now()
	l.wait()
	return l
}

// wait draws when the next message arrives.
func (l *traffic) wait() {
	if l.perMinute > 0 {
		l.next = l.next.Add(time.Duration(l.random.ExpFloat64() * float64(time.Minute) / l.perMinute))
	}
}

func (l *traffic) Page(ctx context.Context, _ connector.Stream, number int, held connector.Fingerprint) (connector.Page,
	error,
) {
	time.Sleep(answers / 2)
	page := l.page(number)
	time.Sleep(answers / 2)
	if page.Fingerprint == held {
		page.Messages, page.Unchanged = nil, true
	}
	return page, ctx.Err()
}

func (l *traffic) page(number int) connector.Page {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.perMinute > 0 && !time.Now().Before(l.next) {
		l.rows = append(l.rows, connectortest.Message(len(l.rows)+1))
		l.wait()
	}
	l.asked = append(l.asked, number)
	size := reader.DefaultRules().Page
	page := connector.Page{Number: number, Received: time.Now()}
	top := len(l.rows) - size*number
	for i := top - 1; i >= max(0, top-size); i-- {
		page.Messages = append(page.Messages, l.rows[i])
	}
	page.Bytes, page.Fingerprint = 700*len(page.Messages), connector.Fingerprint(fmt.Sprint(top, len(page.Messages)))
	return page
}

// turnstile is a log that only counts: events have to come in order. It signals once a given number is certified.
type turnstile struct {
	t      *testing.T
	events int
	wanted int
	open   chan struct{}
}

func (l *turnstile) Acquire(context.Context) (connector.State, error) {
	return connector.State{Checkpoint: connector.Checkpoint{Started: true}}, nil
}

func (l *turnstile) Peek(context.Context) (connector.Checkpoint, bool, error) {
	return connector.Checkpoint{}, false, nil
}

func (l *turnstile) Limits() connector.Limits { return connector.Limits{Messages: 999, Bytes: 8 << 20} }
func (l *turnstile) Close() error             { return nil }

func (l *turnstile) Commit(_ context.Context, events []connector.Event, _ []connector.Reject,
	next connector.Checkpoint,
) error {
	for i := range events {
		l.events++
		if want := fmt.Sprint("m", l.events); events[i].ID != want || events[i].Late {
			l.t.Errorf("event %d is %s, late %t", l.events, events[i].ID, events[i].Late)
		}
	}
	if next.Certified >= uint64(l.wanted) && l.wanted > 0 {
		l.wanted = 0
		close(l.open)
	}
	return nil
}

// backlog reads that many pages from the beginning at 80 requests a minute (the documented sample account) while
// messages arrive. It returns which pages it requested and how long it took until all of them were certified.
func backlog(t *testing.T, pages int, perMinute float64, pool reader.WorkerPool, seed uint64) (asked []int,
	took time.Duration,
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rules := reader.DefaultRules()
		list := newTraffic(perMinute, rules.Page*pages, seed)
		log := &turnstile{t: t, wanted: rules.Page * pages, open: make(chan struct{})}
		p := New(Config{
			Pages: list, Log: log, Start: connectortest.StartBeginning, MinInterval: shortest, MaxInterval: longest,
			Limiter: quota.NewLimiter(80),
			Reading: reader.Reading{
				Stream: connector.Stream{Name: "a", SourceKey: "k"}, Rules: rules,
				Events: connector.EventSettings{TypePrefix: "p"}, Workers: pool,
			},
			Metrics: NewMetrics(prometheus.NewRegistry()), Logger: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		began, done := time.Now(), make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		<-log.open
		list.mu.Lock()
		asked, took = slices.Clone(list.asked), time.Since(began)
		list.mu.Unlock()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return asked, took
}

// A backlog costs little more than a call a page, even while messages arrive on top. -v prints the cost.
func TestPoller_CallsAPageWhileMessagesComeIn(t *testing.T) {
	const pages, seeds = 500, 3
	tests := []struct {
		perMinute float64
		most      float64 // calls a page
	}{
		{0, 1.2}, {1, 1.2}, {5, 1.2}, {20, 1.22}, {60, 1.4},
	}
	for _, test := range tests {
		calls, took, worst := 0, time.Duration(0), 0
		for seed := range uint64(seeds) {
			asked, d := backlog(t, pages, test.perMinute, reader.Workers(4), seed)
			calls, took, worst = calls+len(asked), took+d, max(worst, len(asked))
		}
		inOrder, _ := backlog(t, pages, test.perMinute, nil, 0)
		t.Logf("%2.0f messages a minute: %.2f calls a page (at most %.2f), %v; page after page, twice: %.2f", test.perMinute,
			float64(calls)/(pages*seeds),
			float64(worst)/pages, (took / seeds).Round(time.Second), float64(len(inOrder))/pages)
		if got := float64(worst) / pages; got > test.most {
			t.Errorf("%.0f messages a minute: %.2f calls a page, want at most %.2f", test.perMinute, got, test.most)
		}
	}
}
