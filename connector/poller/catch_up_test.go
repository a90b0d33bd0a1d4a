package poller

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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

var drawIn = flag.String("draw", "", "a folder into which each catch-up is drawn, as an SVG file")

// The traced catch-up: 50,000 messages, and how long a request and a commit take. The times of the commit are those of
// a local JetStream.
const (
	tracedPages   = 500
	tracedRequest = 20 * time.Millisecond
	tracedCommit  = 4 * time.Millisecond
	tracedEvent   = 8 * time.Microsecond
)

// The reasons for which a catch-up waits.
const (
	forStart  = "the start"
	forSearch = "the search of the end"
	forEnd    = "the check of the end"
	forEnds   = "the ends of a batch"
	forProof  = "the proof of a batch"
	forPages  = "the last pages of a batch"
	forCommit = "a commit"
	forElse   = "something else"
)

// purposes maps functions of the reader to the purpose of the requests that they make. The innermost function that is
// found here counts.
var purposes = []struct{ function, purpose string }{
	{"exponentialSearch).", forSearch},
	{"listState).", forEnd},
	{"batchReading).findLast", forEnds},
	{"batchReading).settle", forEnds},
	{"batchReading).verify", forProof},
	{"batchReading).read.func", forPages},
	{"batchReading).read", forEnds},
	{"walkInOrder", forPages},
	{"Reader).Poll", forSearch},
}

// purposeOfCaller is the purpose of the current request, by the functions that made it.
func purposeOfCaller() string {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	for {
		frame, more := frames.Next()
		for _, p := range purposes {
			if strings.Contains(frame.Function, p.function) {
				return p.purpose
			}
		}
		if !more {
			return forElse
		}
	}
}

// action is one request or commit of a catch-up.
type action struct {
	page     int // of a request
	events   int // of a commit
	purpose  string
	from, to time.Duration
}

// catchUp is a backlog that is read in virtual time, with everything that was done for it. It is the list and the log
// too.
type catchUp struct {
	inFlight int
	slots    chan struct{}
	limits   connector.Limits
	open     chan struct{}
	began    time.Time

	mu        sync.Mutex
	requests  []action
	commits   []action
	certified int
	took      time.Duration
}

func (c *catchUp) Page(ctx context.Context, _ connector.Stream, number int, held connector.Fingerprint) (connector.Page,
	error,
) {
	purpose := purposeOfCaller()
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return connector.Page{}, ctx.Err()
	}
	defer func() { <-c.slots }()
	from := time.Since(c.began)
	time.Sleep(tracedRequest)
	c.mu.Lock()
	c.requests = append(c.requests, action{page: number, purpose: purpose, from: from, to: time.Since(c.began)})
	c.mu.Unlock()
	page := connector.Page{Number: number, Received: time.Now()}
	size := reader.DefaultRules().Page
	for n := tracedPages*size - number*size; n > max(0, tracedPages*size-(number+1)*size); n-- {
		page.Messages = append(page.Messages, connectortest.Message(n))
	}
	page.Bytes, page.Fingerprint = 700*len(page.Messages), connector.Fingerprint(fmt.Sprint(number))
	if page.Fingerprint == held {
		page.Messages, page.Unchanged = nil, true
	}
	return page, ctx.Err()
}

func (c *catchUp) Acquire(context.Context) (connector.State, error) {
	return connector.State{Checkpoint: connector.Checkpoint{Started: true}}, nil
}

func (c *catchUp) Peek(context.Context) (connector.Checkpoint, bool, error) {
	return connector.Checkpoint{}, false, nil
}

func (c *catchUp) Limits() connector.Limits { return c.limits }
func (c *catchUp) Close() error             { return nil }

func (c *catchUp) Commit(_ context.Context, events []connector.Event, _ []connector.Reject,
	next connector.Checkpoint,
) error {
	from := time.Since(c.began)
	time.Sleep(tracedCommit + time.Duration(len(events))*tracedEvent)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commits = append(c.commits, action{events: len(events), purpose: forCommit, from: from, to: time.Since(c.began)})
	c.certified = int(next.Certified)
	if c.certified == tracedPages*reader.DefaultRules().Page && c.took == 0 {
		c.took = time.Since(c.began)
		close(c.open)
	}
	return nil
}

