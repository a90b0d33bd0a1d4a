package twochattest_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/twochat"
	"github.com/twochat-connector/twochat-connector/connector/twochat/twochattest"
)

type memlog struct {
	cp      connector.Checkpoint
	events  []connector.Event
	rejects []connector.Reject
	claim   connector.Claim
}

func (m *memlog) Acquire(context.Context) (connector.State, error) {
	m.cp = m.claim.TakeOver(m.cp, time.Now())
	var s connector.State
	s.Checkpoint = m.cp
	for _, e := range m.events[max(0, len(m.events)-m.claim.Window):] {
		s.Seen = append(s.Seen, connector.Seen{Key: e.Key, Sequence: e.Sequence, Late: e.Late})
	}
	return s, nil
}
func (m *memlog) Commit(_ context.Context, ev []connector.Event, rj []connector.Reject, next connector.Checkpoint) error {
	for _, e := range ev {
		e.Data = append([]byte(nil), e.Data...)
		m.events = append(m.events, e)
	}
	m.rejects = append(m.rejects, rj...)
	m.cp = next
	return nil
}
func (m *memlog) Peek(context.Context) (connector.Checkpoint, bool, error) { return m.cp, true, nil }
func (m *memlog) Limits() connector.Limits                                 { return connector.Limits{Messages: 999, Bytes: 8 << 20} }
func (m *memlog) Close() error                                             { return nil }

type retry struct{}

func (retry) Page(_ context.Context, f *connector.PageError) error { return nil }
func (retry) Commit(_ context.Context, c error) error              { return c }

func TestSoakScratch(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("SEEDS"))
	if n == 0 {
		n = 5
	}
	for seed := range n {
		d := twochattest.HostileDrift(); if os.Getenv("REPL") != "" { d.Replaced = .002 }
		clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		fake := twochattest.New(twochattest.Options{Seed: uint64(seed), History: 700, Drift: d, Faults: twochattest.PassingFaults(.1), Now: func() time.Time { return clock }, Validators: seed%2 == 0})
		c, err := twochat.New(twochat.Config{BaseURL: "http://127.0.0.1:1", Key: func() (string, error) { return "k", nil }, Transport: fake.Transport(), Privacy: twochat.Privacy{Identifiers: "hashed"}})
		if err != nil {
			t.Fatal(err)
		}
		log := &memlog{claim: connector.Claim{Stream: connector.Stream{Name: "s", Number: twochattest.DefaultNumber, SourceKey: "x"}, Window: 20000}}
		start := connector.Start{}
		if seed%3 == 0 {
			start = connector.Start{Beginning: true}
		}
		session := connector.NewSession(c, log, connector.Reading{Patience: retry{}, Stream: log.claim.Stream, Rules: connector.DefaultRules(), Events: connector.EventSettings{TypePrefix: "a"}}, start)
		ctx := context.Background()
		if err := session.Acquire(ctx); err != nil {
			t.Fatal(err)
		}
		errs := map[string]int{}
		for i := range 400 {
			clock = clock.Add(10 * time.Second)
			if i%50 == 49 {
				if _, err := session.Sweep(ctx, clock); err != nil {
					errs[err.Error()]++
				}
			}
			if _, err := session.Poll(ctx); err != nil {
				errs[err.Error()]++
			}
		}
		fake.Quiet()
		rest := 0
		for range 3000 {
			out, err := session.Poll(ctx)
			if err != nil {
				errs[err.Error()]++
			}
			if out.Rested {
				if rest++; rest > 3 {
					break
				}
			}
		}
		session.Sweep(ctx, clock)
		var a twochattest.Audit
		if seed%3 != 0 {
			a.From = fake.FirstRead("", "")
		}
		for _, e := range log.events {
			a.See(twochattest.Event{ID: e.ID, Sequence: e.Sequence, Late: e.Late, Chat: e.Chat, Data: e.Data})
		}
		r := a.Report(fake.Truth(""))
		fmt.Println(seed, rest, errs, fake.Requests(), len(log.rejects), log.cp.Counters, r)
	}
}
