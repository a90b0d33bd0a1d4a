package poller

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/connector/connectortest"
	"github.com/twochat-connector/twochat-connector/connector/quota"
	"github.com/twochat-connector/twochat-connector/connector/reader"
)

// Streams that start together do not poll together: neither while their interval grows, nor once it is the longest.
func TestPoller_PollsAreSpread(t *testing.T) {
	for _, least := range []time.Duration{shortest, longest} {
		t.Run(least.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const streams = 300
				l := &connectortest.List{PageSize: small.Page, Rows: connectortest.Newest(8, 1)}
				for range streams {
					poller := New(Config{
						Pages: l, Log: &connectortest.Log{T: t},
						Reading: reader.Reading{
							Stream: connector.Stream{Name: "a", SourceKey: "k"}, Rules: small,
							Events: connector.EventSettings{TypePrefix: "p"},
						},
						Start: connectortest.StartNow, MinInterval: least, MaxInterval: longest, StartWithin: time.Second,
						Limiter: quota.NewLimiter(0),
						Metrics: NewMetrics(nil), Logger: slog.New(slog.DiscardHandler),
					})
					go func() { // the bubble waits for it
						if err := poller.Run(t.Context()); err != nil {
							t.Error(err)
						}
					}()
				}
				pass(2 * time.Second) // all have begun
				for minute := range 10 {
					l.Times()
					began := time.Now()
					pass(longest)
					var tenths [10]int
					polls := l.Times()
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
