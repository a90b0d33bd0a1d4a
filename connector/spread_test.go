package connector

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// Streams that start together do not poll together: not while their interval grows, nor once it is the longest.
func TestPoller_PollsAreSpread(t *testing.T) {
	for _, least := range []time.Duration{shortest, longest} {
		t.Run(least.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const streams = 300
				l := &list{page: small.Page, rows: newest(8, 1)}
				for range streams {
					poller := NewPoller(PollerConfig{
						Pages: l, Log: &ledger{t: t}, Reading: Reading{Stream: Stream{Name: "a", SourceKey: "k"}, Rules: small, Events: EventSettings{TypePrefix: "p"}},
						Start: now, MinInterval: least, MaxInterval: longest, Limiter: NewLimiter(0), Metrics: NewMetrics(nil), Logger: slog.New(slog.DiscardHandler),
					})
					go func() { // the bubble waits for it
						if err := poller.Run(t.Context()); err != nil {
							t.Error(err)
						}
					}()
				}
				pass(2 * time.Second) // all have begun
				for minute := range 10 {
					l.times()
					began := time.Now()
					pass(longest)
					var tenths [10]int
					polls := l.times()
					for _, at := range polls {
						tenths[min(9, int(10*at.Sub(began)/longest))]++
					}
					for _, n := range tenths {
						if n > len(polls)/4 {
							t.Fatalf("in minute %d the tenths have %v of %d polls", minute, tenths, len(polls))
						}
					}
				}
			})
		})
	}
}