// catchUpWith reads the backlog with at most that many requests in flight.
func catchUpWith(t *testing.T, inFlight int) *catchUp {
	t.Helper()
	c := &catchUp{inFlight: inFlight, limits: connector.Limits{Messages: 999, Bytes: 8 << 20}}
	synctest.Test(t, func(t *testing.T) {
		c.slots, c.open, c.began = make(chan struct{}, inFlight), make(chan struct{}), time.Now()
		p := New(Config{
			Pages: c, Log: c, Start: connectortest.StartBeginning, MinInterval: shortest, MaxInterval: longest,
			Limiter: quota.NewLimiter(0), MemoryGate: NewMemoryGate(),
			Reading: reader.Reading{
				Stream: connector.Stream{Name: "a", SourceKey: "k"}, Rules: reader.DefaultRules(),
				Events: connector.EventSettings{TypePrefix: "p"}, Workers: reader.Workers(inFlight),
			},
			Metrics: NewMetrics(prometheus.NewRegistry()), Logger: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		<-c.open
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

// bare is the time for the same pages if no request had to wait for anything but a slot.
func (c *catchUp) bare() time.Duration {
	return tracedRequest * time.Duration((tracedPages+c.inFlight-1)/c.inFlight)
}

// waits is the share of the time of all slots in which no request was made, by what the catch-up waited for then.
func (c *catchUp) waits() map[string]time.Duration {
	idle := map[string]time.Duration{}
	// Virtual time advances in steps of a request or a commit, so steps of this size are fine enough.
	const step = 100 * time.Microsecond
	for at := time.Duration(0); at < c.took; at += step {
		busy, purpose := c.at(at)
		idle[purpose] += time.Duration(c.inFlight-busy) * step
	}
	return idle
}

// at returns how many requests are in flight at a time, and what the idle slots wait for.
func (c *catchUp) at(at time.Duration) (busy int, purpose string) {
	underWay := map[string]bool{}
	for _, r := range c.requests {
		if r.from <= at && at < r.to {
			busy++
			underWay[r.purpose] = true
		}
	}
	for _, r := range c.commits {
		if r.from <= at && at < r.to {
			underWay[forCommit] = true
		}
	}
	if at < c.requests[0].from {
		return 0, forStart
	}
	for _, purpose := range []string{forSearch, forEnd, forPages, forEnds, forProof, forCommit} {
		if underWay[purpose] {
			return busy, purpose
		}
	}
	return busy, forElse
}

// A deep backlog is read about as fast as its bare pages, with any number of requests in flight. The times are virtual,
// so the figures are exact on a busy machine too. -v prints where the time goes, and -draw draws it:
//
//	go test ./connector/poller -run TestPoller_CatchesUp -v -draw /tmp
func TestPoller_CatchesUpAsFastAsPagesCome(t *testing.T) {
	for _, test := range []struct {
		inFlight int
		most     float64 // as a multiple of the bare download
	}{{4, 1.3}, {8, 1.5}, {16, 2.35}} {
		t.Run(fmt.Sprint(test.inFlight), func(t *testing.T) {
			c := catchUpWith(t, test.inFlight)
			ratio := c.took.Seconds() / c.bare().Seconds()
			calls := float64(len(c.requests)) / tracedPages
			var waits strings.Builder
			idle := c.waits()
			if idle[forStart]+idle[forElse] > 0 {
				t.Errorf("%v of the slots' time for %s, %v for %s", idle[forStart], forStart, idle[forElse], forElse)
			}
			total := c.took * time.Duration(c.inFlight)
			busy := total
			for _, purpose := range []string{forStart, forSearch, forEnd, forEnds, forPages, forProof, forCommit, forElse} {
				busy -= idle[purpose]
				fmt.Fprintf(&waits, "\n%5.1f %% of the slots' time waited for %s", 100*idle[purpose].Seconds()/total.Seconds(),
					purpose)
			}
			t.Logf("%d in flight: %.0f ms, %.2f times the bare %.0f ms; %.3f calls a page, slots busy for %.0f %%%s", c.inFlight,
				c.took.Seconds()*1000, ratio, c.bare().Seconds()*1000, calls, 100*busy.Seconds()/total.Seconds(), waits.String())
			if ratio > test.most {
				t.Errorf("%.2f times the bare download, want at most %.2f", ratio, test.most)
			}
			if calls > 1.2 {
				t.Errorf("%.3f calls a page, want at most 1.2", calls)
			}
			if *drawIn != "" {
				path := filepath.Join(*drawIn, fmt.Sprintf("catch-up-%d.svg", c.inFlight))
				if err := os.WriteFile(path, []byte(c.draw()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
