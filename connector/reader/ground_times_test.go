package reader

import (
	"testing"
	"time"

	"github.com/twochat-connector/twochat-connector/connector/connectortest"
)

func TestGroundTimes_Median(t *testing.T) {
	fill := func(g *groundTimes, from, to int) {
		for n := from; n <= to; n++ {
			g.add(uint64(n), connectortest.Minute(n))
		}
	}
	tests := []struct {
		name      string
		base      time.Time
		make      func(*groundTimes)
		certified uint64
		want      time.Time
	}{
		{"nothing", time.Time{}, func(*groundTimes) {}, 9, time.Time{}},
		{"only what was before", connectortest.Minute(7), func(*groundTimes) {}, 9, connectortest.Minute(7)},
		{"the newest 21", time.Time{}, func(g *groundTimes) { fill(g, 1, 100) }, 100, connectortest.Minute(90)},
		{"of what is certified", time.Time{}, func(g *groundTimes) { fill(g, 1, 100) }, 50, connectortest.Minute(40)},
		{"one wrong by years does not matter", time.Time{}, func(g *groundTimes) {
			fill(g, 1, 99)
			g.add(100, connectortest.Minute(0).AddDate(-9, 0, 0))
		}, 100, connectortest.Minute(89)},
		{"no time, no vote", time.Time{}, func(g *groundTimes) {
			fill(g, 1, 21)
			g.add(22, time.Time{})
			g.add(23, time.Time{})
		}, 23, connectortest.Minute(11)},
		{"few are outvoted by what was before", connectortest.Minute(1), func(g *groundTimes) {
			fill(g, 30, 39)
		}, 39, connectortest.Minute(1)},
		{"learned twice counts once", time.Time{}, func(g *groundTimes) {
			g.learn(2, connectortest.Minute(2))
			g.learn(1, connectortest.Minute(1))
			g.learn(2, connectortest.Minute(9))
			g.learn(3, connectortest.Minute(3))
		}, 3, connectortest.Minute(2)},
		{"cut", time.Time{}, func(g *groundTimes) { fill(g, 1, 40); g.cut(21) }, 40, connectortest.Minute(11)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := groundTimes{base: test.base}
			test.make(&g)
			if got := g.median(test.certified); !got.Equal(test.want) {
				t.Errorf("ground lies at %v, want %v", got, test.want)
			}
		})
	}
}

func TestGroundTimes_ForgetsNothingThatMatters(t *testing.T) {
	var g groundTimes
	const events = 5000
	for n := range events {
		g.add(uint64(n+1), connectortest.Minute(n))
	}
	before := g.median(4000)
	g.forget(4000)
	if len(g.at) > events-4000+medianOf {
		t.Errorf("it keeps %d times", len(g.at))
	}
	if after := g.median(4000); !after.Equal(before) {
		t.Errorf("forgetting moves ground from %v to %v", before, after)
	}
	if got := g.median(events); !got.Equal(connectortest.Minute(events - 1 - medianOf/2)) {
		t.Errorf("what was not certified was forgotten: %v", got)
	}
}
